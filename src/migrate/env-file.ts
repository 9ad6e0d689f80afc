import { MigrationError } from './old-configuration.ts'

/** Matches one variable, a comment or a blank line. A value may be in quotes, and then over several lines. */
const ENTRY =
  /[ \t]*(?:#[^\n]*|(?:export[ \t]+)?([\w.-]+)[ \t]*(?:=[ \t]*(?:'([^']*)'|"((?:[^"\\]|\\[^])*)"|(?!['"])([^\n]*?)))?)?[ \t]*(?:[ \t]#[^\n]*)?(?:\n|$)/y

/**
 * Parses a file of variables as Docker Compose does. Throws `MigrationError` for a line whose value depends on who reads it,
 * because a guess might leave out whom it restricts; no line is quoted, because it may be a secret.
 */
export function parseEnvFile(source: string, path: string): ReadonlyMap<string, string> {
  const text = source.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n')
  const found = new Map<string, string>()
  const problems: string[] = []
  let at = 0
  while (at < text.length) {
    ENTRY.lastIndex = at
    const match = ENTRY.exec(text)
    const fault = match ? faultOf(match) : 'is not NAME=VALUE'
    const line = text.slice(0, at).split('\n').length
    if (fault !== undefined) problems.push(`${path}, line ${line}: ${fault}`)
    const [all, name, , , plain] = match ?? []
    if (name !== undefined && fault === undefined) found.set(name, plain ?? quoted(match))
    at = all === undefined ? endOfLine(text, at) : at + all.length
  }
  if (problems.length > 0) throw new MigrationError(problems)
  return found
}

/** Matches a reference within a value; one that is the whole value says where it is kept, which each service reads itself. */
const REPLACED = /^(?!\$(?:\{[^}]*\}|[A-Z_][A-Z\d_]*)$).*\$[A-Za-z_{]/s

function faultOf([, name, single, double, plain]: RegExpExecArray): string | undefined {
  if (name === undefined) return undefined
  if (single === undefined && double === undefined && plain === undefined)
    return 'has a name without a value, which the environment of another machine gives: write the value'
  return REPLACED.test(double ?? plain ?? '')
    ? 'has a $ that Compose replaces and others keep: write the value that is meant, in single quotes'
    : undefined
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

function quoted(match: RegExpExecArray | null): string {
  const [, , single, double = ''] = match ?? []
  return single ?? double.replaceAll(/\\([nrt$"\\])/g, (_, name: string) => ESCAPES[name] ?? name)
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end + 1
}
