import type { Config } from '../config/config.ts'
import type { FailureFacts } from '../errors.ts'
import { factsOfReport } from '../redis/unavailable.ts'
import { createCallback } from '../routes/sign-in/callback.ts'
import { createLogin } from '../routes/sign-in/login.ts'
import { createLoginTransactions } from '../session/sign-in/login-transaction.ts'
import { createRedemption } from '../session/sign-in/redeem-login.ts'
import type { SharedState } from '../store/shared-state.ts'
import type { Log } from '../telemetry/log.ts'
import type { PublicRoutesOptions } from './public-routes.ts'

/** Makes the two routes of a sign-in, which share its transactions. */
export function composeSignInRoutes(options: PublicRoutesOptions) {
  const { config, log, metrics, now, ring, state, oidc, web } = options
  const { settings } = config
  const { sessions } = options.sessions
  const { signIn } = oidc
  const { addresses, cookies, writePage, proxies, returnTo, realmOf } = web
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
  return { login, callback }
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
