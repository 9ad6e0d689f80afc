import { randomBytes } from 'node:crypto'
import type { Hono } from 'hono'
import { createInternalApp, createPublicApp } from './app.ts'
import type { Config } from './config.ts'
import { type IdentityOptions, lacksClaims } from './core/identity.ts'
import { createSites, patternOf } from './core/site.ts'
import { connectProvider, type ProviderConnection } from './oidc/provider.ts'
import { createSignIn } from './oidc/sign-in.ts'
import { createAddresses } from './routes/addresses.ts'
import { createCallback } from './routes/callback.ts'
import { createCheck } from './routes/check.ts'
import { createCookies } from './routes/cookies.ts'
import { createDenials } from './routes/denials.ts'
import { createHealth } from './routes/health.ts'
import { createLogin } from './routes/login.ts'
import { createLogout } from './routes/logout.ts'
import { createMe } from './routes/me.ts'
import type { NodeEnv } from './routes/node-env.ts'
import { createPageWriter } from './routes/pages/write.ts'
import { createRefusals } from './routes/refusals.ts'
import { createPeerCheck } from './routes/trusted-peers.ts'
import { createKeyRing, type KeyRing } from './seal.ts'
import { createLoginTransactions } from './session/login-transaction.ts'
import { createOpenedSessions } from './session/opened-sessions.ts'
import { createRedemption } from './session/redemption.ts'
import { createSessions } from './session/sessions.ts'
import { createMemoryOneTimeKeys, createMemoryStore } from './store/memory.ts'
import type { Log } from './telemetry/log.ts'
import { createMetrics } from './telemetry/metrics.ts'

/** The whole service, not yet listening. */
export interface Service {
  readonly publicApp: Hono<NodeEnv>
  readonly internalApp: Hono<NodeEnv>
  readonly ring: KeyRing
  readonly provider: ProviderConnection
}

/** The process as the service sees it. */
export interface ServiceOptions {
  readonly config: Config
  readonly log: Log
  readonly version: string
  readonly isAccepting: () => boolean
  readonly now?: () => number
}

const EPHEMERAL_KEY_BYTES = 32
/** A session opened a moment ago is served from memory for this long. */
const OPENED_MAX_AGE_MS = 5000

/** Puts the parts together; each gets what it needs as arguments and reads no configuration itself. */
export function composeService(options: ServiceOptions): Service {
  const { config, log, now = Date.now } = options
  const { settings, publicSite, rules } = config
  const ring = createKeyRing(config.keys ?? [randomBytes(EPHEMERAL_KEY_BYTES)])
  const sites = createSites(config.hosts)
  const knownSites = createSites(
    publicSite ? [...config.hosts, patternOf(publicSite)] : config.hosts,
  )
  const returnTo = { sites: knownSites, basePath: settings.BASE_PATH }
  const identity: IdentityOptions = {
    groupsClaim: settings.OIDC_GROUPS_CLAIM,
    trustEmail: settings.OIDC_TRUST_EMAIL,
    headers: config.identityHeaders,
  }
  const realmOf = (host: string) => settings.COOKIE_DOMAIN ?? host

  const provider = connectConfiguredProvider(options)
  const signIn = createSignIn({
    connection: provider,
    clientId: settings.OIDC_CLIENT_ID,
    scopes: settings.OIDC_SCOPES,
    userInfo: settings.OIDC_USERINFO,
    needsMore: (claims) => lacksClaims(claims, identity),
  })

  const opened = createOpenedSessions({
    maxEntries: 20_000,
    maxBytes: 64 * 1024 * 1024,
    maxAgeMs: OPENED_MAX_AGE_MS,
  })
  const metrics = createMetrics({
    openedSessions: () => opened.size,
    isProviderDiscovered: () => provider.isDiscovered,
  })
  const sessions = createSessions({
    store: createMemoryStore(),
    ring,
    opened,
    keyPrefix: 'vestibule:',
    withAccessToken: settings.PASS_ACCESS_TOKEN || settings.PASS_AUTHORIZATION,
    maxAgeMs: settings.SESSION_MAX_AGE * 1000,
    idleTimeoutMs: settings.SESSION_IDLE_TIMEOUT * 1000,
    now,
    onIntegrityFailure: () => metrics.integrityFailure(),
    onExtendFailure: () =>
      log.warn({ event: 'extend_failed' }, 'an idle session could not be extended'),
  })

  const addresses = createAddresses({
    basePath: settings.BASE_PATH,
    publicSite,
    hosts: config.hosts,
  })
  const cookies = createCookies({
    name: settings.COOKIE_NAME,
    domain: settings.COOKIE_DOMAIN,
    sameSite: settings.COOKIE_SAMESITE,
    sessionMaxAgeSeconds: settings.SESSION_MAX_AGE,
  })
  const writePage = createPageWriter(() => provider.origins())
  const shared = {
    addresses,
    cookies,
    returnTo,
    sessions,
    signIn,
    writePage,
    log,
    metrics,
    now,
    realmOf,
  }
  const transactions = createLoginTransactions(ring, now)
  const refuse = createRefusals(shared)
  const logout = createLogout({ ...shared, sites: knownSites, connection: provider, ring })

  const redeem = createRedemption({
    ...shared,
    oneTimeKeys: createMemoryOneTimeKeys(),
    identity,
    clientId: settings.OIDC_CLIENT_ID,
    concurrency: settings.SIGN_IN_CONCURRENCY,
    detectsIdTokenReplay: !settings.DISABLE_REPLAY_DETECTION,
    onReplay: (kind) => metrics.replayRefused(kind),
  })

  const publicApp = createPublicApp(
    {
      login: createLogin({ ...shared, transactions }),
      callback: createCallback({
        ...shared,
        transactions,
        redeem,
        needsContinuePage: settings.COOKIE_SAMESITE === 'strict',
      }),
      confirmLogout: logout.confirm,
      logout: logout.logout,
      signedOut: logout.signedOut,
      me: createMe(shared),
    },
    settings.BASE_PATH,
    knownSites,
    refuse,
  )
  const check = createCheck({
    ...shared,
    sites,
    rules,
    basePath: settings.BASE_PATH,
    isTrustedPeer: createPeerCheck(settings.TRUSTED_PROXIES),
    headers: config.identityHeaders,
    headersMaxBytes: settings.IDENTITY_HEADERS_MAX_BYTES,
    refusesAliases: settings.ALIAS_HEADERS === 'reject',
    passesAccessToken: settings.PASS_ACCESS_TOKEN,
    passesAuthorization: settings.PASS_AUTHORIZATION,
    denials: createDenials(shared),
  })
  const health = createHealth({
    isReady: options.isAccepting,
    firstAttempts: provider.firstAttempt,
    isProviderDiscovered: () => provider.isDiscovered,
    version: options.version,
  })
  const internalApp = createInternalApp({ check, ...health }, metrics.registry, refuse)
  return { publicApp, internalApp, ring, provider }
}

function connectConfiguredProvider({
  config: { settings },
  log,
}: ServiceOptions): ProviderConnection {
  const secret = settings.OIDC_CLIENT_SECRET
  return connectProvider({
    issuerUrl: settings.OIDC_ISSUER_URL,
    clientId: settings.OIDC_CLIENT_ID,
    ...(secret !== undefined && { clientSecret: secret }),
    tokenEndpointAuthMethod:
      settings.OIDC_TOKEN_ENDPOINT_AUTH_METHOD ?? (secret ? 'client_secret_basic' : 'none'),
    onDiscovery(failure) {
      if (failure === undefined)
        log.info({ event: 'provider_discovered' }, 'the provider has been discovered')
      else
        log.warn(
          { event: 'provider_discovery_failed', reason: reasonOf(failure) },
          'the provider could not be discovered; trying again',
        )
    },
  })
}

/** A `TypeError` of ours says what to change; of anything else only the kind is logged. */
function reasonOf(failure: unknown): string {
  if (failure instanceof TypeError && failure.cause === undefined) return failure.message
  return failure instanceof Error
    ? `${failure.name} ${'code' in failure ? String(failure.code) : ''}`.trim()
    : 'unknown'
}
