import type { JWTPayload } from 'jose'
import * as client from 'openid-client'
import type { Claims } from '../core/claims.ts'
import { cleanUrl } from '../core/clean-text.ts'
import { completeClaims } from '../core/complete-claims.ts'
import { isRecord, parseJson } from '../core/json.ts'
import { AuthError, type FailureFacts } from '../errors.ts'
import { acceptedAlgorithms } from './discovery/accepted-algorithms.ts'
import { metadataOf } from './discovery/configurations.ts'
import { isPassing } from './failure/final-answers.ts'
import { isVerificationFailure, translate, VerificationError } from './failure/translate.ts'
import { WRONG_CONTENT_TYPE } from './request/answer-type.ts'
import { challengeOf, codeOf, ProviderFault, responseOf } from './request/provider-errors.ts'
import { CONTENT_ENCODED, REDIRECTED } from './request/provider-fetch.ts'
import { TOO_LARGE } from './request/read-bounded.ts'
import type { IdTokenOptions } from './tokens/id-token.ts'
import { CLOCK_TOLERANCE_SECONDS } from './tokens/token-rules.ts'

/** Conditions for a UserInfo request, and what verifies a signed answer. */
export interface UserInfoOptions extends IdTokenOptions {
  readonly userInfo: 'auto' | 'always' | 'never'
  /** Returns whether headers or rules need claims that are missing here. */
  readonly needsMore: (claims: Claims) => boolean
}

/** Claims of a user, and the sources that were left out, each with its reason. */
export interface CompletedClaims {
  readonly claims: Claims
  readonly ignored: readonly string[]
}

/** Answer of UserInfo; `left-out` where it refused or cannot be used. */
type Answer =
  | { readonly kind: 'claims'; readonly claims: Claims }
  | { readonly kind: 'left-out'; readonly reason: string; readonly status?: number }

const ENDPOINT = 'userinfo_endpoint'

/**
 * Completes the claims of an ID token from UserInfo where the options say so (OpenID Connect Core 1.0 section 5.3); with
 * `auto` an answer that refuses or cannot be read is left out (C22). Throws `AuthError`: `provider_failed` for such an
 * answer with `always`, `provider_unavailable` without an answer, `sign_in_failed` for one about another user.
 */
export async function withUserInfo(
  claims: JWTPayload,
  accessToken: string,
  configuration: client.Configuration,
  options: UserInfoOptions,
): Promise<CompletedClaims> {
  const { userInfo, needsMore } = options
  const { userinfo_endpoint: endpoint } = metadataOf(configuration)
  const isAsked =
    userInfo === 'always' || (userInfo === 'auto' && endpoint !== undefined && needsMore(claims))
  if (!isAsked) return { claims, ignored: [] }
  const answer: Answer =
    endpoint === undefined
      ? leftOut('not offered by the metadata')
      : await ask(new URL(endpoint), accessToken, configuration, options)
  if (answer.kind === 'claims') {
    requireSameSubject(claims, answer.claims)
    return { claims: completeClaims(claims, answer.claims), ignored: [] }
  }
  const { reason, status } = answer
  if (userInfo === 'auto') return { claims, ignored: [`userinfo: ${reason}`] }
  throw new AuthError('provider_failed', `the provider: UserInfo ${reason}`, {
    facts: { ...factsOf(endpoint, status), setting: 'OIDC_USERINFO' },
  })
}

/** Requires the subject of the ID token, because the access token may be another user's (section 5.3.2, threat A35). */
function requireSameSubject({ sub }: JWTPayload, more: Claims): void {
  if (more['sub'] === sub) return
  throw new VerificationError('the provider: UserInfo is about another user', {
    facts: {
      endpoint: ENDPOINT,
      claim: 'sub',
      expected: 'the sub of the ID token',
      received: 'another value',
    },
  })
}

async function ask(
  endpoint: URL,
  accessToken: string,
  configuration: client.Configuration,
  options: UserInfoOptions,
): Promise<Answer> {
  const headers = new Headers({ Accept: 'application/json, application/jwt' })
  try {
    const response = await client
      .fetchProtectedResource(configuration, accessToken, endpoint, 'GET', null, headers)
      .catch(refusalOf)
    return await read(response, configuration, options)
  } catch (cause) {
    const fault = faultOf(cause)
    if (fault !== undefined) return leftOut(fault)
    return translate(cause, { endpoint: ENDPOINT, metadata: metadataOf(configuration) })
  }
}

/** Returns the answer that openid-client throws because of its challenge; a status says enough. */
function refusalOf(cause: unknown): Response {
  const response = responseOf(cause)
  if (!response) throw cause
  return response
}

async function read(
  response: Response,
  configuration: client.Configuration,
  options: UserInfoOptions,
): Promise<Answer> {
  const { status, headers } = response
  const mayPass = options.userInfo === 'always' && isPassing({ status })
  if (status >= 500 || mayPass) {
    const message = `the provider: UserInfo answered ${status}`
    throw new AuthError('provider_unavailable', message, { facts: factsOf(response.url, status) })
  }
  if (status !== 200) return { ...leftOut(`refused (${challengeOf(response) ?? status})`), status }
  const text = (await response.text()).trim()
  const isSigned = /^application\/(?:[\w.+-]+\+)?jwt(?:;|$)/i.test(
    headers.get('content-type') ?? '',
  )
  return isSigned ? readSigned(text, configuration, options) : usable(parseJson(text))
}

function usable(json: unknown): Answer {
  if (!isRecord(json)) return leftOut('unreadable: not a JSON object')
  return typeof json['sub'] === 'string'
    ? { kind: 'claims', claims: json }
    : leftOut('unreadable: no sub')
}

/** Verifies a signed answer, with issuer and audience where it names them (section 5.3.4; C71). */
async function readSigned(
  jwt: string,
  configuration: client.Configuration,
  { keySets, clientId }: UserInfoOptions,
): Promise<Answer> {
  if (jwt.split('.').length === 5) return leftOut('unreadable: encrypted')
  const metadata = metadataOf(configuration)
  const { issuer, jwks_uri, userinfo_signing_alg_values_supported: listed } = metadata
  const how = {
    algorithms: [...acceptedAlgorithms({ id_token_signing_alg_values_supported: listed })],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
  }
  const { payload } = await keySets(jwks_uri as string).verify(jwt, how, 'provider')
  const { iss = issuer, aud = clientId } = payload
  if (iss !== issuer) return leftOut('unreadable: iss is another issuer')
  if (![aud].flat().includes(clientId)) return leftOut('unreadable: aud is another client')
  return usable(payload)
}

const UNREADABLE = new Set([CONTENT_ENCODED, WRONG_CONTENT_TYPE, REDIRECTED, TOO_LARGE])

/** Returns what is wrong with an answer; `undefined` where there is none, so that it cannot be judged. */
function faultOf(cause: unknown): string | undefined {
  if (cause instanceof AuthError) return undefined
  if (cause instanceof ProviderFault) {
    return UNREADABLE.has(codeOf(cause)) ? `unreadable: ${cause.message}` : undefined
  }
  return isVerificationFailure(cause) ? `unreadable: not verified (${codeOf(cause)})` : undefined
}

function leftOut(reason: string): Answer & { kind: 'left-out' } {
  return { kind: 'left-out', reason }
}

function factsOf(url: string | undefined, status: number | undefined): FailureFacts {
  return {
    endpoint: ENDPOINT,
    ...(url && { url: cleanUrl(url) }),
    ...(status !== undefined && { http_status: status }),
  }
}
