/**
 * Any string as a header value that Node will write: control characters and line separators dropped, lone
 * surrogates replaced, the rest as UTF-8 bytes. Total: no input makes it throw (threat A32).
 */
export function encodeHeaderValue(text: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text)) return text
  // Well-formed first: what stood between two halves of a character must not make one of them.
  const visible = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '')
    .trim()
  let bytes = ''
  for (const byte of new TextEncoder().encode(visible)) bytes += String.fromCharCode(byte)
  return bytes
}

/** Whether a value reaches an app as it is: two subjects that differ must not become one on the way. */
export function isFaithful(text: string): boolean {
  return text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]|^\s|\s$/u.test(text)
}

/** Members of a list joined by commas; a comma inside a member becomes `%2C` and `%` becomes `%25` (threat A33). */
export function encodeListValue(members: readonly string[]): string {
  return members
    .map((member) => encodeHeaderValue(member.replaceAll('%', '%25').replaceAll(',', '%2C')))
    .filter((member) => member !== '')
    .join(',')
}
