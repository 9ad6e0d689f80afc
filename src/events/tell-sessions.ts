import type { EndReason } from '../core/end-reason.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { endedBytes, renewedBytes } from './sse-text.ts'
import type { StreamRegistry } from './stream-registry.ts'

/** Tells the pages of a session what has happened to it. */
export interface SessionTeller {
  /** Tells that it has ended, and ends their streams. */
  readonly end: (digest: string, reason: EndReason) => void
  /** Tells when it ends now. */
  readonly renew: (digest: string) => void
}

export interface SessionTellerOptions {
  readonly registry: Pick<StreamRegistry, 'sessions' | 'write' | 'finish'>
  readonly now: () => EpochMs
  readonly onSent: (kind: 'session-ended' | 'session-renewed', count: number) => void
}

export function createSessionTeller({
  registry,
  now,
  onSent,
}: SessionTellerOptions): SessionTeller {
  const { sessions, write, finish } = registry
  return {
    end(digest, reason) {
      const watched = sessions.get(digest)
      if (!watched) return
      onSent('session-ended', watched.streams.size)
      const bytes = endedBytes(reason)
      for (const stream of watched.streams) finish(stream, 'session-ended', bytes)
    },
    renew(digest) {
      const watched = sessions.get(digest)
      if (!watched) return
      onSent('session-renewed', watched.streams.size)
      const endsAtMs = Math.min(watched.session.expiresAt, watched.idleEndsAtMs)
      const bytes = renewedBytes(Math.max(0, Math.floor((endsAtMs - now()) / 1000)))
      for (const stream of watched.streams) write(stream, bytes)
    },
  }
}
