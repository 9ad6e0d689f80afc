import { cleanText, cleanUrl } from '../../core/clean-text.ts'
import type { FailureFacts } from '../../errors.ts'
import { codeOf, faultIn, notedFactsOf } from '../request/provider-errors.ts'
import { claimFacts, sayClaim } from './claim-facts.ts'
import {
  isClientRefused,
  missingMemberOf,
  type ProviderAnswer,
  refusedParametersOf,
  unreadableIdToken,
  unsentCodeOf,
} from './failed-answer.ts'

/** Request to the provider that failed, for log lines. */
export interface FailedRequest {
  /** Name of the endpoint in the provider's metadata. */
  readonly endpoint?: ProviderEndpoint
  readonly metadata?: Readonly<Partial<Record<ProviderEndpoint, string>>>
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

/** Returns the settings by which the client proves itself, by the method in use. */
function settingsOfClient(authentication = ''): string {
  const isKey = authentication.startsWith('private_key_jwt')
  const proof = isKey ? 'OIDC_CLIENT_PRIVATE_KEY' : 'OIDC_CLIENT_SECRET'
  return `OIDC_CLIENT_ID, ${proof}, OIDC_TOKEN_ENDPOINT_AUTH_METHOD`
}

/** Settings that usually help, by OAuth error. */
const SETTINGS_OF_ERRORS: Readonly<Record<string, string>> = {
  unauthorized_client: 'OIDC_CLIENT_ID',
  invalid_scope: 'OIDC_SCOPES',
  invalid_target: 'OIDC_AUTHORIZATION_PARAMS',
}

/** Collects what is known of a failure at the provider, without secrets and the names of people (finding C53). */
export function failureFacts(
  cause: unknown,
  answer: ProviderAnswer,
  asked: FailedRequest,
): FailureFacts {
  const endpoint = refusedParametersOf(cause) ? 'authorization_endpoint' : asked.endpoint
  const { client_authentication: authentication, ...noted } = notedFactsOf(cause)
  const isClient = isClientRefused(answer)
  const found: FailureFacts = {
    ...placeOf(endpoint, asked),
    ...saidByProvider(answer, endpoint),
    ...claimFacts(cause),
    ...noted,
    ...(isClient && authentication !== undefined && { client_authentication: authentication }),
  }
  const setting =
    found.setting ?? (isClient ? settingsOfClient(authentication) : settingOf(found, cause))
  return { ...found, ...(setting && { setting }) }
}

function placeOf(
  endpoint: ProviderEndpoint | undefined,
  { metadata }: FailedRequest,
): FailureFacts {
  const url = endpoint && metadata?.[endpoint]
  return { ...(endpoint && { endpoint }), ...(url && { url: cleanUrl(url) }) }
}

/** Returns the words of a provider, bounded and without markup (threats A59, A93). */
function saidByProvider(
  { status, error, description }: ProviderAnswer,
  endpoint: ProviderEndpoint | undefined,
): FailureFacts {
  const code = error && withoutMarkup(error, MAX_ERROR_CHARS)
  const text = description && withoutMarkup(description, MAX_CHARS_OF[endpoint ?? ''])
  return {
    ...(status !== undefined && { http_status: status }),
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
  const { oauth_error: error, oauth_error_description: description = '' } = facts
  if (/redirect.?ur[il]/i.test(description)) return 'PUBLIC_URL'
  if (error && Object.hasOwn(SETTINGS_OF_ERRORS, error)) return SETTINGS_OF_ERRORS[error]
  return unsentCodeOf(cause) === undefined ? undefined : 'OIDC_ISSUER_URL'
}

/** Returns a sentence that names a failure and what helps, from its facts alone. */
export function reasonOf(cause: unknown, facts: FailureFacts): string {
  const name = NAMES[facts.endpoint ?? '']
  const whose = name ? `${name} of the provider` : 'the provider'
  return `${whose} ${whatHappened(cause, facts)}${remedyOf(facts)}`
}

function whatHappened(cause: unknown, facts: FailureFacts): string {
  const fault = faultIn(cause)
  if (fault) return `failed: ${fault.message}${statusOf(facts)}`
  const unreadable = unreadableIdToken(cause)
  if (unreadable !== undefined) return `sent an ID token that ${unreadable}`
  const refused = sayClaim(facts)
  if (refused !== undefined) return `answered with a wrong ${refused}`
  const { http_status: status, oauth_error: error, oauth_error_description: description } = facts
  // A visitor can write the description of a callback, so it stands in its own field alone.
  const isFromBrowser = facts.endpoint === 'authorization_endpoint'
  const said = [error, isFromBrowser ? undefined : description].filter(Boolean).join(': ')
  if (said) return `answered ${[status, said].filter(Boolean).join(' ')}`
  return status === undefined ? causeText(cause) : `answered ${status}${unusable(cause, status)}`
}

/** Adds a status that a fault of our own does not name; 200 says nothing. */
function statusOf({ http_status: status = 200 }: FailureFacts): string {
  return status === 200 ? '' : ` (status ${status})`
}

function unusable(cause: unknown, status: number): string {
  if (status !== 200) return ''
  const member = missingMemberOf(cause)?.replaceAll('_', ' ')
  return member === undefined
    ? ` with what is no answer (${codeOf(cause)})`
    : ` without a usable ${member}`
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
  const code = codeOf(cause)
  return TEXTS[code] ?? (code ? `failed (${code})` : 'gave no answer')
}

function remedyOf({ setting }: FailureFacts): string {
  return setting === undefined ? '' : `; check ${setting}`
}
