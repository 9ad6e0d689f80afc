import * as client from 'openid-client'
import type { Claims } from '../core/claims.ts'
import type { AuthError } from '../errors.ts'
import { metadataOf } from './discovery/configurations.ts'
import { type EndSessionOptions, type EndSessionRequest, endSessionUrl } from './end-session.ts'
import { type CodeFate, fateOfCode } from './failure/code-fate.ts'
import { refusedAuthorization } from './failure/refused-authorization.ts'
import { translate } from './failure/translate.ts'
import { receivedIdToken } from './request/provider-answer.ts'
import { verifyIdToken } from './tokens/id-token.ts'
import { type UserInfoOptions, withUserInfo } from './user-info.ts'

/** Parameters of an authorization request besides the configured ones; a visitor chooses none of them (threat A69). */
export interface AuthorizationRequest {
  readonly redirectUri: string
  readonly state: string
  readonly nonce: string
  readonly codeChallenge: string
  /** Makes the provider ask for credentials again. */
  readonly prompt?: 'login'
}

/** Authorization response at the redirect URI, and the values that it must match. */
export interface AuthorizationResponse {
  /** Configured redirect URI with the query as received. */
  readonly url: URL
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
  /** Called when the code is or may be spent, so that trying again means a new login (finding C22). */
  readonly onSpent: (fate: Exclude<CodeFate, 'unspent'>) => void
}

/** Response of the token endpoint (RFC 6749 section 5.1). */
export interface IssuedTokens {
  readonly idToken?: string
  readonly accessToken: string
  readonly refreshToken?: string
  readonly accessTokenExpiresInSeconds?: number
}

/** Verified result of a redeemed code. */
export interface Grant extends IssuedTokens {
  /** Claims of the ID token, completed from UserInfo. */
  readonly claims: Claims
  /** Sources of claims that were left out, each with its reason. */
  readonly ignored: readonly string[]
  readonly idToken: string
  /** `exp` of the ID token, in seconds since the epoch. */
  readonly idTokenExpiresAtSeconds: number
}

/** Tokens to revoke. */
export interface RevocableTokens {
  readonly accessToken: string
  readonly refreshToken?: string
}

/** Requests of the authorization code flow with PKCE, and the revocation of tokens. */
export interface SignIn {
  authorizationUrl(request: AuthorizationRequest): Promise<URL>
  /**
   * Redeems the code. Throws `AuthError`: `sign_in_failed` when the code is refused, `sign_in_misconfigured` when the
   * client is, `sign_in_refused` when a token fails verification, `provider_unavailable` when the provider cannot be reached,
   * `provider_failed` when its response is malformed.
   */
  redeem(response: AuthorizationResponse): Promise<Grant>
  /**
   * Returns the error for an authorization error response (RFC 6749 section 4.1.2.1): `provider_unavailable` for what may
   * pass, `access_denied`, `sign_in_refused` for a fault of the settings, else `sign_in_failed`.
   */
  refusal(error: string, description: string | undefined): Promise<AuthError>
  /**
   * Revokes the tokens, the refresh token first (RFC 7009), where the provider offers revocation. Throws `AuthError`
   * like `redeem` when one of the two requests failed, after both have been sent.
   */
  revoke(tokens: RevocableTokens): Promise<void>
  /** Returns the URL of the provider's sign-out; `undefined` when it has none. */
  endSessionUrl(request: EndSessionRequest): Promise<URL | undefined>
}

export interface SignInOptions extends UserInfoOptions, EndSessionOptions {
  readonly scopes: string
  /** Additional parameters of every authorization request; a name may occur more than once. */
  readonly authorizationParams: readonly (readonly [name: string, value: string])[]
}

/** Implements the code flow with PKCE, state and nonce (OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9207). */
export function createSignIn(options: SignInOptions): SignIn {
  return {
    async authorizationUrl(request) {
      const parameters = authorizationParameters(request, options)
      return client.buildAuthorizationUrl(await options.connection.configuration(), parameters)
    },
    redeem: (response) => redeemCode(response, options),
    async refusal(error, description) {
      const { connection } = options
      const configuration = connection.isDiscovered ? await connection.configuration() : undefined
      return refusedAuthorization(error, description, configuration && metadataOf(configuration))
    },
    async revoke(tokens) {
      await revokeTokens(tokens, await options.connection.configuration())
    },
    endSessionUrl: (request) => endSessionUrl(options, request),
  }
}

function authorizationParameters(
  { redirectUri, state, nonce, codeChallenge, prompt }: AuthorizationRequest,
  { scopes, authorizationParams }: SignInOptions,
): URLSearchParams {
  const parameters = new URLSearchParams({
    redirect_uri: redirectUri,
    scope: scopes,
    state,
    nonce,
    code_challenge: codeChallenge,
    code_challenge_method: 'S256',
    response_mode: 'query',
  })
  for (const [name, value] of authorizationParams) parameters.append(name, value)
  if (prompt) parameters.set('prompt', withPrompt(parameters.get('prompt'), prompt))
  return parameters
}

/** Adds a prompt to the configured ones, each once (OpenID Connect Core 1.0 section 3.1.2.1). */
function withPrompt(configured: string | null, prompt: string): string {
  return [...new Set([...(configured?.split(' ') ?? []), prompt])].join(' ')
}

async function redeemCode(response: AuthorizationResponse, options: SignInOptions): Promise<Grant> {
  const configuration = await options.connection.configuration()
  const metadata = metadataOf(configuration)
  // Verifies `auth_time`, because a provider may ignore `max_age` (OpenID Connect Core 1.0 section 3.1.3.7).
  const maxAge = options.authorizationParams.find(([name]) => name === 'max_age')?.[1]
  const tokens = await client
    .authorizationCodeGrant(configuration, response.url, {
      expectedState: response.state,
      expectedNonce: response.nonce,
      pkceCodeVerifier: response.codeVerifier,
      idTokenExpected: true,
      ...(maxAge && { maxAge: Number(maxAge) }),
    })
    .catch((cause: unknown) => refuseCode(cause, metadata, response.onSpent))
  response.onSpent('spent')
  const idToken = receivedIdToken(tokens) as string
  const payload = await verifyIdToken({ idToken, metadata }, options)
  return {
    ...toIssuedTokens(tokens),
    idToken,
    ...(await withUserInfo(payload, tokens.access_token, configuration, options)),
    idTokenExpiresAtSeconds: payload.exp as number,
  }
}

async function refuseCode(
  cause: unknown,
  metadata: client.ServerMetadata,
  onSpent: AuthorizationResponse['onSpent'],
): Promise<never> {
  const fate = await fateOfCode(cause)
  if (fate !== 'unspent') onSpent(fate)
  return translate(cause, { endpoint: 'token_endpoint', metadata })
}

/** Maps a token response to plain values; openid-client's object also has methods. */
export function toIssuedTokens(
  tokens: client.TokenEndpointResponse & client.TokenEndpointResponseHelpers,
): IssuedTokens {
  const { access_token: accessToken, refresh_token: refreshToken } = tokens
  const idToken = receivedIdToken(tokens)
  const accessTokenExpiresInSeconds = tokens.expiresIn()
  return {
    accessToken,
    ...(idToken !== undefined && { idToken }),
    ...(refreshToken !== undefined && { refreshToken }),
    ...(accessTokenExpiresInSeconds !== undefined && { accessTokenExpiresInSeconds }),
  }
}

async function revokeTokens(
  { refreshToken, accessToken }: RevocableTokens,
  configuration: client.Configuration,
): Promise<void> {
  if (!metadataOf(configuration).revocation_endpoint) return
  const failures: unknown[] = []
  for (const [hint, token] of [
    ['refresh_token', refreshToken],
    ['access_token', accessToken],
  ] as const) {
    if (token === undefined) continue
    await client
      .tokenRevocation(configuration, token, { token_type_hint: hint })
      .catch((cause: unknown) => failures.push(cause))
  }
  const [first] = failures
  const metadata = metadataOf(configuration)
  if (first !== undefined) await translate(first, { endpoint: 'revocation_endpoint', metadata })
}
