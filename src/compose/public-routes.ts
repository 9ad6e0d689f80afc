import { createPublicApp } from '../app.ts'
import { createRefusals } from '../http/error-answer.ts'
import { createMe } from '../routes/me.ts'
import { createCallback } from '../routes/sign-in/callback.ts'
import { createLogin } from '../routes/sign-in/login.ts'
import { createBackchannelLogout } from '../routes/sign-out/backchannel-logout.ts'
import { createLogout } from '../routes/sign-out/logout.ts'
import { createLoginTransactions } from '../session/sign-in/login-transaction.ts'
import { createRedemption } from '../session/sign-in/redeem-login.ts'
import type { Log } from '../telemetry/log.ts'
import type { Parts, ServiceOptions } from './parts.ts'

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
