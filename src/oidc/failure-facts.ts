import type { ServerMetadata } from 'openid-client'
import { cleanText, cleanUrl } from '../core/clean-text.ts'
import { AuthError, type FailureFacts } from '../errors.ts'
import {
  codeOf,
  faultIn,
  missingMemberOf,
  type ProviderAnswer,
  refusedClaimOf,
  refusedParametersOf,
  unsentCodeOf,
} from './provider-errors.ts'

/** Request to the provider that failed, for log lines. */
export interface Asked {
  /** Name of the endpoint in the provider's metadata. */
  readonly endpoint?: ProviderEndpoint
  readonly metadata?: ServerMetadata
}

/** Endpoints by their names in metadata. */
export type ProviderEndpoint =
  | 'authorization_endpoint'
  | 'token_endpoint'
  | 'userinfo_endpoint'
  | 'jwks_uri'
  | 'revocation_endpoint'

const NAMES: Readonly<Record<string, string>> = {
  authorization_endpoint: 'the authorization endpoint',
  token_endpoint: 'the token endpoint',
  userinfo_endpoint: 'the UserInfo endpoint',
  jwks_uri: 'the key set',
  revocation_endpoint: 'the revocation endpoint',
}

/** Settings that usually help, by OAuth error. */
const SETTINGS_OF_ERRORS: Readonly<Record<string, string>> = {
  invalid_client: 'OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, OIDC_TOKEN_ENDPOINT_AUTH_METHOD',
  unauthorized_client: 'OIDC_CLIENT_ID',
  invalid_scope: 'OIDC_SCOPES',
  invalid_target: 'OIDC_AUTHORIZATION_PARAMS',
}

/** Settings that usually help, by claim of a refused token. */
const SETTINGS_OF_CLAIMS: Readonly<Record<string, string>> = {
  iss: 'OIDC_ISSUER_URL',
  aud: 'OIDC_CLIENT_ID',
  azp: 'OIDC_CLIENT_ID',
}

const TIMES: ReadonlySet<string> = new Set(['exp', 'iat', 'nbf', 'auth_time'])

/** Collects what is known of a failure at the provider, without secrets and the names of people (finding C53). */
export function factsOf(cause: unknown, answer: ProviderAnswer, asked: Asked): FailureFacts {
  const { endpoint, metadata } = asked
  const address = endpoint && metadata?.[endpoint]
  const { status, error, description } = answer
  const found: FailureFacts = {
    ...(endpoint && { endpoint }),
    ...(address && { url: cleanUrl(address) }),
    ...(status !== undefined && { http_status: status }),
    ...saidByProvider(error, description, endpoint),
    ...claimFactsOf(cause),
    ...parameterFactsOf(cause),
    ...faultIn(cause)?.facts,
  }
  const setting = found.setting ?? settingOf(found, cause)
  return { ...found, ...(setting && { setting }) }
}

/** Names the claim of a token; its value only where that names no person. */
function claimFactsOf(cause: unknown): FailureFacts {
  const refused = refusedClaimOf(cause)
  if (!refused) return {}
  const { claim, claims, expected } = refused
  const isShown = claim === 'iss' || claim === 'aud' || claim === 'azp' || TIMES.has(claim)
  return {
    claim,
    ...(isShown && expected !== undefined && { expected: shown(expected) }),
    ...(isShown && claims[claim] !== undefined && { received: shown(claims[claim]) }),
  }
}

function parameterFactsOf(cause: unknown): FailureFacts {
  const { expected, parameters } = refusedParametersOf(cause) ?? {}
  if (!parameters) return {}
  const received = parameters.get('iss')
  return {
    endpoint: 'authorization_endpoint',
    claim: 'iss',
    ...(expected !== undefined && { expected: shown(expected) }),
    ...(received && { received: shown(received) }),
  }
}

function shown(value: unknown): string {
  return withoutMarkup(typeof value === 'string' ? value : JSON.stringify(value))
}

/** Returns the words of a provider, bounded and without markup (threats A59, A93). */
function saidByProvider(
  error: string | undefined,
  description: string | undefined,
  endpoint: string | undefined,
): FailureFacts {
  const code = error && withoutMarkup(error, MAX_ERROR_CHARS)
  const text = description && withoutMarkup(description, MAX_CHARS_OF[endpoint ?? ''])
  return {
    ...(code && { oauth_error: code }),
    ...(text && { oauth_error_description: text }),
  }
}

const MAX_ERROR_CHARS = 60
/** Bounds what a visitor can write into a line more tightly than what a provider can. */
const MAX_CHARS_OF: Readonly<Record<string, number>> = { authorization_endpoint: 120 }

function withoutMarkup(text: string, maxChars?: number): string {
  return cleanText(text, maxChars).replaceAll(/[<>]+/g, ' ').trim()
}

function settingOf(facts: FailureFacts, cause: unknown): string | undefined {
  const { oauth_error: error, oauth_error_description: description = '', claim } = facts
  if (/redirect.?ur[il]/i.test(description)) return 'PUBLIC_URL'
  if (facts.http_status === 401 && error === 'unauthorized_client')
    return SETTINGS_OF_ERRORS['invalid_client']
  if (error && Object.hasOwn(SETTINGS_OF_ERRORS, error)) return SETTINGS_OF_ERRORS[error]
  if (claim && Object.hasOwn(SETTINGS_OF_CLAIMS, claim)) return SETTINGS_OF_CLAIMS[claim]
  const unsent = unsentCodeOf(cause)
  if (unsent === undefined) return undefined
  return /CERT|UNABLE/.test(unsent) ? 'OIDC_CA_FILE' : 'OIDC_ISSUER_URL'
}

/** Returns a sentence that names a failure and what helps, from its facts alone. */
export function reasonOf(cause: unknown, facts: FailureFacts): string {
  const name = NAMES[facts.endpoint ?? '']
  const whose = name ? `${name} of the provider` : 'the provider'
  return `${whose} ${whatHappened(cause, facts)}${remedyOf(facts)}`
}

function whatHappened(cause: unknown, facts: FailureFacts): string {
  const own = cause instanceof AuthError ? cause : faultIn(cause)
  if (own) return `failed: ${own.message}`
  const { http_status: status, oauth_error: error, oauth_error_description: description } = facts
  // A visitor can write the description of a callback, so it stands in its own field alone.
  const isFromBrowser = facts.endpoint === 'authorization_endpoint'
  if (facts.claim) return `sent what was refused: ${aboutClaim(facts)}`
  const said = [error, isFromBrowser ? undefined : description].filter(Boolean).join(': ')
  if (status !== undefined)
    return said ? `answered ${status} ${said}` : `answered ${status}${unusable(cause, status)}`
  if (said) return `answered ${said}`
  return causeText(cause)
}

function unusable(cause: unknown, status: number): string {
  if (status !== 200) return ''
  const member = missingMemberOf(cause)?.replaceAll('_', ' ')
  return member === undefined
    ? ` with what is no answer (${codeOf(cause)})`
    : ` without a usable ${member}`
}

function aboutClaim({ claim, expected, received }: FailureFacts): string {
  const wanted = expected === undefined ? '' : `, expected ${expected}`
  return `claim ${claim} is ${received ?? 'missing'}${wanted}`
}

const TEXTS: Readonly<Record<string, string>> = {
  OAUTH_TIMEOUT: 'did not answer in time',
  ERR_JWKS_TIMEOUT: 'did not answer in time',
  OAUTH_PARSE_ERROR: 'answered with a text that is not JSON',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'sent a token whose signature no key verifies',
  ERR_JWKS_NO_MATCHING_KEY: 'has no key for the signature of a token',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'has several keys for the signature of a token',
  ERR_JOSE_ALG_NOT_ALLOWED: 'sent a token with an algorithm that is not allowed',
  ERR_JWKS_INVALID: 'is not usable',
}

function causeText(cause: unknown): string {
  const unsent = unsentCodeOf(cause)
  if (unsent) return `could not be reached (${unsent})`
  const code = codeOf(cause)
  if (cause instanceof Error && cause.name === 'TimeoutError') return 'did not answer in time'
  return TEXTS[code] ?? (code ? `failed (${code})` : 'gave no answer')
}

function remedyOf({ setting, claim }: FailureFacts): string {
  if (setting) return `; check ${setting}`
  return claim && TIMES.has(claim) ? '; check the clocks of both machines' : ''
}
