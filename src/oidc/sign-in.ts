import { type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import * as client from 'openid-client'
import type { Claims } from '../core/identity.ts'
import { AuthError, type AuthErrorCode } from '../errors.ts'
import { createKeySet } from './key-set.ts'
import { CLOCK_TOLERANCE_SECONDS, type ProviderConnection } from './provider.ts'

/** What an authorization request carries; the rest is configuration. */
export interface AuthorizationRequest {
  readonly redirectUri: string
  readonly state: string
  readonly nonce: string
  readonly codeChallenge: string
  /** Asks the provider to have the user sign in anew. */
  readonly prompt?: 'login'
}

/** The provider's answer at the redirect URI and what it must match. */
export interface AuthorizationResponse {
  /** The redirect URI from configuration with the query as received. */
  readonly url: URL
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

/** What a redeemed code gave, everything verified. */
export interface Grant {
  /** ID token claims, completed from UserInfo. */
  readonly claims: Claims
  readonly idToken: string
  /** When the ID token ends, in seconds since the epoch. */
  readonly idTokenExpiresAt: number
  readonly accessToken: string
  readonly refreshToken?: string
  readonly accessTokenExpiresInSeconds?: number
}

export interface SignIn {
  authorizationUrl(request: AuthorizationRequest): Promise<URL>
  /**
   * Redeems the code. Throws `AuthError`: `sign_in_failed` when the answer or the token is refused,
   * `provider_unavailable` when the provider cannot be reached, `provider_failed` when it answers nonsense.
   */
  redeem(response: AuthorizationResponse): Promise<Grant>
  /** Where RP-initiated logout goes (OpenID Connect RP-Initiated Logout 1.0); nothing when the provider has none. */
  endSessionUrl(
    idToken: string | undefined,
    postLogoutRedirectUri: string,
  ): Promise<URL | undefined>
}

export interface SignInOptions {
  readonly connection: ProviderConnection
  readonly clientId: string
  readonly scopes: string
  readonly userInfo: 'auto' | 'always' | 'never'
  /** Whether headers or rules want more than these claims have. */
  readonly needsMore: (claims: Claims) => boolean
}

const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]
const TEN_YEARS_SECONDS = 10 * 365 * 86_400

/** Authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9207). */
export function createSignIn(options: SignInOptions): SignIn {
  const keySets = new Map<string, JWTVerifyGetKey>()
  const keySetOf = (configuration: client.Configuration): JWTVerifyGetKey => {
    const uri = configuration.serverMetadata().jwks_uri as string
    return keySets.getOrInsertComputed(uri, () => createKeySet(new URL(uri)))
  }
  return {
    async authorizationUrl({ redirectUri, state, nonce, codeChallenge, prompt }) {
      return client.buildAuthorizationUrl(await options.connection.configuration(), {
        redirect_uri: redirectUri,
        scope: options.scopes,
        state,
        nonce,
        code_challenge: codeChallenge,
        code_challenge_method: 'S256',
        response_mode: 'query',
        ...(prompt && { prompt }),
      })
    },

    async redeem(response) {
      const configuration = await options.connection.configuration()
      const tokens = await client
        .authorizationCodeGrant(configuration, response.url, {
          expectedState: response.state,
          expectedNonce: response.nonce,
          pkceCodeVerifier: response.codeVerifier,
          idTokenExpected: true,
        })
        .catch(translate)
      const idToken = tokens.id_token as string
      const payload = await verifyIdToken(
        idToken,
        configuration,
        keySetOf(configuration),
        options.clientId,
      )
      const expiresIn = tokens.expiresIn()
      return {
        claims: await complete(payload, tokens.access_token, configuration, options),
        idToken,
        idTokenExpiresAt: payload.exp as number,
        accessToken: tokens.access_token,
        ...(tokens.refresh_token !== undefined && { refreshToken: tokens.refresh_token }),
        ...(expiresIn !== undefined && { accessTokenExpiresInSeconds: expiresIn }),
      }
    },

    async endSessionUrl(idToken, postLogoutRedirectUri) {
      const configuration = await options.connection.configuration()
      if (!configuration.serverMetadata().end_session_endpoint) return undefined
      return client.buildEndSessionUrl(configuration, {
        post_logout_redirect_uri: postLogoutRedirectUri,
        ...(idToken && { id_token_hint: idToken }),
      })
    },
  }
}

/**
 * The signature is verified although the token came over TLS (openid-client leaves that out), and what openid-client
 * does not look at: `typ`, a reasonable `exp`, an `iat` of now, a `sub` that is text (threats A80-A84).
 */
async function verifyIdToken(
  idToken: string,
  configuration: client.Configuration,
  keySet: JWTVerifyGetKey,
  clientId: string,
): Promise<JWTPayload> {
  const { payload, protectedHeader } = await jwtVerify(idToken, keySet, {
    issuer: configuration.serverMetadata().issuer,
    audience: clientId,
    algorithms: ALGORITHMS,
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    maxTokenAge: 600,
    requiredClaims: ['sub', 'exp', 'iat', 'nonce'],
  }).catch(translate)
  const { exp = Number.NaN, iat = 0, sub } = payload
  const isIdToken = protectedHeader.typ === undefined || protectedHeader.typ.toUpperCase() === 'JWT'
  if (!isIdToken) throw new AuthError('sign_in_failed', 'the ID token has another type')
  if (!(exp - iat < TEN_YEARS_SECONDS))
    throw new AuthError('sign_in_failed', 'the ID token lives too long')
  if (typeof sub !== 'string' || sub === '')
    throw new AuthError('sign_in_failed', 'the ID token has no sub')
  return payload
}

async function complete(
  claims: JWTPayload,
  accessToken: string,
  configuration: client.Configuration,
  { userInfo, needsMore }: SignInOptions,
): Promise<Claims> {
  const isOffered = configuration.serverMetadata().userinfo_endpoint !== undefined
  const isAsked = userInfo === 'always' || (userInfo === 'auto' && isOffered && needsMore(claims))
  if (!isAsked) return claims
  const more = await client
    .fetchUserInfo(configuration, accessToken, claims.sub as string)
    .catch(translate)
  return merge(claims, more)
}

/** The ID token wins, and a verification is only taken over together with the address it is about. */
function merge(claims: JWTPayload, more: client.UserInfoResponse): Claims {
  const { email_verified, ...rest } = more
  const isSameAddress = !Object.hasOwn(claims, 'email') || claims['email'] === more.email
  return { ...rest, ...(isSameAddress && { email_verified }), ...claims }
}

/** What the codes of openid-client and jose mean; every other failure is one of reaching the provider. */
const MEANING: Readonly<Record<string, AuthErrorCode>> = {
  OAUTH_AUTHORIZATION_RESPONSE_ERROR: 'sign_in_failed',
  OAUTH_RESPONSE_BODY_ERROR: 'sign_in_failed',
  OAUTH_INVALID_RESPONSE: 'sign_in_failed',
  OAUTH_JWT_CLAIM_COMPARISON_FAILED: 'sign_in_failed',
  OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED: 'sign_in_failed',
  OAUTH_JWT_TIMESTAMP_CHECK_FAILED: 'sign_in_failed',
  OAUTH_UNSUPPORTED_OPERATION: 'sign_in_failed',
  OAUTH_WWW_AUTHENTICATE_CHALLENGE: 'provider_failed',
  OAUTH_RESPONSE_IS_NOT_CONFORM: 'provider_failed',
  OAUTH_RESPONSE_IS_NOT_JSON: 'provider_failed',
  OAUTH_PARSE_ERROR: 'provider_failed',
  ERR_JWT_CLAIM_VALIDATION_FAILED: 'sign_in_failed',
  ERR_JWT_EXPIRED: 'sign_in_failed',
  ERR_JWT_INVALID: 'sign_in_failed',
  ERR_JWS_INVALID: 'sign_in_failed',
  ERR_JOSE_ALG_NOT_ALLOWED: 'sign_in_failed',
  ERR_JOSE_NOT_SUPPORTED: 'sign_in_failed',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'sign_in_failed',
  ERR_JWKS_NO_MATCHING_KEY: 'sign_in_failed',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'sign_in_failed',
  ERR_JWKS_INVALID: 'provider_failed',
}

/** Turns what openid-client and jose throw into our error, by code and status, never by text. */
function translate(cause: unknown): never {
  const code = codeOf(cause)
  const status = statusOf(cause)
  const meaning = status >= 500 || status === 429 ? undefined : MEANING[code]
  throw new AuthError(meaning ?? 'provider_unavailable', `the provider: ${code || 'no answer'}`, {
    cause,
  })
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string'
    ? cause.code
    : ''
}

function statusOf(cause: unknown): number {
  if (cause instanceof client.ResponseBodyError) return cause.status
  return cause instanceof Error && cause.cause instanceof Response ? cause.cause.status : 0
}
