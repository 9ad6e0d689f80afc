import { errors } from 'jose'
import { ClientError, ResponseBodyError, WWWAuthenticateChallengeError } from 'openid-client'
import { cleanUrl } from '../core/clean-text.ts'
import { parseJson } from '../core/json.ts'
import type { FailureFacts } from '../errors.ts'

// This file is the only reader of the errors of openid-client and jose.

/**
 * Failure that Vestibule itself found in what the provider sent; the message quotes nothing secret. A `TypeError`, as
 * `fetch` rejects with, because openid-client passes on no other error of ours unchanged.
 */
export class ProviderFault extends TypeError {
  readonly code: string | undefined
  readonly facts: FailureFacts

  constructor(message: string, code?: string, facts: FailureFacts = {}) {
    super(message)
    this.name = 'ProviderFault'
    this.code = code
    this.facts = facts
  }
}

/** Returns the code of an error of openid-client or jose; `''` where there is none. */
export function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
    ? cause.code
    : ''
}

/** Returns the response that an error is about, if there was one. */
export function responseOf(cause: unknown): Response | undefined {
  if (cause instanceof ResponseBodyError) return cause.response
  if (cause instanceof WWWAuthenticateChallengeError) return cause.response
  return cause instanceof Error && cause.cause instanceof Response ? cause.cause : undefined
}

/** Answer that an error is about, as far as it is known; the texts are the provider's own. */
export interface ProviderAnswer {
  readonly status?: number
  /** OAuth error code and description (RFC 6749 section 5.2, RFC 6750 section 3). */
  readonly error?: string
  readonly description?: string
  /** Whether the body is JSON, whatever it says. */
  readonly isJson: boolean
}

/** Reads the answer that an error is about, also where openid-client has not read its body. */
export async function answerOf(cause: unknown): Promise<ProviderAnswer> {
  const response = responseOf(cause)
  const about = bodyIn(cause)
  const body = about ? about.body : await unreadBodyOf(cause, response)
  // openid-client complains about the content of answers with 200 alone.
  const status = response?.status ?? (about ? 200 : undefined)
  const said = { ...challengeOf(cause), ...(isObject(body) && body) }
  const { error, error_description: description } = said as Readonly<Record<string, unknown>>
  return {
    ...(status !== undefined && { status }),
    ...(typeof error === 'string' && error !== '' && { error }),
    ...(typeof description === 'string' && description !== '' && { description }),
    isJson: body !== undefined,
  }
}

async function unreadBodyOf(cause: unknown, response: Response | undefined): Promise<unknown> {
  if (cause instanceof ResponseBodyError) return cause.cause
  if (!response || response.bodyUsed || !isJsonAnswer(response)) return undefined
  return parseJson(await response.clone().text())
}

function isJsonAnswer({ headers }: Response): boolean {
  return /^application\/(?:[a-z0-9.+-]+\+)?json\b/i.test(headers.get('content-type') ?? '')
}

function challengeOf(cause: unknown): Record<string, unknown> {
  if (!(cause instanceof WWWAuthenticateChallengeError)) return {}
  return { ...cause.cause.find(({ parameters }) => 'error' in parameters)?.parameters }
}

/** Returns the fault that Vestibule itself found, at whatever depth it was wrapped. */
export function faultIn(cause: unknown): ProviderFault | undefined {
  return chainOf(cause).find((each) => each instanceof ProviderFault)
}

/** Codes of connections that failed before a request could be sent. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])

/** Returns the code of a connection that failed before the request was sent; `undefined` for any other failure. */
export function unsentCodeOf(cause: unknown): string | undefined {
  return chainOf(cause)
    .map(codeOf)
    .find((code) => NOT_CONNECTED.has(code))
}

/** Claim of a token that openid-client or jose refused, with all claims of the token where they are known. */
export interface RefusedClaim {
  readonly claim: string
  readonly expected?: unknown
  readonly claims: Readonly<Record<string, unknown>>
}

/** Returns the claim that a token was refused for; `undefined` for any other failure. */
export function refusedClaimOf(cause: unknown): RefusedClaim | undefined {
  if (cause instanceof errors.JWTClaimValidationFailed || cause instanceof errors.JWTExpired) {
    return { claim: cause.claim, claims: cause.payload }
  }
  const [outer, inner] = chainOf(cause).slice(-2)
  if (!(outer instanceof Error) || !inner) return undefined
  if ('attribute' in inner) return { claim: String(inner.attribute), claims: {} }
  if (!('claims' in inner)) return undefined
  const { claims = {}, expected, claim: named } = inner as Partial<RefusedClaim>
  const claim = named ?? /JWT "([a-z_]+)"/.exec(outer.message)?.[1]
  return claim === undefined ? undefined : { claim, expected, claims }
}

/** Returns the member of a JSON answer that is missing or of a wrong type; `undefined` for any other failure. */
export function missingMemberOf(cause: unknown): string | undefined {
  const [outer] = chainOf(cause).slice(-2)
  if (!(outer instanceof Error) || !isAboutBody(cause)) return undefined
  return /body "([a-z_]+)" property/.exec(outer.message)?.[1]
}

/**
 * Returns the parameters of the callback where they are at fault, which openid-client verifies before it sends the code;
 * they are absent where one is missing or repeated.
 */
export function refusedParametersOf(
  cause: unknown,
): { readonly expected?: unknown; readonly parameters?: URLSearchParams } | undefined {
  if (!(cause instanceof ClientError) || !(cause.cause instanceof Error)) return undefined
  const about = cause.cause.cause
  if (about === undefined) return {}
  if (!isObject(about) || !('parameters' in about)) return undefined
  const { parameters, expected } = about as { parameters: unknown; expected?: unknown }
  return parameters instanceof URLSearchParams ? { parameters, expected } : undefined
}

/** Returns whether a token's `exp` has passed. */
export function isExpired(cause: unknown): boolean {
  return cause instanceof errors.JWTExpired
}

/** Returns whether the key set has no key for a token. */
export function isUnknownKey(cause: unknown): boolean {
  return cause instanceof errors.JWKSNoMatchingKey
}

/** Returns the claim that is missing or not accepted; `undefined` for any other failure. */
export function failedClaimOf(cause: unknown): string | undefined {
  return cause instanceof errors.JWTClaimValidationFailed ? cause.claim : undefined
}

const TIMES = new Set(['exp', 'iat', 'nbf'])

/** Returns whether a token fails only because of its times, which may be due to a wrong clock (F28). */
export function isAboutTime(cause: unknown): boolean {
  return (
    isExpired(cause) ||
    (cause instanceof errors.JWTClaimValidationFailed &&
      cause.reason === 'check_failed' &&
      TIMES.has(cause.claim))
  )
}

/** Returns the error for a key in a token's own header that is not accepted. */
export function unusableKey(): Error {
  return new errors.JWSInvalid('the key is not usable')
}

/** Returns the error for a key set without keys. */
export function emptyKeySet(): Error {
  return new errors.JWKSInvalid('the key set has no keys')
}

/** Returns the error for a key set that could not be fetched. */
export function keysAnswered(href: string, status: number): Error {
  const facts = { endpoint: 'jwks_uri', url: cleanUrl(href), http_status: status }
  return new ProviderFault(`the key set was answered with ${status}`, undefined, facts)
}

/** Returns the `issuer` of metadata that openid-client refused because of it; `undefined` for any other failure. */
export function foreignIssuerOf(cause: unknown): unknown {
  if (!(cause instanceof ClientError)) return undefined
  if (cause.code !== 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED') return undefined
  const details = cause.cause instanceof Error ? cause.cause.cause : cause.cause
  const { body } = details as { readonly body: { readonly issuer: unknown } }
  return body.issuer
}

/** Returns whether the body of a response is at fault rather than the parameters that the browser sent. */
export function isAboutBody(cause: unknown): boolean {
  return bodyIn(cause) !== undefined
}

function bodyIn(cause: unknown): { readonly body: unknown } | undefined {
  return chainOf(cause).find(
    (each): each is { readonly body: unknown } => 'body' in each && !(each instanceof Response),
  )
}

/** Returns an error with all its causes, outermost first. */
function chainOf(cause: unknown): readonly object[] {
  const chain: object[] = []
  let each = cause
  while (isObject(each) && chain.length < MAX_CAUSES) {
    chain.push(each)
    each = 'cause' in each ? each.cause : undefined
  }
  return chain
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

const MAX_CAUSES = 8
