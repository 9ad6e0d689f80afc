import { parseJson } from '../../core/json.ts'
import { ValueError } from '../config-error.ts'
import { isDistinguishedName, refuseCutNames } from './distinguished-name.ts'

/** Parses a list: a JSON array, or entries with separators between them. Throws `ValueError`. */
export function parseList(text: string, separator = COMMA_OR_LINE_END): string[] {
  return isJson(text.trim()) ? parseJsonList(text) : splitEntries(text, separator)
}

/** Parses a list of groups, whose names may be distinguished names. Throws `ValueError` where commas would cut one. */
export function parseGroups(text: string): string[] {
  if (!isJson(text.trim())) refuseCutNames(text)
  return parseList(text)
}

/** Parses a list in whose entries quotes hold commas; a quote without its counterpart ends with the line. */
export function parseQuoted(text: string): string[] {
  if (isJson(text.trim())) return parseJsonList(text)
  const entries = text.match(/(?:"[^"\r\n]*(?:"|(?=[\r\n]|$))|[^",\r\n])+/g) ?? []
  return entries.map((entry) => entry.trim()).filter((entry) => entry !== '')
}

/**
 * Takes the lines of a file apart where some are distinguished names, which a line of a file holds whole; any other
 * text is left to the setting. Throws `ValueError` for a line with more than such a name.
 */
export function linesOfNames(text: string): string | string[] {
  const lines = splitEntries(text, /[\r\n]/)
  if (isJson(text) || COMMA_AND_LINE_END.test(text) || !lines.some(isDistinguishedName)) return text
  return lines.flatMap((line) => (isDistinguishedName(line) ? [line] : parseGroups(line)))
}

/** Splits text into entries; empty ones are dropped. */
function splitEntries(text: string, separator: RegExp): string[] {
  return text
    .split(separator)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}

/** Sign of a name that goes on in the next line. */
const COMMA_AND_LINE_END = /,\s*[\r\n]|[\r\n]\s*,/
const COMMA_OR_LINE_END = /[,\r\n]/

/** Returns whether a list is meant as JSON. A bracket also begins an IPv6 address, or a name like `[a] b`. */
function isJson(text: string): boolean {
  return /^\[\s*(?:"|\])|^\[(?![\da-f.]*:).*\]$/is.test(text)
}

function parseJsonList(text: string): string[] {
  const entries = parseJson(text)
  if (!Array.isArray(entries) || !entries.every((entry) => typeof entry === 'string')) {
    throw new ValueError('is not a JSON array of texts such as ["a, b","c"]')
  }
  const trimmed = entries.map((entry) => entry.trim())
  if (trimmed.includes('')) throw new ValueError('has an empty text in its JSON array')
  return trimmed
}
