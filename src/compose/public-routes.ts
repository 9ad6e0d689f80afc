import type { Hono } from 'hono'
import { createPublicApp } from '../app.ts'
import type { Config } from '../config/config.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { claimsNamedBy } from '../core/identity-headers.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import type { Streams } from '../events/streams.ts'
import { createRefusals } from '../http/error-answer.ts'
import type { NodeEnv } from '../http/request.ts'
import { createClientScript } from '../routes/events/client-script.ts'
import { createEvents } from '../routes/events/events.ts'
import { createMe } from '../routes/me.ts'
import { createOwnSessions } from '../routes/own-sessions/own-sessions.ts'
import { createBackchannelLogout } from '../routes/sign-out/backchannel-logout.ts'
import { createLogout } from '../routes/sign-out/logout.ts'
import { createProviderLogout } from '../session/provider-logout.ts'
import type { SharedState } from '../store/shared-state.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Oidc } from './oidc.ts'
import type { ComposedSessions } from './sessions.ts'
import { composeSignInRoutes } from './sign-in-routes.ts'
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
  const { login, callback } = composeSignInRoutes(options)
  const { signOutHere, ...logout } = createLogout({
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
  const me = createMe({
    addresses,
    cookies,
    sessions,
    realmOf,
    claims: claimsNamedBy(config.identityHeaders, []),
    idleTimeoutMs: settings.SESSION_IDLE_TIMEOUT.ms,
    now,
  })
  const events = createEvents({
    addresses,
    cookies,
    protectedSites,
    sessions,
    realmOf,
    streams: options.streams,
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
    signOutHere,
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
