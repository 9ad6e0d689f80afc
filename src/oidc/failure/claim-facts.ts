import { decodeProtectedHeader, errors } from 'jose'
import { ClientError } from 'openid-client'
import { type Claims, isAbsent } from '../../core/claims.ts'
import { shownText } from '../../core/clean-text.ts'
import { isRecord } from '../../core/json.ts'
import type { FailureFacts } from '../../errors.ts'
import { isAboutKey, isUnknownKey } from '../request/provider-errors.ts'

/** Token that was refused, and what it had to be. */
export interface Expected {
  readonly token: string
  readonly issuer: string
  readonly clientId: string
  readonly algorithms: readonly string[]
}

/** Part of a token or response that was refused; `expected` as the library that refused it names it. */
interface Refused {
  readonly claim: string
  readonly value: unknown
  readonly expected?: unknown
  readonly issuedAtSeconds?: unknown
}

const SETTINGS: Readonly<Record<string, string>> = {
  iss: 'OIDC_ISSUER_URL',
  aud: 'OIDC_CLIENT_ID',
  azp: 'OIDC_CLIENT_ID',
  alg: 'OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG',
}
const TIMES: ReadonlySet<string> = new Set(['exp', 'iat', 'nbf', 'auth_time'])
/** Claims whose values are logged; any other may name a person or be a secret. */
const NO_SECRETS: ReadonlySet<string> = new Set(['iss', 'aud', 'azp', 'alg', 'typ', 'kid'])
/** Claims that openid-client refuses without saying which one it was, and the type of each. */
const REQUIRED = {
  aud: ['string', 'object'],
  exp: ['number'],
  iat: ['number'],
  iss: ['string'],
  sub: ['string'],
  nonce: ['string'],
  nbf: ['number', 'undefined'],
  auth_time: ['number', 'undefined'],
} as const satisfies Record<string, readonly string[]>

/**
 * Returns which claim was refused, with the value that was expected and the one received (findings C53, C72); no facts
 * for any other failure. `expected` is known where Vestibule itself verified the token.
 */
export function claimFacts(cause: unknown, expected?: Expected): FailureFacts {
  const refused = refusedByJose(cause, expected) ?? refusedByClient(cause)
  return refused ? factsAbout(refused) : {}
}

/** Returns the facts about a claim, with its value where that is no secret. */
export function factsAbout({ claim, value, expected, issuedAtSeconds }: Refused): FailureFacts {
  const setting = SETTINGS[claim]
  const isTime = TIMES.has(claim) && typeof value === 'number'
  return {
    claim,
    expected: isTime ? expectedTime(claim, value) : textOf(expected, claim),
    received: isTime ? receivedTime(value, issuedAtSeconds) : receivedText(claim, value),
    ...(setting !== undefined && { setting }),
  }
}

/** Says the facts about a claim in one sentence; `undefined` where there are none. */
export function sayClaim({ claim, expected, received }: FailureFacts): string | undefined {
  if (claim === undefined) return undefined
  return `${claim}: expected ${expected}${received === undefined ? '' : `, received ${received}`}`
}

function refusedByJose(cause: unknown, expected: Expected | undefined): Refused | undefined {
  if (cause instanceof errors.JWTClaimValidationFailed || cause instanceof errors.JWTExpired) {
    const { claim, payload } = cause
    const value = payload[claim]
    const wanted = { iss: expected?.issuer, aud: expected?.clientId }[claim]
    return { claim, value, expected: wanted, issuedAtSeconds: payload.iat }
  }
  if (!expected) return undefined
  const { alg, kid } = headerOf(expected.token)
  if (cause instanceof errors.JOSEAlgNotAllowed) {
    return { claim: 'alg', value: alg, expected: expected.algorithms }
  }
  const published = 'a key of the provider’s key set'
  if (isUnknownKey(cause) && !isAbsent(kid))
    return { claim: 'kid', value: kid, expected: published }
  if (!isAboutKey(cause)) return undefined
  return { claim: 'signature', value: 'by another key', expected: `by ${published}` }
}

/** Reads the details that openid-client gives beside an error about an ID token or an authorization response. */
function refusedByClient(cause: unknown): Refused | undefined {
  const inner = cause instanceof ClientError ? cause.cause : undefined
  const details = inner instanceof Error ? inner.cause : undefined
  if (!isRecord(details)) return undefined
  const { claims, header, parameters, expected, claim } = details
  if (isRecord(header) && expected !== undefined) {
    return { claim: 'alg', value: header['alg'], expected }
  }
  if (parameters instanceof URLSearchParams) return refusedResponse(parameters, expected)
  if (!isRecord(claims)) return undefined
  const found = typeof claim === 'string' ? claim : unusableClaim(claims)
  if (found === undefined) return undefined
  return { claim: found, value: claims[found], expected, issuedAtSeconds: claims['iat'] }
}

/** Reads a refused `iss` (RFC 9207); the expected `state` is a secret, and is no address. */
function refusedResponse(parameters: URLSearchParams, expected: unknown): Refused | undefined {
  const value = parameters.get('iss') || undefined
  if (value === undefined && expected === undefined) return { claim: 'iss', value }
  const isIssuer = typeof expected === 'string' && URL.canParse(expected)
  return isIssuer ? { claim: 'iss', value, expected } : undefined
}

function unusableClaim(claims: Claims): string | undefined {
  return Object.entries(REQUIRED).find(
    ([name, types]) => !(types as readonly string[]).includes(typeof claims[name]),
  )?.[0]
}

function headerOf(token: string): { readonly alg?: unknown; readonly kid?: unknown } {
  try {
    return decodeProtectedHeader(token)
  } catch {
    return {}
  }
}

function receivedText(claim: string, value: unknown): string {
  if (claim === 'signature') return String(value)
  if (value === undefined) return 'none'
  const members: readonly unknown[] = Array.isArray(value) ? value : [value]
  const isText = value !== '' && members.length > 0 && members.every(isString)
  if (isText) return NO_SECRETS.has(claim) ? shownText(members.join(' ')) : 'another value'
  return value === '' ? 'an empty text' : kindOf(value)
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`
}

function textOf(expected: unknown, claim: string): string {
  const isSaid = NO_SECRETS.has(claim) || claim === 'signature'
  if (typeof expected === 'string' && isSaid) return expected
  if (Array.isArray(expected)) return expected.join(' ') || 'an asymmetric algorithm'
  return TIMES.has(claim) ? 'a number' : (EXPECTED[claim] ?? 'a usable value')
}

const EXPECTED: Readonly<Record<string, string>> = {
  nonce: 'the nonce of this sign-in',
  iss: 'the issuer',
  sub: 'a text that names the user',
  aud: 'this client alone',
}

function expectedTime(claim: string, seconds: number): string {
  if (claim === 'exp') return 'a time ahead of our clock'
  const isAhead = seconds > Date.now() / 1000
  return isAhead ? 'a time that is not ahead of our clock' : 'a recent time by our clock'
}

/** Says a time by our clock; `iat` shows the difference of the clocks, because a token is new when it arrives. */
function receivedTime(seconds: number, issuedAtSeconds: unknown): string {
  const said = byOurClock(seconds)
  if (typeof issuedAtSeconds !== 'number' || issuedAtSeconds === seconds) {
    return `${said}; compare the clocks of the provider and of this machine`
  }
  return `${said}, issued ${byOurClock(issuedAtSeconds)}; compare the clocks of the provider and of this machine`
}

function byOurClock(seconds: number): string {
  const aheadSeconds = Math.round(seconds - Date.now() / 1000)
  return `${Math.abs(aheadSeconds)} s ${aheadSeconds < 0 ? 'behind' : 'ahead of'} our clock`
}
