import type { EndReason } from '../core/end-reason.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { EventId } from '../core/event-id.ts'
import type { Session } from '../core/session.ts'
import type { Store } from '../store/store.ts'
import type { Broadcasts } from './broadcasts.ts'
import type { HeldBroadcast } from './mirror.ts'

/** Open stream of events to one page. */
export interface StreamOptions {
  /** Digest of the session. */
  readonly digest: string
  readonly session: Session
  /** Host of the page. */
  readonly host: string
  /** Last event that the client has received; `undefined` for a client that begins now. */
  readonly lastEventId: EventId | undefined
  readonly output: StreamOutput
}

/** Writing side of a stream. */
export interface StreamOutput {
  /** Writes without waiting; what the reader has not taken counts as unread. */
  write(bytes: Uint8Array): void
  readonly unreadBytes: number
  /** Resolves when the reader has taken all, by which a replay is paced. */
  whenRead(): Promise<void>
  /** Ends the answer after what was written. */
  end(): void
  /** Closes the connection of a reader that does not read. */
  destroy(): void
}

/** Reason for which a stream was closed: its client left or was too slow, the oldest of too many went, or this replica stops. */
export type CloseReason = 'left' | 'session-ended' | 'slow' | 'surplus' | 'draining'

/** All streams of this replica, with one timer for all of them. */
export interface Streams {
  readonly size: number
  /** Returns false where this replica has as many streams as it may. */
  open(options: StreamOptions): boolean
  /** Forgets the stream of an output whose client has left. */
  forget(output: StreamOutput): void
  /** Tells the pages of a session that it has ended, and ends their streams. */
  end(digest: string, reason: EndReason): void
  /** Tells the pages of a session that it was renewed. */
  renew(digest: string): void
  /** Ends the streams of all sessions that are refused from now on. */
  review(reasonFor: (digest: string, session: Session) => EndReason | undefined): void
  /** Writes a broadcast to the pages that it is meant for. */
  deliver(held: HeldBroadcast): void
  /** Looks now whether the sessions of all streams exist; never rejects. */
  look(): Promise<void>
  /** Ends all streams, with a spread time at which each client comes back; so does one that opens later. */
  drain(): void
  close(): void
}

export interface StreamsOptions {
  readonly store: Pick<Store, 'readLives'>
  readonly broadcasts: Pick<Broadcasts, 'after' | 'latest'>
  readonly maxStreams: number
  /** Idle timeout; 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  /** Returns whether messages of other replicas arrive; while they do not, the store is read more often. */
  readonly isHearing: () => boolean
  readonly now: () => EpochMs
  readonly onOpened: () => void
  readonly onRefused: () => void
  readonly onClosed: (reason: CloseReason) => void
  readonly onSent: (kind: 'session-ended' | 'session-renewed' | 'broadcast', count: number) => void
}

export function createStreams(_options: StreamsOptions): Streams {
  return {
    size: 0,
    open: () => false,
    forget: () => undefined,
    end: () => undefined,
    renew: () => undefined,
    review: () => undefined,
    deliver: () => undefined,
    look: async () => undefined,
    drain: () => undefined,
    close: () => undefined,
  }
}
