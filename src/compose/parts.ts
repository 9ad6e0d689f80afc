import { randomBytes } from 'node:crypto'
import type { Config } from '../config/load.ts'
import { createSites, patternOf } from '../core/site.ts'
import { createKeyRing } from '../crypto/key-ring.ts'
import { createAddresses } from '../http/addresses.ts'
import { createCookies } from '../http/cookies.ts'
import { createPageWriter } from '../http/pages/write.ts'
import { createTrustedProxies } from '../http/trusted-proxies.ts'
import { type OverloadWatch, watchOverload } from '../routes/check/overload.ts'
import type { Log } from '../telemetry/log.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import type { ObservedRedis } from '../telemetry/redis-metrics.ts'
import { type ComposedOidc, composeOidc } from './oidc.ts'
import { composeRefresher } from './refresher.ts'
import { composeSessions } from './sessions.ts'

/** The process as the service sees it. */
export interface ServiceOptions {
  readonly config: Config
  readonly log: Log
  readonly version: string
  readonly isAccepting: () => boolean
  readonly now?: () => number
  /** Defaults to a watch of this process's event loop; replaced where the process does other work too. */
  readonly overload?: OverloadWatch
}

const EPHEMERAL_KEY_BYTES = 32

export type Parts = ReturnType<typeof createParts>

/** What both listeners share. */
export function createParts(options: ServiceOptions) {
  const { config, log, version, isAccepting, now = Date.now } = options
  const { settings, publicSite, hosts } = config
  const ring = createKeyRing(config.keys ?? [randomBytes(EPHEMERAL_KEY_BYTES)])
  const oidc: ComposedOidc = composeOidc(config, log, now, {
    includes: (issuer, jti) => shared.deniedTokens.includes(issuer, jti),
    initialLoad: () => shared.deniedTokens.initialLoad,
  })
  const { provider } = oidc
  const metrics: Metrics = createMetrics({
    cachedSessions: () => shared.caches.size('sessions'),
    isProviderDiscovered: () => provider.isDiscovered,
    revocationsWaiting: () => shared.sessions.revocations.waiting,
    logLinesDropped: () => log.droppedLines?.() ?? 0,
    ...(config.redis && { redis: () => shared.state.redis as ObservedRedis }),
  })
  const shared = composeSessions({ ...oidc, config, log, metrics, ring, version, now })
  const refresher = composeRefresher({
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
  const process = { metrics, log, now, overload: options.overload ?? watchOverload() }
  const { oneTimeKeys } = shared.state
  return { ...local, ...shared, ...oidc, ...process, oneTimeKeys, proxies, ring, writePage }
}
