import { ValueError } from '../config-error.ts'

/** Types of attributes that directories name their entries by (RFC 4514 and X.520), and OIDs. */
const ATTRIBUTE =
  /^\s*(cn|commonname|ou|organizationalunit(?:name)?|dc|domaincomponent|o|organization(?:name)?|c|country(?:name)?|l|locality(?:name)?|st|s|stateorprovincename|street|streetaddress|uid|userid|sn|surname|gn|givenname|initials|t|title|serialnumber|e|email|emailaddress|mail|dnqualifier|samaccountname|userprincipalname|(?:oid\.)?\d+(?:\.\d+)+)\s*=/i
const ANY_ATTRIBUTE = /^\s*([a-z\d][a-z\d.-]*)\s*=/i

/**
 * Refuses a text with a distinguished name, or a quoted one, that commas would cut into several entries, of which one may
 * be a group of many more people (C25). Throws `ValueError` with the JSON array to write in place of `text`.
 */
export function refuseCutNames(text: string): void {
  const lines = text.replaceAll(COMMA_AT_LINE_END, ',').split(/[\r\n]/)
  const isName = lines.some(isCut)
  if (!isName && !lines.some(hasCommaOfValue)) return
  const fault = isName
    ? 'looks like a distinguished name that commas would cut into several entries'
    : 'has a comma in quotes or behind a backslash, which would cut a name into several entries'
  const entries = lines.flatMap(likelyEntries).map((entry) => (isName ? entry : plain(entry)))
  throw new ValueError(`${fault}: write a JSON array such as ${JSON.stringify(entries)}`)
}

/** A line end beside a comma ends no entry of its own: a name may be written one part a line. */
const COMMA_AT_LINE_END = /\s*[\r\n]\s*,|,\s*[\r\n]/g

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
    return type !== undefined && next !== undefined && (next !== type || isDomain(next))
  }
  if (!types.some(isCutAt)) return
  throw new ValueError(
    `has the parts of a distinguished name as several entries: put it in quotes as a whole: ${JSON.stringify(likelyEntries(entries.join(',')))}`,
  )
}

/** Returns whether commas cut a name off: a part of a distinguished name seldom is a name of its own. */
function isCut(line: string): boolean {
  const entries = line.split(',').filter((entry) => entry.trim() !== '')
  return entries.length > 1 && entries.some((entry) => ATTRIBUTE.test(entry))
}

/** Returns whether a comma stands within an entry in quotes, or behind a backslash. */
function hasCommaOfValue(line: string): boolean {
  return partsOf(line).some((part) => /^\s*"[^"]*,[^"]*"\s*$|\\,/.test(part))
}

function plain(entry: string): string {
  return entry.replace(/^"(.*)"$/, '$1').replaceAll('\\,', ',')
}

/** Splits a line at its commas that are neither escaped nor quoted. */
function partsOf(line: string): string[] {
  return line.match(/(?:\\.|"(?:\\.|[^"\\])*"|[^,\\])+/gs) ?? []
}

/** Joins what belongs together; behind a part of a domain another type begins the next name. */
function likelyEntries(line: string): string[] {
  const entries: string[] = []
  let last: string | undefined
  for (const part of partsOf(line)) {
    const type = ANY_ATTRIBUTE.exec(part)?.[1]?.toLowerCase()
    const isContinued =
      type !== undefined && last !== undefined && (!isDomain(last) || isDomain(type))
    if (isContinued) entries.push(`${entries.pop()},${part}`)
    else entries.push(part)
    last = type
  }
  return entries.map((entry) => entry.trim()).filter((entry) => entry !== '')
}

function isDomain(type: string): boolean {
  return type === 'dc' || type === 'domaincomponent'
}
