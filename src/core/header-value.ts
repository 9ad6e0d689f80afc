/**
 * Encodes any string as a header value in UTF-8 bytes, without control characters and line separators and with lone
 * surrogates replaced. Never throws (threat A32).
 */
export function encodeHeaderValue(text: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text)) return text
  // Replaces lone surrogates first, because dropping characters between two of them would make a pair.
  const visible = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '')
    .trim()
  let bytes = ''
  for (const byte of new TextEncoder().encode(visible)) bytes += String.fromCharCode(byte)
  return bytes
}

/** Returns whether `encodeHeaderValue` keeps all of a text, so that two different subjects never become one. */
export function isFaithful(text: string): boolean {
  return text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]|^\s|\s$/u.test(text)
}

/** Joins members by commas; encodes a comma in a member as `%2C` and `%` as `%25` (threat A33). */
export function encodeListValue(members: readonly string[]): string {
  return members
    .map((member) => encodeHeaderValue(member.replaceAll('%', '%25').replaceAll(',', '%2C')))
    .filter((member) => member !== '')
    .join(',')
}
