import { createPublicApp } from './app.ts'
import type { Parts, ServiceOptions } from './compose-parts.ts'
import { createBackchannelLogout } from './routes/backchannel-logout.ts'
import { createCallback } from './routes/callback.ts'
import { createLogin } from './routes/login.ts'
import { createLogout } from './routes/logout.ts'
import { createMe } from './routes/me.ts'
import { createRefusals } from './routes/refusals.ts'
import { createLoginTransactions } from './session/login-transaction.ts'
import { createRedemption } from './session/redemption.ts'
import type { Log } from './telemetry/log.ts'

/** What browsers and the provider reach. */
export function composePublicApp({ config }: ServiceOptions, parts: Parts) {
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
