import { randomBytes } from 'node:crypto'
import type { Hono } from 'hono'
import type { Config } from '../config/config.ts'
import { createKeyRing } from '../crypto/key-ring.ts'
import type { NodeEnv } from '../http/request.ts'
import { type OverloadWatch, watchOverload } from '../routes/check/overload.ts'
import type { Log } from '../telemetry/log.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { composeBearers } from './bearers.ts'
import { composeEvents } from './events.ts'
import { composeInternalRoutes } from './internal-routes.ts'
import { type KeptCertificate, keepCertificate } from './internal-tls.ts'
import { createListeners } from './listeners.ts'
import { observeService } from './observe.ts'
import { composeOidc } from './oidc.ts'
import { composePublicRoutes } from './public-routes.ts'
import { composeRefresher } from './refresher.ts'
import { keepRules } from './rules.ts'
import { composeSessions } from './sessions.ts'
import { openSharedState } from './state.ts'
import { composeWeb } from './web.ts'

export interface ServiceOptions {
  readonly config: Config
  readonly log: Log
  readonly version: string
  readonly now?: () => number
  /** Defaults to a watch of this process's event loop. Replaced where the process does other work too. */
  readonly overload?: OverloadWatch
}

/** Whole service without sockets. */
export interface Service {
  /** Answers browsers and the provider. */
  readonly publicApp: Hono<NodeEnv>
  /** Answers Traefik, probes, Prometheus and operators. */
  readonly internalApp: Hono<NodeEnv>
  /** Certificate of the internal listener; absent where it speaks plain HTTP. */
  readonly certificate: KeptCertificate | undefined
  /** Reports ready from now on, once the first attempts at the provider and at Redis are over. */
  start(): void
  /** Reports not ready from now on, so that balancers stop sending requests. */
  startDraining(): void
  /** Seals with the first of these keys from now on and opens with any of them. */
  replaceKeys(keys: readonly Buffer[]): void
  /**
   * Writes what the store has not received yet, then releases everything. Waits at most `inFlightMs` for refreshes
   * in flight and for storing their tokens.
   */
  stop(inFlightMs: number): Promise<void>
}

const EPHEMERAL_KEY_BYTES = 32
const FINGERPRINT_CHARS = 22

/** Makes each part once, from the bottom up, and passes it to the parts above. */
export function composeService(options: ServiceOptions): Service {
  const { config, log, version, now = Date.now } = options
  const { mode } = config
  const certificate = config.internalTls && keepCertificate(config.internalTls, log, now)
  let isStarted = false
  const isAccepting = () => isStarted
  const metrics = createMetrics({ hasRedis: config.redis !== undefined })
  const rules = keepRules({ config, log, metrics })
  const overload = options.overload ?? watchOverload()
  const ring = createKeyRing(config.keys ?? [randomBytes(EPHEMERAL_KEY_BYTES)])
  const fingerprint = () => ({
    keys: ring.fingerprints(),
    mode,
    version,
    rules: rules.current.set.fingerprint.slice(0, FINGERPRINT_CHARS),
  })
  const state = openSharedState({ config, log, metrics, now, fingerprint })
  const oidc = composeOidc({ config, log, now, rules })
  const bearers = composeBearers({ config, log, metrics, now, rules, state, oidc })
  const events = composeEvents({ config, metrics, now, ring, state })
  const { streams } = events
  const sessions = composeSessions({ config, log, metrics, now, ring, state, streams })
  const refresher = composeRefresher({
    config,
    log,
    metrics,
    now,
    state,
    oidc,
    sessions,
    streams,
    isAccepting,
  })
  const caches = { sessions: sessions.cache, tokens: bearers.verifier }
  const web = composeWeb({ config, oidc, outageGraceMs: sessions.outageGraceMs })
  const publicApp = composePublicRoutes({
    config,
    log,
    metrics,
    now,
    ring,
    state,
    oidc,
    sessions,
    web,
    streams,
  })
  const internalApp = composeInternalRoutes({
    config,
    log,
    metrics,
    now,
    version,
    isAccepting,
    overload,
    rules,
    state,
    oidc,
    bearers,
    sessions,
    refresher,
    caches,
    web,
    certificate,
    events,
  })
  rules.onReplaced(() => {
    bearers.verifier.clear()
    state.announce()
  })
  state.subscribe(createListeners({ sessions, deniedTokens: bearers.deniedTokens, caches, events }))
  void events.broadcasts.catchUp()
  observeService({ log, metrics, certificate, state, oidc, sessions, streams })
  return {
    publicApp,
    internalApp,
    certificate,
    start() {
      isStarted = true
    },
    startDraining() {
      isStarted = false
      streams.drain()
      state.leave()
    },
    replaceKeys(keys) {
      ring.replaceKeys(keys)
      caches.sessions.clear()
    },
    async stop(inFlightMs) {
      isStarted = false
      certificate?.close()
      rules.close()
      overload.close()
      streams.close()
      oidc.close()
      await refresher.finish(inFlightMs)
      bearers.close()
      await sessions.close()
      await state.close()
    },
  }
}
