import { MigrationError, type OldConfiguration } from '../../old-configuration.ts'
import { type Fates, unknownOption } from '../../traefik/given-values.ts'
import { FATES, LISTS, SWITCHES } from './options.ts'

/** Options as given, by their long name, those of rules (`rule.NAME.PARAM`) among them. */
export type GivenOptions = ReadonlyMap<string, readonly string[]>

/**
 * Reads flags, configuration files and environment in the order in which the old service does: the later of flag and file
 * counts, lists of both are joined, and a variable counts only where neither names the option.
 */
export function readOptions(old: OldConfiguration): GivenOptions {
  const pairs = pairsOfFlags(old)
  const isFileNamed = pairs.some(([name]) => name === 'config')
  const named = old.environment.get('CONFIG')
  const ofFile = isFileNamed ? [] : fileNamed(old, named)
  const given = new Map<string, readonly string[]>()
  for (const [name, value] of [...pairs, ...ofFile]) {
    given.set(name, LISTS.has(name) ? [...(given.get(name) ?? []), value] : [value])
  }
  if (named !== undefined) given.set('config', [named])
  for (const [name, values] of optionsOfEnvironment(old.environment)) {
    if (!given.has(name)) given.set(name, values)
  }
  refuseUnknown(given.keys())
  return given
}

type Pair = readonly [name: string, value: string]

/** Returns whether a variable is an option of this service. */
export function isVariable(name: string): boolean {
  return VARIABLES.has(name)
}

const FATES_BY_NAME: Fates = FATES
const VARIABLES: ReadonlyMap<string, string> = new Map(
  Object.keys(FATES).map((name) => [name.toUpperCase().replaceAll(/[.-]/g, '_'), name]),
)
/** Variables of this service. */
export const VARIABLE_NAMES: readonly string[] = [...VARIABLES.keys()]

const RULE = /^rule\.[^.]+\.(?:action|rule|provider|whitelist|domains)$/

function pairsOfFlags(old: OldConfiguration): readonly Pair[] {
  const pairs: Pair[] = []
  const rest = [...old.flags]
  for (let flag = rest.shift(); flag !== undefined; flag = rest.shift()) {
    // Files of Traefik stand there too, without a dash.
    if (!flag.startsWith('-')) continue
    const [, name = '', inline] = /^--?([^=]+)(?:=(.*))?$/s.exec(flag) ?? []
    const value = inline ?? (SWITCHES.has(name) ? 'true' : (rest.shift() ?? ''))
    pairs.push([name, unquoted(value)])
    if (name === 'config') pairs.push(...fileNamed(old, value))
  }
  return pairs
}

/** The file that the command was given stands for the one that the old service is told, whose path may be that of a container. */
function fileNamed(old: OldConfiguration, path: string | undefined): readonly Pair[] {
  if (old.file) return pairsOfIni(old.file.text)
  return path === undefined ? [] : pairsOfIni(old.readFile(path))
}

function pairsOfIni(text: string): readonly Pair[] {
  return text.split(/\r?\n/).flatMap((line, at): Pair[] => {
    if (/^\s*(?:[;#[]|$)/.test(line)) return []
    // Without an equals sign it is the format of version 1.
    const [, name, value] =
      /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(line) ?? /^([a-z-]+) (.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) {
      throw new MigrationError([`line ${at + 1} of the file is not of the form name = value`])
    }
    return [[name, unquoted(value)]]
  })
}

function unquoted(value: string): string {
  const [, inside] = /^"((?:[^"\\]|\\.)*)"$/.exec(value) ?? []
  return inside === undefined ? value : inside.replaceAll(/\\(.)/g, '$1')
}

function optionsOfEnvironment(environment: ReadonlyMap<string, string>) {
  return [...environment].flatMap(([variable, value]) => {
    const name = VARIABLES.get(variable)
    if (name === undefined || name === 'config') return []
    return [[name, LISTS.has(name) ? value.split(',') : [value]] as const]
  })
}

function refuseUnknown(names: Iterable<string>): void {
  const unknown = [...names].filter((name) => !(name in FATES) && !RULE.test(name))
  if (unknown.length === 0) return
  throw new MigrationError(
    unknown.map((name) =>
      name.startsWith('rule.')
        ? `${name}: is no parameter of a rule: action, rule, provider, whitelist or domains`
        : unknownOption(name, FATES_BY_NAME),
    ),
  )
}
