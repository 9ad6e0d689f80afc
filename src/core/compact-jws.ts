/** Three base64url parts with dots between them (RFC 7515, section 7.1). */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** Tells whether the text has the form of a signed JWT; its signature is not looked at. */
export function isCompactJws(text: string): boolean {
  return COMPACT_JWS.test(text)
}
