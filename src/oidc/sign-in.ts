import * as client from 'openid-client'
import type { Claims } from '../core/identity.ts'
import { verifyIdToken } from './id-token.ts'
import type { KeySets } from './key-set.ts'
import type { ProviderConnection } from './provider.ts'
import { translate } from './translate.ts'
import { type UserInfoOptions, withUserInfo } from './user-info.ts'

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
  /** Revokes what can be revoked, the refresh token first (RFC 7009); nothing where the provider offers no revocation. */
  revoke(tokens: RevocableTokens): Promise<void>
  /** Where RP-initiated logout goes (OpenID Connect RP-Initiated Logout 1.0); nothing when the provider has none. */
  endSessionUrl(
    idToken: string | undefined,
    postLogoutRedirectUri: string,
    state?: string,
  ): Promise<URL | undefined>
}

export interface SignInOptions extends UserInfoOptions {
  readonly connection: ProviderConnection
  readonly keySets: KeySets
  readonly clientId: string
  readonly scopes: string
}

/** Authorization code flow with PKCE, state and nonce (OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9207). */
export function createSignIn(options: SignInOptions): SignIn {
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
      for (const token of [refreshToken, accessToken]) {
        if (token !== undefined) await client.tokenRevocation(configuration, token).catch(translate)
      }
    },

    async endSessionUrl(idToken, postLogoutRedirectUri, state) {
      const configuration = await options.connection.configuration()
      if (!configuration.serverMetadata().end_session_endpoint) return undefined
      return client.buildEndSessionUrl(configuration, {
        post_logout_redirect_uri: postLogoutRedirectUri,
        ...(idToken && { id_token_hint: idToken }),
        ...(state !== undefined && { state }),
      })
    },
  }
}
