import { parse as parseToml } from 'smol-toml'
import { parseAllDocuments } from 'yaml'
import { isRecord } from '../../core/json.ts'
import { type ConfigurationFile, MigrationError } from '../old-configuration.ts'

export type Members = Readonly<Record<string, unknown>>

/**
 * Parses a file of TOML, by its name, or of YAML, which may have several documents. Throws `MigrationError`, which quotes
 * nothing of the file because a secret may stand there.
 */
export function parseDocuments({ path, text }: ConfigurationFile): readonly Members[] {
  return (path.endsWith('.toml') ? [tomlOf(path, text)] : yamlOf(path, text)).filter(isRecord)
}

function tomlOf(path: string, text: string): unknown {
  try {
    return parseToml(text)
  } catch (error) {
    const { line } = error as { readonly line?: number }
    throw new MigrationError([
      `${path}: is no TOML${line === undefined ? '' : `, at line ${line}`}`,
    ])
  }
}

function yamlOf(path: string, text: string): readonly unknown[] {
  // Traefik takes over the members that `<<` names.
  const documents = parseAllDocuments(text, { merge: true })
  const [fault] = documents.flatMap((document) => document.errors ?? [])
  if (fault) {
    const line = fault.linePos?.[0].line
    throw new MigrationError([
      `${path}: is no YAML${line === undefined ? '' : `, at line ${line}`}`,
    ])
  }
  try {
    return documents.map((document) => document.toJS() as unknown)
  } catch {
    throw new MigrationError([`${path}: is no YAML that can be used`])
  }
}

/** Returns the member of a map in any case of letters, as Traefik reads names. */
export function memberOf(map: unknown, name: string): unknown {
  if (!isRecord(map)) return undefined
  const key = Object.keys(map).find((each) => each.toLowerCase() === name.toLowerCase())
  return key === undefined ? undefined : map[key]
}

/** Returns the members of a map; none for another value. */
export function entriesOf(map: unknown): readonly (readonly [string, unknown])[] {
  return isRecord(map) ? Object.entries(map) : []
}
