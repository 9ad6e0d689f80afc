import type { Hono } from 'hono'
import type { NodeEnv } from '../http/node-env.ts'
import { composeInternalApp } from './internal-routes.ts'
import { createParts, type ServiceOptions } from './parts.ts'
import { composePublicApp } from './public-routes.ts'

/** The whole service, not yet listening. */
export interface Service {
  readonly publicApp: Hono<NodeEnv>
  readonly internalApp: Hono<NodeEnv>
  /** Seals with the first of these keys from now on, and opens with any of them. */
  replaceKeys(keys: readonly Buffer[]): void
  /**
   * Writes what the store has not received yet and releases everything. Waits at most `underWayMs` for refreshes in
   * flight and for storing their tokens.
   */
  close(underWayMs: number): Promise<void>
}

/** Puts the parts together; each gets what it needs as arguments and reads no configuration itself. */
export function composeService(options: ServiceOptions): Service {
  const parts = createParts(options)
  return {
    publicApp: composePublicApp(options, parts),
    internalApp: composeInternalApp(options, parts),
    replaceKeys(keys) {
      parts.ring.replaceKeys(keys)
      parts.caches.clear('sessions')
    },
    async close(underWayMs) {
      parts.overload.close()
      parts.closeProviders()
      await parts.refresher.finish(underWayMs)
      await parts.closeState()
    },
  }
}
