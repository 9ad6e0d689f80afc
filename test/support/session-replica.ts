import { createListeners } from '../../src/compose/listeners.ts'
import { type ComposedSessions, composeSessions } from '../../src/compose/sessions.ts'
import { openSharedState } from '../../src/compose/state.ts'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import type { SharedState } from '../../src/store/shared-state.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

/** The sessions of one replica, without its listeners. */
export interface SessionReplica extends ComposedSessions {
  readonly state: SharedState
}

/** Wires sessions and shared state as the service does. */
export const openSessionReplica = (environment: Environment): SessionReplica => {
  const config = loadConfig(environment)
  const ring = createKeyRing(config.keys ?? [])
  const common = {
    config,
    log: createLog('silent'),
    metrics: createMetrics({ hasRedis: config.redis !== undefined }),
    now: Date.now,
  }
  const fingerprint = () => ({ keys: ring.fingerprints(), mode: config.mode, version: '1.0.0' })
  const state = openSharedState({ ...common, fingerprint })
  const sessions = composeSessions({ ...common, ring, state })
  state.subscribe(
    createListeners({
      sessions,
      deniedTokens: { receiveDenied: () => undefined, reload: async () => undefined },
      caches: { sessions: sessions.cache, tokens: { clear: () => undefined, size: 0 } },
    }),
  )
  return {
    ...sessions,
    state,
    async close() {
      await sessions.close()
      await state.close()
    },
  }
}
