import type { EventId } from '../core/event-id.ts'
import type { Session } from '../core/session.ts'

/** Writing side of a stream. */
export interface StreamOutput {
  /** Writes without waiting; what the reader has not taken counts as unread. */
  write(bytes: Uint8Array): void
  readonly unreadBytes: number
  /** Resolves when the reader takes more, or has left; paces a replay. */
  whenRead(): Promise<void>
  /** Ends the answer after what was written. */
  end(): void
  /** Closes the connection of a reader that does not read. */
  destroy(): void
}

/** Session with open streams. */
export interface WatchedSession {
  readonly digest: string
  /** Without access token and claims, because a stream lives for hours and needs neither. */
  readonly session: Session
  /** Its streams, oldest first. */
  readonly streams: Set<Stream>
  /** Presumed end by idleness; a check elsewhere may have put it off. */
  idleEndsAtMs: number
  /** Whether the store has been asked about it since it has streams. */
  isConfirmed: boolean
}

/** Open stream of events to one page. */
export interface Stream {
  readonly watched: WatchedSession
  /** Host of the page. */
  readonly host: string
  readonly output: StreamOutput
  /** Part of the period in which its comments are written. */
  readonly slot: number
  /** Last broadcast that was written or passed over; `undefined` until the log has been read. */
  position: EventId | undefined
  /** Whether the client still receives what it missed, during which new broadcasts wait. */
  isReplaying: boolean
}

/** Returns what a stream needs of its session. */
export function withoutClaims(session: Session): Session {
  const { identity, createdAt, expiresAt, providerSession, generation } = session
  const { issuer, subject } = identity
  return {
    identity: { issuer, subject, groups: [], claims: {} },
    createdAt,
    expiresAt,
    ...(providerSession !== undefined && { providerSession }),
    ...(generation !== undefined && { generation }),
  }
}
