import { LRUCache } from 'lru-cache'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { Session } from '../core/session.ts'
import type { Store } from '../store/store.ts'
import { atMostEntries } from './at-most-entries.ts'

/** Extends the life of a session in the store behind the answer of a check that used it. */
export type ExtendIdle = (digest: string, session: Session) => void

export interface ExtendIdleOptions {
  readonly store: Store
  /** Idle timeout; 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  /** Wall clock. */
  readonly now: () => EpochMs
  readonly onExtendFailure: (cause: unknown) => void
}

/** Bounds the remembered extensions of this replica. */
const MAX_RECENT = 100_000

/** Writes at most once per session and min(idle / 10, 60 s). */
export function createExtendIdle(options: ExtendIdleOptions): ExtendIdle {
  const { store, idleTimeoutMs, now, onExtendFailure } = options
  if (!idleTimeoutMs) return () => undefined
  const recent = new LRUCache<string, true>({
    ...atMostEntries(MAX_RECENT),
    ttl: Math.max(1, Math.min(idleTimeoutMs / 10, 60_000)),
  })
  return (digest, session) => {
    if (recent.has(digest)) return
    recent.set(digest, true)
    const ttlMs = Math.min(idleTimeoutMs, session.expiresAt - now())
    store.extend(digest, ttlMs).catch(onExtendFailure)
  }
}
