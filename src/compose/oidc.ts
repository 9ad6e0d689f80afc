import type { Config } from '../config/config.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { type Claims, type IdentityOptions, lacksClaims } from '../core/identity.ts'
import { createKeySets, type KeySets } from '../oidc/key-set.ts'
import { createLogoutTokenVerifier, type VerifyLogoutToken } from '../oidc/logout-token.ts'
import { connectProvider, type ProviderConnection, type ProviderOptions } from '../oidc/provider.ts'
import { ProviderFault } from '../oidc/provider-errors.ts'
import { createRefresh, type RefreshTokens } from '../oidc/refresh.ts'
import { createSignIn, type SignIn } from '../oidc/sign-in.ts'
import type { Log } from '../telemetry/log.ts'

/** Connection to the provider and the requests that are sent to it. */
export interface Oidc {
  readonly provider: ProviderConnection
  readonly keySets: KeySets
  readonly identity: IdentityOptions
  readonly signIn: SignIn
  readonly refreshTokens: RefreshTokens
  readonly verifyLogoutToken: VerifyLogoutToken
  close(): void
}

export interface ComposeOidcOptions {
  readonly config: Config
  readonly log: Log
  readonly now: () => EpochMs
}

/** Connects to the provider now and retries while it is unreachable. */
export function composeOidc({ config, log, now }: ComposeOidcOptions): Oidc {
  const { settings, identityHeaders, clientCredentials, authorizationParams } = config
  const endSessionTemplate = settings.OIDC_END_SESSION_URL
  const provider = connectProvider({
    issuerUrl: settings.OIDC_ISSUER_URL,
    clientId: settings.OIDC_CLIENT_ID,
    credentials: clientCredentials,
    ...(endSessionTemplate && { endSessionTemplate }),
    ...createDiscoveryLog(settings.OIDC_ISSUER_URL, log),
  })
  const keySets = createKeySets()
  const identity = {
    groupsClaim: settings.OIDC_GROUPS_CLAIM,
    trustEmail: settings.OIDC_TRUST_EMAIL,
    headers: identityHeaders,
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
    close: () => provider.close(),
  }
}

/** Connects to an issuer only for its signing keys. */
export function connectIssuer(
  issuerUrl: string,
  { settings }: Config,
  log: Log,
): ProviderConnection {
  return connectProvider({
    issuerUrl,
    use: 'keys',
    clientId: settings.OIDC_CLIENT_ID,
    credentials: { method: 'none' },
    ...createDiscoveryLog(issuerUrl, log),
  })
}

function createDiscoveryLog(
  issuer: string,
  log: Log,
): Pick<ProviderOptions, 'onDiscovered' | 'onDiscoveryFailed'> {
  return {
    onDiscovered: () => log.info({ event: 'provider_discovered', issuer }, 'provider discovered'),
    onDiscoveryFailed: (cause) =>
      log.warn(
        { event: 'provider_discovery_failed', issuer, reason: discoveryFailureOf(cause) },
        'discovery of the provider failed; retrying',
      ),
  }
}

/**
 * Returns the message of a `ProviderFault`, which says what to change; for anything else only its kind, because a
 * message may quote an answer.
 */
function discoveryFailureOf(cause: unknown): string {
  if (cause instanceof ProviderFault) return cause.message
  if (!(cause instanceof Error)) return typeof cause
  return 'code' in cause ? `${cause.name} ${String(cause.code)}` : cause.name
}
