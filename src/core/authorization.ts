import { type RequestClass, showsPage } from './request-class.ts'
import type { SentHeaders } from './sent-headers.ts'

/** Token as sent, whatever its form; `token` is absent where the header is malformed. */
export interface PresentedToken {
  readonly scheme: 'Bearer' | 'DPoP'
  readonly token?: string
}

const SCHEME = /^(?:bearer|dpop)(?![!#$%&'*+.^_`|~\w-])/i
const MAX_VALUE_LENGTH = 16 * 1024
const BLANK = 32

/**
 * Returns the token in `Authorization`; `undefined` for another scheme, which belongs to the app. Treats a token in one
 * of several such headers as malformed, because Node keeps the first and an app may read the last (threat A87).
 */
export function readAuthorization({ authorizations }: SentHeaders): PresentedToken | undefined {
  const value = authorizations[0]
  if (value === undefined) return undefined
  if (authorizations.length > 1) {
    const scheme = schemeOf(authorizations.findLast(schemeOf) ?? '')
    return scheme && { scheme }
  }
  const scheme = schemeOf(value)
  if (!scheme) return undefined
  const token = value.length > MAX_VALUE_LENGTH ? '' : behindBlanks(value, scheme.length)
  return token === '' ? { scheme } : { scheme, token }
}

function schemeOf(value: string): PresentedToken['scheme'] | undefined {
  if (!SCHEME.test(value)) return undefined
  return value.startsWith('d') || value.startsWith('D') ? 'DPoP' : 'Bearer'
}

/** Returns what follows at least one blank; empty where there is none. */
function behindBlanks(value: string, from: number): string {
  let start = from
  while (value.charCodeAt(start) === BLANK) start++
  return start === from ? '' : value.slice(start)
}

/** Returns whether a refusal without a known rule is shown as a page; a program that sends a token gets none. */
export function isReadByPerson(headers: SentHeaders, requestClass: RequestClass): boolean {
  return showsPage(requestClass) && readAuthorization(headers) === undefined
}
