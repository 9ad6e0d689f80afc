import { parse, TomlError } from 'smol-toml'
import { MigrationError, type OldConfiguration } from '../old-configuration.ts'
import { secretHeld } from '../traefik/kept-elsewhere.ts'
import { parseFlags } from './flags.ts'
import { BY_FILE_KEY, meantBy, OPTIONS } from './known-options.ts'

/** Option as it was given: its place, and one value, or several of a list. */
export interface GivenOption {
  /** `--email-domain`, `OAUTH2_PROXY_EMAIL_DOMAINS`, `email_domains`, or a path of the alpha configuration. */
  readonly label: string
  readonly values: readonly string[]
}

export type GivenOptions = ReadonlyMap<string, GivenOption>

const PREFIX = 'OAUTH2_PROXY_'

/** Variables that oauth2-proxy does not read although they look like its own, with what may be meant. */
export interface UnreadVariable {
  readonly label: string
  readonly meant: string
}

/**
 * Reads the options as oauth2-proxy does: its command line wins over variables, and those over the file. Throws
 * `MigrationError` with every option that it would refuse.
 */
export function readOptions({ flags, environment, file }: OldConfiguration): {
  readonly options: GivenOptions
  readonly unread: readonly UnreadVariable[]
} {
  const problems: string[] = []
  const fromFile = file === undefined ? [] : readFile(file.text, file.path, problems)
  const fromFlags = parseFlags(flags, problems)
  const { known, unread } = readVariables(environment)
  for (const [, { label, values }] of known)
    if (values.some((value) => value !== '' && secretHeld(value) === undefined))
      problems.push(
        `${label} says where its value is kept: write the value itself in the file of --env`,
      )
  if (problems.length > 0) throw new MigrationError(problems)
  return { options: new Map([...fromFile, ...known, ...fromFlags]), unread }
}

type Entry = readonly [name: string, option: GivenOption]

function readVariables(environment: ReadonlyMap<string, string>) {
  const given = [...environment].filter(([name, value]) => name.startsWith(PREFIX) && value !== '')
  const keyOf = (name: string) => name.slice(PREFIX.length).toLowerCase()
  const nameOf = (label: string) =>
    label === label.toUpperCase() ? BY_FILE_KEY.get(keyOf(label)) : undefined
  const known = given.flatMap(([label, value]): Entry[] => {
    const name = nameOf(label)
    if (name === undefined) return []
    return [[name, { label, values: OPTIONS.get(name) === 'list' ? value.split(',') : [value] }]]
  })
  const unread = given
    .filter(([label]) => nameOf(label) === undefined)
    .map(([label]) => {
      const meant = meantBy(keyOf(label), BY_FILE_KEY.keys())
      return { label, meant: meant.replace(/^\w+(?= may)/, (key) => PREFIX + key.toUpperCase()) }
    })
  return { known, unread }
}

function readFile(text: string, path: string, problems: string[]): Entry[] {
  return Object.entries(parseToml(text, path)).flatMap(([key, value]): Entry[] => {
    const name = BY_FILE_KEY.get(key.toLowerCase())
    const values = name === undefined ? undefined : valuesOf(name, value)
    if (name !== undefined && values) return [[name, { label: key, values }]]
    problems.push(
      name === undefined
        ? `${path}: ${key} is no option of oauth2-proxy: ${meantBy(key.toLowerCase(), BY_FILE_KEY.keys())}`
        : `${path}: ${key} has no value of its kind`,
    )
    return []
  })
}

/** Parses TOML. The parser's own messages quote the lines around a fault, which may hold a secret. */
function parseToml(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw new MigrationError([
      `${path} is not TOML, at line ${error.line}, column ${error.column}: oauth2-proxy reads key = "value"`,
    ])
  }
}

function valuesOf(name: string, value: unknown): readonly string[] | undefined {
  const isList = OPTIONS.get(name) === 'list'
  if (Array.isArray(value)) return isList ? value.map(String) : undefined
  if (typeof value === 'string') return isList ? value.split(',') : [value]
  return ['boolean', 'number', 'bigint'].includes(typeof value) ? [String(value)] : undefined
}
