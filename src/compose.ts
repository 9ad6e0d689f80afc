import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Hono } from 'hono'
import { createInternalApp, createPublicApp } from './app.ts'
import { type ConfiguredOidc, connectConfiguredOidc } from './compose-oidc.ts'
import { createConfiguredRefresher } from './compose-refresh.ts'
import { openConfiguredSessions } from './compose-sessions.ts'
import type { Config } from './config.ts'
import { ACCESS_TOKEN_HEADER } from './core/identity.ts'
import { createSites, patternOf } from './core/site.ts'
import { watchOverload } from './overload.ts'
import { createAddresses } from './routes/addresses.ts'
import { createAdmin } from './routes/admin.ts'
import { createAllow } from './routes/allow.ts'
import { createBackchannelLogout } from './routes/backchannel-logout.ts'
import { createBearers } from './routes/bearers.ts'
import { createCallback } from './routes/callback.ts'
import { createCheck } from './routes/check.ts'
import { createCookies } from './routes/cookies.ts'
import { createDenials } from './routes/denials.ts'
import { createHealth } from './routes/health.ts'
import { createLogin } from './routes/login.ts'
import { createLogout } from './routes/logout.ts'
import { createMe } from './routes/me.ts'
import type { NodeEnv } from './routes/node-env.ts'
import { createOutageCookie } from './routes/outage-cookie.ts'
import { createPageWriter } from './routes/pages/write.ts'
import { createRefusals, type RefusalOptions } from './routes/refusals.ts'
import { createTrustedProxies } from './routes/trusted-peers.ts'
import { createKeyRing } from './seal.ts'
import { createLoginTransactions } from './session/login-transaction.ts'
import { createRedemption } from './session/redemption.ts'
import type { Log } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import type { ObservedRedis } from './telemetry/redis-metrics.ts'

/** The whole service, not yet listening. */
export interface Service {
  readonly publicApp: Hono<NodeEnv>
  readonly internalApp: Hono<NodeEnv>
  /** Seals with the first of these keys from now on, and opens with any of them. */
  replaceKeys(keys: readonly Buffer[]): void
  closeProviders(): void
  /** Tells the store what it has not been told yet, and lets go of it. */
  closeState(): Promise<void>
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
/** How long refreshes that are under way at the end may take. */
const LAST_REFRESHES_MS = 10_000

/** Puts the parts together; each gets what it needs as arguments and reads no configuration itself. */
export function composeService(options: ServiceOptions): Service {
  const parts = createParts(options)
  return {
    publicApp: composePublicApp(options, parts),
    internalApp: composeInternalApp(options, parts),
    replaceKeys(keys) {
      parts.ring.replaceKeys(keys)
      parts.caches.clear('sessions')
    },
    closeProviders: parts.closeProviders,
    async closeState() {
      await Promise.race([parts.refresher.finish(), pause(LAST_REFRESHES_MS)])
      await parts.closeState()
    },
  }
}

type Parts = ReturnType<typeof createParts>

/** What both listeners share. */
function createParts({ config, log, version, isAccepting, now = Date.now }: ServiceOptions) {
  const { settings, publicSite, hosts } = config
  const ring = createKeyRing(config.keys ?? [randomBytes(EPHEMERAL_KEY_BYTES)])
  const oidc: ConfiguredOidc = connectConfiguredOidc(config, log, now, {
    includes: (issuer, jti) => shared.deniedTokens.includes(issuer, jti),
    firstLook: () => shared.deniedTokens.firstLook,
  })
  const { provider } = oidc
  const metrics: Metrics = createMetrics({
    openedSessions: () => shared.caches.size('sessions'),
    isProviderDiscovered: () => provider.isDiscovered,
    revocationsWaiting: () => shared.sessions.revocations.waiting,
    ...(config.redis && { redis: () => shared.state.redis as ObservedRedis }),
  })
  const shared = openConfiguredSessions({ ...oidc, config, log, metrics, ring, version, now })
  const refresher = createConfiguredRefresher({
    ...oidc,
    ...shared,
    isAccepting,
    log,
    metrics,
    now,
  })
  const addresses = createAddresses({ basePath: settings.BASE_PATH, publicSite, hosts })
  const cookies = createCookies({
    name: settings.COOKIE_NAME,
    domain: settings.COOKIE_DOMAIN,
    sameSite: settings.COOKIE_SAMESITE,
    sessionMaxAgeSeconds: settings.SESSION_MAX_AGE,
    outageGraceSeconds: shared.graceMs / 1000,
  })
  const protectedSites = createSites(hosts)
  const knownSites = createSites(publicSite ? [...hosts, patternOf(publicSite)] : hosts)
  const returnTo = { sites: knownSites, basePath: settings.BASE_PATH }
  const realmOf = (host: string) => settings.COOKIE_DOMAIN ?? host
  const writePage = createPageWriter(() => provider.origins())
  const proxies = createTrustedProxies(settings.TRUSTED_PROXIES)
  const local = { addresses, cookies, protectedSites, knownSites, returnTo, realmOf, refresher }
  const { oneTimeKeys } = shared.state
  return { ...local, ...shared, ...oidc, oneTimeKeys, proxies, ring, metrics, writePage, log, now }
}

function composePublicApp({ config }: ServiceOptions, parts: Parts) {
  const { settings } = config
  const { ring, metrics, knownSites, now } = parts
  const transactions = createLoginTransactions(ring, now)
  const redeem = createRedemption({
    ...parts,
    clientId: settings.OIDC_CLIENT_ID,
    concurrency: settings.SIGN_IN_CONCURRENCY,
    detectsIdTokenReplay: !settings.DISABLE_REPLAY_DETECTION,
    onReplay: (kind) => metrics.replayRefused(kind),
  })
  const isStoreAvailable = () => parts.state.isAvailable
  const needsContinuePage = settings.COOKIE_SAMESITE === 'strict'
  const routes = {
    login: createLogin({ ...parts, transactions, isStoreAvailable }),
    callback: createCallback({
      ...parts,
      transactions,
      redeem,
      needsContinuePage,
      onFromElsewhere: parts.mode === 'memory' ? createLonelinessLog(parts.log) : () => undefined,
    }),
    ...createLogout({
      ...parts,
      postLogoutRedirectUris: settings.POST_LOGOUT_REDIRECT_URIS,
    }),
    backchannelLogout: createBackchannelLogout(parts),
    me: createMe(parts),
  }
  const refuse = createRefusals({ ...parts, clientOf: () => undefined })
  return createPublicApp(routes, settings.BASE_PATH, knownSites, refuse)
}

function composeInternalApp(options: ServiceOptions, parts: Parts) {
  const { settings, rules, identityHeaders } = options.config
  const { provider, metrics, proxies, state } = parts
  const storeTimeoutMs = settings.CHECK_STORE_TIMEOUT_MS
  const guardedNames = [...identityHeaders.map(({ name }) => name), ACCESS_TOKEN_HEADER]
  const check = createCheck({
    ...parts,
    rules,
    storeTimeoutMs,
    passesTokens: settings.PASS_ACCESS_TOKEN || settings.PASS_AUTHORIZATION,
    refreshGraceMs: settings.SESSION_REFRESH_GRACE * 1000,
    renewOutageCookie: createOutageCookie(parts),
    isOverloaded: watchOverload(),
    bearers: createBearers({
      ...parts,
      storeTimeoutMs,
      onReplay: (kind) => metrics.replayRefused(kind),
    }),
    basePath: settings.BASE_PATH,
    guardedNames: settings.ALIAS_HEADERS === 'reject' ? guardedNames : [],
    allow: createAllow({
      ...parts,
      headers: identityHeaders,
      headersMaxBytes: settings.IDENTITY_HEADERS_MAX_BYTES,
      passesAccessToken: settings.PASS_ACCESS_TOKEN,
      passesAuthorization: settings.PASS_AUTHORIZATION,
    }),
    denials: createDenials(parts),
  })
  const health = createHealth({
    isReady: options.isAccepting,
    firstAttempts: Promise.all([provider.firstAttempt, state.firstAttempt]),
    isProviderDiscovered: () => provider.isDiscovered,
    mode: parts.mode,
    redis: state.redis,
    revocationsWaiting: () => parts.sessions.revocations.waiting,
    version: options.version,
  })
  const clientOf: RefusalOptions['clientOf'] = (raw) =>
    proxies.isTrustedPeer(raw) ? proxies.clientAddress(raw) : undefined
  const refuse = createRefusals({ ...parts, clientOf })
  const admin = createAdmin({
    ...parts,
    token: settings.ADMIN_TOKEN,
    issuer: settings.OIDC_ISSUER_URL,
  })
  return createInternalApp({ check, ...health, admin }, metrics.registry, refuse)
}

/** In memory mode nobody can be told of anybody else; a login that was begun elsewhere gives a second replica away. */
function createLonelinessLog(log: Log): () => void {
  let isSaid = false
  return () => {
    if (isSaid) return
    isSaid = true
    log.warn(
      { event: 'second_replica' },
      'another replica began a login that came back here: in memory mode their sessions are not shared; set REDIS_ENABLED=true',
    )
  }
}
