import type { Hono } from 'hono'
import { createPublicApp } from '../app.ts'
import type { Config } from '../config/config.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import type { FailureFacts } from '../errors.ts'
import type { Streams } from '../events/streams.ts'
import { createRefusals } from '../http/error-answer.ts'
import type { NodeEnv } from '../http/request.ts'
import { factsOfReport } from '../redis/unavailable.ts'
import { createClientScript } from '../routes/events/client-script.ts'
import { createEvents } from '../routes/events/events.ts'
import { createMe } from '../routes/me.ts'
import { createOwnSessions } from '../routes/own-sessions/own-sessions.ts'
import { createCallback } from '../routes/sign-in/callback.ts'
import { createLogin } from '../routes/sign-in/login.ts'
import { createBackchannelLogout } from '../routes/sign-out/backchannel-logout.ts'
import { createLogout } from '../routes/sign-out/logout.ts'
import { createProviderLogout } from '../session/provider-logout.ts'
import { createLoginTransactions } from '../session/sign-in/login-transaction.ts'
import { createRedemption } from '../session/sign-in/redeem-login.ts'
import type { SharedState } from '../store/shared-state.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Oidc } from './oidc.ts'
import type { ComposedSessions } from './sessions.ts'
import type { Web } from './web.ts'

export interface PublicRoutesOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => EpochMs
  readonly ring: KeyRing
  readonly state: SharedState
  readonly oidc: Oidc
  readonly sessions: ComposedSessions
  readonly web: Web
  readonly streams: Streams
}

/** Makes the app for browsers and the provider. */
export function composePublicRoutes(options: PublicRoutesOptions): Hono<NodeEnv> {
  const { config, log, metrics, now, ring, state, oidc, web } = options
  const { settings } = config
  const { sessions } = options.sessions
  const { signIn } = oidc
  const { addresses, cookies, writePage, proxies, knownSites, returnTo, realmOf } = web
  const { protectedSites } = web
  const isStoreAvailable = () => state.isAvailable
  const transactions = createLoginTransactions(ring, now, config.mode === 'memory')
  const login = createLogin({
    addresses,
    cookies,
    writePage,
    returnTo,
    realmOf,
    log,
    metrics,
    now,
    transactions,
    sessions,
    signIn,
    isStoreAvailable,
    storeFacts: () => storeFactsOf(state),
  })
  const callback = createCallback({
    addresses,
    cookies,
    writePage,
    proxies,
    returnTo,
    realmOf,
    log,
    metrics,
    now,
    transactions,
    sessions,
    signIn,
    redeem: createRedemption({
      signIn,
      sessions,
      now,
      oneTimeKeys: state.oneTimeKeys,
      identity: oidc.identity,
      clientId: settings.OIDC_CLIENT_ID,
      concurrency: settings.SIGN_IN_CONCURRENCY,
      detectsIdTokenReplay: !settings.DISABLE_REPLAY_DETECTION,
      onReplay: (kind) => metrics.replayRefused(kind),
    }),
    needsContinuePage: settings.COOKIE_SAMESITE === 'strict',
    onFromElsewhere: createSecondReplicaLog(log, config.mode),
  })
  const logout = createLogout({
    addresses,
    cookies,
    writePage,
    proxies,
    knownSites,
    returnTo,
    realmOf,
    log,
    metrics,
    ring,
    sessions,
    signIn,
    postLogoutRedirectUris: settings.POST_LOGOUT_REDIRECT_URIS,
  })
  const backchannelLogout = createBackchannelLogout({
    log,
    metrics,
    verifyLogoutToken: oidc.verifyLogoutToken,
    endAsAtProvider: createProviderLogout({
      sessions,
      isStoreAvailable,
      now,
      oneTimeKeys: state.oneTimeKeys,
      clientId: settings.OIDC_CLIENT_ID,
    }),
  })
  const me = createMe({ addresses, cookies, sessions, realmOf })
  const events = createEvents({
    addresses,
    cookies,
    protectedSites,
    sessions,
    realmOf,
    streams: options.streams,
    reasonOfEnd: async (digest) => {
      const [life] = await state.store.readLives([digest]).catch(() => [])
      return life?.kind === 'ended' ? life.reason : undefined
    },
  })
  const ownSessions = createOwnSessions({
    addresses,
    cookies,
    knownSites,
    ring,
    sessions,
    realmOf,
    writePage,
    now,
    log,
    metrics,
  })
  const clientScript = createClientScript()
  const refuse = createRefusals({ addresses, writePage, log, metrics, clientOf: () => undefined })
  const routes = {
    login,
    callback,
    ...logout,
    backchannelLogout,
    me,
    ...events,
    ...ownSessions,
    clientScript,
  }
  return createPublicApp(routes, settings.BASE_PATH, knownSites, refuse)
}

/**
 * Warns once about a login that another replica began, where this one or that one is in memory mode and shares no
 * sessions (finding C52).
 */
function createSecondReplicaLog(log: Log, mode: Config['mode']): (isFromMemory: boolean) => void {
  let isSaid = false
  return (isFromMemory) => {
    if (isSaid || (mode !== 'memory' && !isFromMemory)) return
    isSaid = true
    const begunIn = isFromMemory ? 'memory' : 'shared'
    const problem =
      mode === 'memory'
        ? `a login that another replica began came back to this one, which is in memory mode${isFromMemory ? ', as the other is' : '; the other is not'}`
        : `a login came back to this replica in ${mode} mode that a replica in memory mode began`
    log.warn(
      { event: 'second_replica', mode, begun_in: begunIn },
      `${problem}: replicas in memory mode share no sessions, so people sign in again and again; set REDIS_ENABLED=true and the same REDIS_CACHE_MODE at every replica`,
    )
  }
}

/** Returns why no session can be stored, for the log. */
function storeFactsOf({ redis }: SharedState): FailureFacts {
  if (redis?.loss) return factsOfReport(redis.loss)
  const finding = redis?.examination?.findings.find(({ stopsSignIn }) => stopsSignIn)
  return { explanation: finding?.message ?? 'the circuit breaker for Redis is open' }
}
