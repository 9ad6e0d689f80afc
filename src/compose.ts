import { randomBytes } from 'node:crypto'
import type { Hono } from 'hono'
import { createInternalApp, createPublicApp } from './app.ts'
import { connectConfiguredOidc } from './compose-oidc.ts'
import { openConfiguredState } from './compose-state.ts'
import type { Config } from './config.ts'
import { ACCESS_TOKEN_HEADER, lacksClaims } from './core/identity.ts'
import { createSites, patternOf } from './core/site.ts'
import { createSignIn } from './oidc/sign-in.ts'
import { createAddresses } from './routes/addresses.ts'
import { createAllow } from './routes/allow.ts'
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
import { createPageWriter } from './routes/pages/write.ts'
import { createRefusals, type RefusalOptions } from './routes/refusals.ts'
import { createTrustedProxies } from './routes/trusted-peers.ts'
import { createKeyRing } from './seal.ts'
import { createSessionCodec } from './session/codec.ts'
import { createLoginTransactions } from './session/login-transaction.ts'
import { createOpenedSessions, type OpenedSessions } from './session/opened-sessions.ts'
import { createRedemption } from './session/redemption.ts'
import { createSessions } from './session/sessions.ts'
import type { SharedState } from './store/open.ts'
import type { Log } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'

/** The whole service, not yet listening. */
export interface Service {
  readonly publicApp: Hono<NodeEnv>
  readonly internalApp: Hono<NodeEnv>
  /** Seals with the first of these keys from now on, and opens with any of them. */
  replaceKeys(keys: readonly Buffer[]): void
  closeProviders(): void
  readonly state: SharedState
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

/** How many opened sessions are kept, how large, and for how long one is served. */
const OPENED = { maxEntries: 20_000, maxBytes: 64 * 1024 * 1024, maxAgeMs: 5000 }

/** Puts the parts together; each gets what it needs as arguments and reads no configuration itself. */
export function composeService(options: ServiceOptions): Service {
  const parts = createParts(options)
  return {
    publicApp: composePublicApp(options, parts),
    internalApp: composeInternalApp(options, parts),
    replaceKeys(keys) {
      parts.ring.replaceKeys(keys)
      parts.opened.clear()
    },
    closeProviders: parts.closeProviders,
    state: parts.state,
  }
}

type Parts = ReturnType<typeof createParts>

/** What both listeners share. */
function createParts({ config, log, now = Date.now }: ServiceOptions) {
  const { settings, publicSite, hosts } = config
  const ring = createKeyRing(config.keys ?? [randomBytes(EPHEMERAL_KEY_BYTES)])
  const oidc = connectConfiguredOidc(config, log, now)
  const { provider } = oidc
  const metrics: Metrics = createMetrics({
    openedSessions: () => opened.size,
    isProviderDiscovered: () => provider.isDiscovered,
    ...(config.redis && { redis: () => state }),
  })
  const opened: OpenedSessions = createOpenedSessions({
    ...OPENED,
    recalls: !config.redis,
    onLookUp: (result) => metrics.opened(result),
  })
  const state: SharedState = openConfiguredState(config, log, metrics, now)
  const sessions = createSessions({
    store: state.store,
    index: state.sessionIndex,
    codec: createSessionCodec({
      ring,
      keyPrefix: settings.REDIS_KEY_PREFIX,
      onIntegrityFailure: () => metrics.integrityFailure(),
    }),
    opened,
    withAccessToken: settings.PASS_ACCESS_TOKEN || settings.PASS_AUTHORIZATION,
    maxAgeMs: settings.SESSION_MAX_AGE * 1000,
    idleTimeoutMs: settings.SESSION_IDLE_TIMEOUT * 1000,
    now,
    onExtendFailure: () =>
      log.warn({ event: 'extend_failed' }, 'an idle session could not be extended'),
  })
  const addresses = createAddresses({ basePath: settings.BASE_PATH, publicSite, hosts })
  const cookies = createCookies({
    name: settings.COOKIE_NAME,
    domain: settings.COOKIE_DOMAIN,
    sameSite: settings.COOKIE_SAMESITE,
    sessionMaxAgeSeconds: settings.SESSION_MAX_AGE,
  })
  const protectedSites = createSites(hosts)
  const knownSites = createSites(publicSite ? [...hosts, patternOf(publicSite)] : hosts)
  const returnTo = { sites: knownSites, basePath: settings.BASE_PATH }
  const realmOf = (host: string) => settings.COOKIE_DOMAIN ?? host
  const writePage = createPageWriter(() => provider.origins())
  const proxies = createTrustedProxies(settings.TRUSTED_PROXIES)
  const local = { addresses, cookies, protectedSites, knownSites, returnTo, realmOf }
  const shared = { state, oneTimeKeys: state.oneTimeKeys, sessions }
  return { ...local, ...shared, ...oidc, proxies, ring, opened, metrics, writePage, log, now }
}

function composePublicApp({ config: { settings } }: ServiceOptions, parts: Parts) {
  const { ring, provider, keySets, identity, metrics, knownSites, now } = parts
  const signIn = createSignIn({
    connection: provider,
    keySets,
    clientId: settings.OIDC_CLIENT_ID,
    scopes: settings.OIDC_SCOPES,
    userInfo: settings.OIDC_USERINFO,
    needsMore: (claims) => lacksClaims(claims, identity),
  })
  const transactions = createLoginTransactions(ring, now)
  const redeem = createRedemption({
    ...parts,
    signIn,
    clientId: settings.OIDC_CLIENT_ID,
    concurrency: settings.SIGN_IN_CONCURRENCY,
    detectsIdTokenReplay: !settings.DISABLE_REPLAY_DETECTION,
    onReplay: (kind) => metrics.replayRefused(kind),
  })
  const isStoreAvailable = () => parts.state.isAvailable
  const needsContinuePage = settings.COOKIE_SAMESITE === 'strict'
  const routes = {
    login: createLogin({ ...parts, signIn, transactions, isStoreAvailable }),
    callback: createCallback({ ...parts, transactions, redeem, needsContinuePage }),
    ...createLogout({ ...parts, signIn }),
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
    cache: {
      mode: options.config.redis ? 'redis' : 'memory',
      measureLatency: () => state.measureLatency(),
      findings: () => state.examination?.findings ?? [],
    },
    version: options.version,
  })
  const clientOf: RefusalOptions['clientOf'] = (raw) =>
    proxies.isTrustedPeer(raw) ? proxies.clientAddress(raw) : undefined
  const refuse = createRefusals({ ...parts, clientOf })
  return createInternalApp({ check, ...health }, metrics.registry, refuse)
}
