/** Matches three base64url parts separated by dots (RFC 7515 section 7.1). */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** Returns whether the text has the form of a signed JWT; does not verify the signature. */
export function isCompactJws(text: string): boolean {
  return COMPACT_JWS.test(text)
}
