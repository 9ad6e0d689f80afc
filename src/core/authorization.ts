import { type RequestClass, showsPage } from './request-class.ts'
import type { SentHeaders } from './sent-headers.ts'

/** Token as sent; `token` is absent where the header is malformed. */
export interface PresentedToken {
  readonly scheme: 'Bearer' | 'DPoP'
  readonly token?: string
}

const SCHEME = /^(?:bearer|(dpop))(?![!#$%&'*+.^_`|~\w-])/i
/** Matches a scheme and one JWS in compact form (RFC 7515 section 7.1). */
const COMPACT_JWS = /^[a-z]+ +([\w-]+\.[\w-]+\.[\w-]+)$/i
const MAX_VALUE_LENGTH = 16 * 1024

/**
 * Returns the token in `Authorization`; `undefined` for another scheme, which belongs to the app. Treats a token in one
 * of several such headers as malformed, because Node keeps the first and an app may read the last (threat A87).
 */
export function readAuthorization({ authorizations }: SentHeaders): PresentedToken | undefined {
  const [value = '', ...further] = authorizations
  const scheme = schemeOf(further.findLast(schemeOf) ?? value)
  if (!scheme) return undefined
  const isReadable = further.length === 0 && value.length <= MAX_VALUE_LENGTH
  const token = isReadable ? COMPACT_JWS.exec(value)?.[1] : undefined
  return token === undefined ? { scheme } : { scheme, token }
}

function schemeOf(value: string): PresentedToken['scheme'] | undefined {
  const match = SCHEME.exec(value)
  if (!match) return undefined
  return match[1] === undefined ? 'Bearer' : 'DPoP'
}

/** Returns whether a refusal without a known rule is shown as a page; a program that sends a token gets none. */
export function isReadByPerson(headers: SentHeaders, requestClass: RequestClass): boolean {
  return showsPage(requestClass) && readAuthorization(headers) === undefined
}
