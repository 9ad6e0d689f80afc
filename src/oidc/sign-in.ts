import * as client from 'openid-client'
import type { Claims } from '../core/identity.ts'
import { type EndSessionOptions, type EndSessionRequest, endSessionUrl } from './end-session.ts'
import { verifyIdToken } from './id-token.ts'
import type { KeySets } from './key-set.ts'
import { translate } from './translate.ts'
import { type UserInfoOptions, withUserInfo } from './user-info.ts'

/** What an authorization request carries; the rest is configuration, and none of it the visitor's (threat A69). */
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

/** What the token endpoint gave (RFC 6749 section 5.1). */
export interface IssuedTokens {
  readonly idToken?: string
  readonly accessToken: string
  readonly refreshToken?: string
  readonly accessTokenExpiresInSeconds?: number
}

/** What a redeemed code gave, everything verified. */
export interface Grant extends IssuedTokens {
  /** ID token claims, completed from UserInfo. */
  readonly claims: Claims
  readonly idToken: string
  /** When the ID token ends, in seconds since the epoch. */
  readonly idTokenExpiresAt: number
}

/** Tokens that are of no more use. */
export interface RevocableTokens {
  readonly accessToken: string
  readonly refreshToken?: string
}

export interface SignIn {
  authorizationUrl(request: AuthorizationRequest): Promise<URL>
  /**
   * Redeems the code. Throws `AuthError`: `sign_in_failed` when the answer or the token is refused,
   * `provider_unavailable` when the provider cannot be reached, `provider_failed` when it answers nonsense.
   */
  redeem(response: AuthorizationResponse): Promise<Grant>
  /**
   * Revokes what can be revoked, the refresh token first (RFC 7009); nothing where the provider offers no revocation.
   * Throws `AuthError` like `redeem` when one of them could not be, after both have been tried.
   */
  revoke(tokens: RevocableTokens): Promise<void>
  /** Where the provider's part of a sign-out is; nothing when it has none. */
  endSessionUrl(request: EndSessionRequest): Promise<URL | undefined>
}

export interface SignInOptions extends UserInfoOptions, EndSessionOptions {
  readonly keySets: KeySets
  readonly scopes: string
  /** What every authorization request says beside what it has to; a name may occur more than once. */
  readonly authorizationParams: readonly (readonly [name: string, value: string])[]
}

/** Authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9207). */
export function createSignIn(options: SignInOptions): SignIn {
  // A provider need not heed what it was asked for, so `auth_time` is looked at (section 3.1.3.7).
  const maxAge = options.authorizationParams.find(([name]) => name === 'max_age')?.[1]
  return {
    async authorizationUrl({ redirectUri, state, nonce, codeChallenge, prompt }) {
      const parameters = new URLSearchParams({
        redirect_uri: redirectUri,
        scope: options.scopes,
        state,
        nonce,
        code_challenge: codeChallenge,
        code_challenge_method: 'S256',
        response_mode: 'query',
      })
      for (const [name, value] of options.authorizationParams) parameters.append(name, value)
      if (prompt) parameters.set('prompt', withPrompt(parameters.get('prompt'), prompt))
      return client.buildAuthorizationUrl(await options.connection.configuration(), parameters)
    },

    async redeem(response) {
      const configuration = await options.connection.configuration()
      const tokens = await client
        .authorizationCodeGrant(configuration, response.url, {
          expectedState: response.state,
          expectedNonce: response.nonce,
          pkceCodeVerifier: response.codeVerifier,
          idTokenExpected: true,
          ...(maxAge && { maxAge: Number(maxAge) }),
        })
        .catch(translate)
      const idToken = tokens.id_token as string
      const { issuer, jwks_uri } = configuration.serverMetadata()
      const payload = await verifyIdToken(idToken, options.keySets(jwks_uri as string), {
        issuer,
        clientId: options.clientId,
      })
      const expiresIn = tokens.expiresIn()
      return {
        claims: await withUserInfo(payload, tokens.access_token, configuration, options),
        idToken,
        idTokenExpiresAt: payload.exp as number,
        accessToken: tokens.access_token,
        ...(tokens.refresh_token !== undefined && { refreshToken: tokens.refresh_token }),
        ...(expiresIn !== undefined && { accessTokenExpiresInSeconds: expiresIn }),
      }
    },

    async revoke({ refreshToken, accessToken }) {
      const configuration = await options.connection.configuration()
      if (!configuration.serverMetadata().revocation_endpoint) return
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
      if (failures.length > 0) translate(failures[0])
    },

    endSessionUrl: (request) => endSessionUrl(options, request),
  }
}

/** Beside what is configured: a list in which each value stands once (OpenID Connect Core 1.0 section 3.1.2.1). */
function withPrompt(configured: string | null, prompt: string): string {
  return [...new Set([...(configured?.split(' ') ?? []), prompt])].join(' ')
}
