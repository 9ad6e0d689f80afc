import type { Config } from './config.ts'
import type { IdentityOptions } from './core/identity.ts'
import { type BearerVerifier, createBearerVerifier } from './oidc/bearer.ts'
import { createProofVerifier, type VerifyProof } from './oidc/dpop.ts'
import { createKeySets, type KeySets } from './oidc/key-set.ts'
import { connectProvider, type ProviderConnection, type ProviderOptions } from './oidc/provider.ts'
import { createTrustedIssuers } from './oidc/trusted-issuers.ts'
import type { Log } from './telemetry/log.ts'

/** The provider, the further issuers that rules name, and what their tokens come to. */
export interface ConfiguredOidc {
  readonly provider: ProviderConnection
  readonly keySets: KeySets
  readonly identity: IdentityOptions
  readonly verifier: BearerVerifier
  readonly verifyProof: VerifyProof
  readonly closeProviders: () => void
}

/** Connects to the provider now and to other issuers when the first token of theirs is there. */
export function connectConfiguredOidc(
  { settings, rules, identityHeaders }: Config,
  log: Log,
  now: () => number,
): ConfiguredOidc {
  const provider = connectProvider({
    ...clientOf(settings),
    issuerUrl: settings.OIDC_ISSUER_URL,
    ...createDiscoveryLog(settings.OIDC_ISSUER_URL, log),
  })
  const keySets = createKeySets()
  const issuers = createTrustedIssuers({
    issuers: new Set(rules.flatMap(({ bearer }) => [...(bearer?.issuers ?? [])])),
    connect: (issuerUrl) =>
      issuerUrl === settings.OIDC_ISSUER_URL
        ? provider
        : connectProvider({
            issuerUrl,
            use: 'keys',
            clientId: settings.OIDC_CLIENT_ID,
            tokenEndpointAuthMethod: 'none',
            ...createDiscoveryLog(issuerUrl, log),
          }),
    keySets,
  })
  const identity = {
    groupsClaim: settings.OIDC_GROUPS_CLAIM,
    trustEmail: settings.OIDC_TRUST_EMAIL,
    headers: identityHeaders,
  }
  return {
    provider,
    keySets,
    identity,
    verifier: createBearerVerifier({
      issuers,
      clientId: settings.OIDC_CLIENT_ID,
      identity,
      withAccessToken: settings.PASS_ACCESS_TOKEN || settings.PASS_AUTHORIZATION,
      now,
    }),
    verifyProof: createProofVerifier(now),
    closeProviders() {
      provider.close()
      issuers.close()
    },
  }
}

function clientOf(
  settings: Config['settings'],
): Pick<ProviderOptions, 'clientId' | 'clientSecret' | 'tokenEndpointAuthMethod'> {
  const secret = settings.OIDC_CLIENT_SECRET
  return {
    clientId: settings.OIDC_CLIENT_ID,
    ...(secret !== undefined && { clientSecret: secret }),
    tokenEndpointAuthMethod:
      settings.OIDC_TOKEN_ENDPOINT_AUTH_METHOD ?? (secret ? 'client_secret_basic' : 'none'),
  }
}

function createDiscoveryLog(
  issuer: string,
  log: Log,
): Pick<ProviderOptions, 'onDiscovered' | 'onDiscoveryFailed'> {
  return {
    onDiscovered: () =>
      log.info({ event: 'provider_discovered', issuer }, 'the provider is discovered'),
    onDiscoveryFailed: (cause) =>
      log.warn(
        { event: 'provider_discovery_failed', issuer, reason: reasonOf(cause) },
        'the provider could not be discovered; trying again',
      ),
  }
}

/** A `TypeError` of ours says what to change; of anything else only the kind is logged. */
function reasonOf(cause: unknown): string {
  if (cause instanceof TypeError && cause.cause === undefined) return cause.message
  if (!(cause instanceof Error)) return typeof cause
  return 'code' in cause ? `${cause.name} ${String(cause.code)}` : cause.name
}
