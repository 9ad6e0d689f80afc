const MAX_CHARS = 200

/** Matches an address, or what may be a token or a secret: a long run of the characters of base64 and JWTs with a digit. */
const ADDRESS_OR_TOKEN = /https?:\/\/[^\s"'<>&]+|(?=[\w.~+/=-]*\d)[\w.~+/=-]{24,}/g
const TOKEN = /^(?=.*\d).{24,}$/
/** Matches the ids of traces that providers put into descriptions. */
const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}[.]?$/i
const EMAIL = /[^\s@<>"'(),:;]{1,64}(?:@|%40)[^\s@<>"'(),:;]+/gi
const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu

/**
 * Returns a text of another party for a log line or page: one line, bounded, without what may be an e-mail address or a
 * token (threat A93).
 */
export function cleanText(text: string, maxChars = MAX_CHARS): string {
  return shortened(withoutEmails(text, maxChars).replace(ADDRESS_OR_TOKEN, masked), maxChars)
}

/** Cleans a text of the operator's own, such as the names of claims, in which only e-mail addresses are hidden. */
export function cleanOwnText(text: string, maxChars = MAX_CHARS): string {
  return shortened(withoutEmails(text, maxChars), maxChars)
}

function withoutEmails(text: string, maxChars: number): string {
  const bounded = text.slice(0, 4 * maxChars).toWellFormed()
  return bounded.replace(CONTROL, ' ').replace(EMAIL, '…@…')
}

function shortened(text: string, maxChars: number): string {
  const clean = text.trim()
  return clean.length > maxChars ? `${clean.slice(0, maxChars).toWellFormed()}…` : clean
}

/** Cleans a text, but returns a plain address unchanged, because one slash or capital letter of it may be the fault. */
export function shownText(text: string): string {
  return /^https?:\/\/[\w.~:/%{}[\]-]{1,200}$/i.test(text) ? text : cleanText(text)
}

/** Returns origin and path of an address for a log line, without credentials, query and fragment. */
export function cleanUrl(text: string): string {
  const url = URL.parse(text)
  return url ? `${url.origin}${url.pathname}`.slice(0, MAX_CHARS) : ''
}

function masked(found: string): string {
  if (UUID.test(found)) return found
  const url = found.startsWith('http') ? URL.parse(found) : null
  return url ? `${url.origin}${url.pathname.split('/').map(maskedStep).join('/')}` : '…'
}

function maskedStep(step: string): string {
  return TOKEN.test(step) && !UUID.test(step) ? '…' : step
}
