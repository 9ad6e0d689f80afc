import { createListeners } from '../../src/compose/listeners.ts'
import { composeSessions } from '../../src/compose/sessions.ts'
import { openSharedState } from '../../src/compose/state.ts'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { EndReason } from '../../src/core/end-reason.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { newSession, REALM, SERVER_KEY } from './session-values.ts'

export type SessionReplica = ReturnType<typeof openSessionReplica>

const SETTINGS = {
  PROTECTED_HOSTS: REALM,
  ALLOW_ANY_USER: 'true',
  OIDC_ISSUER_URL: newSession.identity.issuer,
  OIDC_CLIENT_ID: 'vestibule',
  SESSION_ENCRYPTION_KEY: SERVER_KEY,
  REDIS_ENABLED: 'true',
  REDIS_CACHE_MODE: 'hybrid',
}

/** Wires sessions and shared state as the service does. */
export const openSessionReplica = (settings: Environment, now: () => number = Date.now) => {
  const config = loadConfig({ ...SETTINGS, ...settings })
  const ring = createKeyRing(config.keys ?? [])
  const common = {
    config,
    log: createLog('silent'),
    metrics: createMetrics({ hasRedis: config.redis !== undefined }),
    now,
  }
  const fingerprint = () => ({ keys: ring.fingerprints(), mode: config.mode, version: '1.0.0' })
  const state = openSharedState({ ...common, fingerprint })
  const told = {
    /** Ends as streams of this replica are told them. */
    ends: [] as (readonly [string, EndReason])[],
    renewed: [] as string[],
    reviews: 0,
    looks: 0,
  }
  const streams = {
    end: (digest: string, reason: EndReason) => void told.ends.push([digest, reason]),
    renew: (digest: string) => void told.renewed.push(digest),
    review: () => void told.reviews++,
    look: async () => void told.looks++,
  }
  const sessions = composeSessions({ ...common, ring, state, streams })
  state.subscribe(
    createListeners({
      sessions,
      deniedTokens: { receiveDenied: () => undefined, reload: async () => undefined },
      caches: { sessions: sessions.cache, tokens: { clear: () => undefined, size: 0 } },
      events: {
        streams,
        broadcasts: {
          receive: () => undefined,
          catchUp: async () => undefined,
          readAnew: async () => undefined,
        },
      },
    }),
  )
  return {
    ...sessions,
    state,
    told,
    close: async () => {
      await sessions.close()
      await state.close()
    },
  }
}
