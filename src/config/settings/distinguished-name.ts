import { ValueError } from '../config-error.ts'

/** Types of attributes that directories name their entries by (RFC 4514 and X.520), and OIDs. */
const ATTRIBUTE =
  /^\s*(cn|ou|dc|o|c|l|st|s|street|uid|sn|gn|givenname|initials|t|title|serialnumber|e|email|emailaddress|mail|dnqualifier|samaccountname|userprincipalname|(?:oid\.)?\d+(?:\.\d+)+)\s*=/i
const ANY_ATTRIBUTE = /^\s*([a-z\d][a-z\d.-]*)\s*=/i

/**
 * Refuses a line with a distinguished name that commas would cut into several entries, of which one may be a group
 * of many more people (C25). Throws `ValueError` with the JSON array to write in place of `text`.
 */
export function refuseCutNames(text: string): void {
  if (!text.split('\n').some(isCut)) return
  const entries = text.split('\n').flatMap(likelyEntries)
  throw new ValueError(
    `looks like a distinguished name that commas would cut into several entries: write a JSON array such as ${JSON.stringify(entries)}`,
  )
}

/** Returns whether the whole line is one distinguished name of several parts. */
export function isDistinguishedName(line: string): boolean {
  const parts = partsOf(line)
  return parts.length > 1 && ATTRIBUTE.test(line) && parts.every((part) => ANY_ATTRIBUTE.test(part))
}

/**
 * Refuses entries that are the parts of one distinguished name, as YAML makes them of `[CN=a,OU=b]` without quotes (C25).
 * Throws `ValueError` with the list to write.
 */
export function refuseCutEntries(entries: readonly string[]): void {
  const types = entries.map((entry) =>
    partsOf(entry).length === 1 ? ATTRIBUTE.exec(entry)?.[1]?.toLowerCase() : undefined,
  )
  const isCutAt = (type: string | undefined, at: number) => {
    const next = types[at + 1]
    return type !== undefined && next !== undefined && (next !== type || next === 'dc')
  }
  if (!types.some(isCutAt)) return
  throw new ValueError(
    `has the parts of a distinguished name as several entries: put it in quotes as a whole: ${JSON.stringify(likelyEntries(entries.join(',')))}`,
  )
}

function isCut(line: string): boolean {
  const entries = line.split(',')
  if (entries.length === 1) return false
  const named = entries.filter((entry) => ATTRIBUTE.test(entry))
  const attributes = entries.filter((entry) => ANY_ATTRIBUTE.test(entry))
  return named.length > 0 && (attributes.length > 1 || named.some(isUnfinished))
}

/** Returns whether the comma behind this entry belongs to its value, by a backslash before it or an open quote. */
function isUnfinished(entry: string): boolean {
  return entry.endsWith('\\') || entry.split('"').length % 2 === 0
}

/** Splits a line at its commas that are neither escaped nor quoted. */
function partsOf(line: string): string[] {
  return line.match(/(?:\\.|"(?:\\.|[^"\\])*"|[^,\\])+/gs) ?? []
}

/** Joins what belongs together; behind `dc` another type begins the next name. */
function likelyEntries(line: string): string[] {
  const entries: string[] = []
  let last: string | undefined
  for (const part of partsOf(line)) {
    const type = ANY_ATTRIBUTE.exec(part)?.[1]?.toLowerCase()
    const isContinued = type !== undefined && last !== undefined && (last !== 'dc' || type === 'dc')
    if (isContinued) entries.push(`${entries.pop()},${part}`)
    else entries.push(part)
    last = type
  }
  return entries.map((entry) => entry.trim()).filter((entry) => entry !== '')
}
