import type { Hono } from 'hono'
import { composeInternalApp } from './compose-internal.ts'
import { createParts, type ServiceOptions } from './compose-parts.ts'
import { composePublicApp } from './compose-public.ts'
import type { NodeEnv } from './routes/node-env.ts'

/** The whole service, not yet listening. */
export interface Service {
  readonly publicApp: Hono<NodeEnv>
  readonly internalApp: Hono<NodeEnv>
  /** Seals with the first of these keys from now on, and opens with any of them. */
  replaceKeys(keys: readonly Buffer[]): void
  closeProviders(): void
  /** Tells the store what it has not been told yet, and lets go of it. */
  closeState(): Promise<void>
}

/** How long refreshes that are under way at the end may take, and what they gave may wait for Redis. */
const LAST_REFRESHES_MS = 10_000

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
    closeProviders: parts.closeProviders,
    async closeState() {
      await parts.refresher.finish(LAST_REFRESHES_MS)
      await parts.closeState()
    },
  }
}
