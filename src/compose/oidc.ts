import type { Config } from '../config/config.ts'
import { identityOptions } from '../config/identity-options.ts'
import type { LiveRules } from '../core/access/rule-set.ts'
import type { Claims } from '../core/claims.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { claimsNamedBy } from '../core/identity-headers.ts'
import { type IdentityOptions, lacksClaims } from '../core/read-identity.ts'
import { connectProvider, type ProviderConnection } from '../oidc/discovery/provider.ts'
import { createRefresh, type RefreshTokens } from '../oidc/refresh.ts'
import { createProviderFetch } from '../oidc/request/provider-fetch.ts'
import { createSignIn, type SignIn } from '../oidc/sign-in.ts'
import { createKeySets, type KeySets } from '../oidc/tokens/key-set.ts'
import { createLogoutTokenVerifier, type VerifyLogoutToken } from '../oidc/tokens/logout-token.ts'
import type { Log } from '../telemetry/log.ts'
import { createDiscoveryLog } from './discovery-log.ts'

/** Connection to the provider and the requests that are sent to it. */
export interface Oidc {
  readonly provider: ProviderConnection
  readonly keySets: KeySets
  readonly identity: IdentityOptions
  readonly signIn: SignIn
  readonly refreshTokens: RefreshTokens
  readonly verifyLogoutToken: VerifyLogoutToken
  /** Connects to a further issuer only for its signing keys. */
  connectIssuer(issuerUrl: string): ProviderConnection
  close(): void
}

export interface ComposeOidcOptions {
  readonly config: Config
  readonly log: Log
  readonly now: () => EpochMs
  readonly rules: LiveRules
}

/** Connects to the provider now and retries while it is unreachable. */
export function composeOidc({ config, log, now, rules }: ComposeOidcOptions): Oidc {
  const { settings, identityHeaders, clientCredentials, authorizationParams } = config
  const endSessionTemplate = settings.OIDC_END_SESSION_URL
  const internalUrl = settings.OIDC_INTERNAL_URL
  const fetch = createProviderFetch(config.proxies)
  const provider = connectProvider({
    issuerUrl: settings.OIDC_ISSUER_URL,
    clientId: settings.OIDC_CLIENT_ID,
    credentials: clientCredentials,
    signedResponseAlg: settings.OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG,
    fetch,
    ...(internalUrl && { internalUrl }),
    ...(endSessionTemplate && { endSessionTemplate }),
    ...createDiscoveryLog(settings.OIDC_ISSUER_URL, log),
  })
  const keySets = createKeySets(fetch)
  const identity = {
    ...identityOptions(settings),
    get claims() {
      return claimsNamedBy(identityHeaders, rules.current.set.claims)
    },
  }
  const client = {
    connection: provider,
    keySets,
    clientId: settings.OIDC_CLIENT_ID,
    userInfo: settings.OIDC_USERINFO,
    needsMore: (claims: Claims) => lacksClaims(claims, identity),
  }
  return {
    provider,
    keySets,
    identity,
    signIn: createSignIn({
      ...client,
      scopes: settings.OIDC_SCOPES,
      authorizationParams,
      ...(endSessionTemplate && { endSessionTemplate }),
    }),
    refreshTokens: createRefresh({ ...client, now }),
    verifyLogoutToken: createLogoutTokenVerifier({
      ...client,
      type: settings.OIDC_LOGOUT_TOKEN_TYPE,
      now,
    }),
    connectIssuer: (issuerUrl) =>
      connectProvider({
        issuerUrl,
        use: 'keys',
        clientId: settings.OIDC_CLIENT_ID,
        credentials: { method: 'none' },
        fetch,
        ...createDiscoveryLog(issuerUrl, log),
      }),
    close: () => provider.close(),
  }
}
