import type { EpochMs } from '../core/epoch-ms.ts'
import type { EventId } from '../core/event-id.ts'
import type { Session } from '../core/session.ts'
import { retryBytes } from './sse-text.ts'
import { type Stream, type StreamOutput, type WatchedSession, withoutClaims } from './stream.ts'

/** Stream that a client asks for. */
export interface StreamRequest {
  /** Digest of the session. */
  readonly digest: string
  readonly session: Session
  /** Host of the page. */
  readonly host: string
  /** Last event that the client has received; `undefined` for a client that begins now. */
  readonly lastEventId: EventId | undefined
  readonly output: StreamOutput
}

/** Reason for which a stream was closed: its client left or was too slow, the oldest of too many went, or this replica stops. */
export type CloseReason = 'left' | 'session-ended' | 'slow' | 'surplus' | 'draining'

/** Open streams of this replica and their sessions, within their bounds. */
export interface StreamRegistry {
  /** Sessions with open streams, by digest. */
  readonly sessions: ReadonlyMap<string, WatchedSession>
  readonly streams: ReadonlyMap<StreamOutput, Stream>
  /** Whether no stream is open and no ended one waits for its reader. */
  readonly isEmpty: boolean
  /** Adds a stream, and closes the oldest of too many of its session. Returns `undefined` beyond the replica's bound. */
  add(request: StreamRequest, position: EventId | undefined): Stream | undefined
  readonly isOpen: (stream: Stream) => boolean
  /** Writes to a stream, and cuts off a reader that has too much unread. */
  readonly write: (stream: Stream, bytes: Uint8Array) => void
  /** Closes the connection of a slow reader. */
  readonly cutOff: (stream: Stream) => void
  /** Ends a stream after its last bytes. */
  readonly finish: (stream: Stream, reason: CloseReason, lastBytes: Uint8Array) => void
  /** Ends the answer to a client that gets no stream. */
  turnAway(output: StreamOutput, lastBytes: Uint8Array): void
  /** Forgets an output whose connection is closed. */
  readonly forget: (output: StreamOutput) => void
  /** Closes connections whose clients have not taken the end of their stream; called once a second. */
  closeOverdue(): void
  /** Closes them all. */
  close(): void
}

export interface StreamRegistryOptions {
  readonly maxStreams: number
  /** Idle timeout; 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  readonly now: () => EpochMs
  readonly onClosed: (reason: CloseReason) => void
}

/** Parts of the comments' period, over which the streams are spread. */
export const SLOTS = 15

const MAX_STREAMS_OF_SESSION = 10
const MAX_UNREAD_BYTES = 64 * 1024
/** Seconds that a client has to take the end of its stream. */
const LEAVING_SECONDS = 2
/** Long, because the client of a surplus stream would otherwise push out the next oldest at once. */
const SURPLUS_RETRY_MS = 5 * 60 * 1000

export function createStreamRegistry(options: StreamRegistryOptions): StreamRegistry {
  const { maxStreams, idleTimeoutMs, now, onClosed } = options
  const sessions = new Map<string, WatchedSession>()
  const streams = new Map<StreamOutput, Stream>()
  /** Ended outputs, with the seconds that their clients still have. */
  const leaving = new Map<StreamOutput, number>()
  let added = 0

  function remove(stream: Stream, reason: CloseReason): void {
    const { output, watched } = stream
    streams.delete(output)
    watched.streams.delete(stream)
    if (watched.streams.size === 0) sessions.delete(watched.digest)
    onClosed(reason)
  }

  function cutOff(stream: Stream): void {
    remove(stream, 'slow')
    stream.output.destroy()
  }

  function finish(stream: Stream, reason: CloseReason, lastBytes: Uint8Array): void {
    remove(stream, reason)
    turnAway(stream.output, lastBytes)
  }

  function turnAway(output: StreamOutput, lastBytes: Uint8Array): void {
    leaving.set(output, LEAVING_SECONDS)
    output.write(lastBytes)
    output.end()
  }

  /** Returns whether there is room for a stream of this session, after the oldest of too many has gone. */
  function makeRoom(digest: string): boolean {
    const own = sessions.get(digest)?.streams ?? new Set<Stream>()
    const [oldest] = own
    if (!oldest || own.size < MAX_STREAMS_OF_SESSION) return streams.size < maxStreams
    finish(oldest, 'surplus', retryBytes(SURPLUS_RETRY_MS))
    return true
  }

  function watch(digest: string, session: Session): WatchedSession {
    const watched = sessions.get(digest) ?? {
      digest,
      session: withoutClaims(session),
      streams: new Set(),
      idleEndsAtMs: idleTimeoutMs > 0 ? now() + idleTimeoutMs : Number.POSITIVE_INFINITY,
      isConfirmed: false,
    }
    sessions.set(digest, watched)
    return watched
  }

  return {
    sessions,
    streams,
    get isEmpty() {
      return streams.size + leaving.size === 0
    },
    add({ digest, session, host, output }, position) {
      if (!makeRoom(digest)) return undefined
      const watched = watch(digest, session)
      const slot = added++ % SLOTS
      const stream: Stream = { watched, host, output, slot, position, isReplaying: false }
      streams.set(output, stream)
      watched.streams.add(stream)
      return stream
    },
    isOpen: ({ output }) => streams.has(output),
    write(stream, bytes) {
      stream.output.write(bytes)
      // A replay fills Node's buffer, and cuts off by itself a reader that takes nothing.
      if (!stream.isReplaying && stream.output.unreadBytes > MAX_UNREAD_BYTES) cutOff(stream)
    },
    cutOff,
    finish,
    turnAway,
    forget(output) {
      leaving.delete(output)
      const stream = streams.get(output)
      if (stream) remove(stream, 'left')
    },
    closeOverdue() {
      for (const [output, seconds] of leaving) {
        if (seconds > 0) leaving.set(output, seconds - 1)
        else {
          leaving.delete(output)
          output.destroy()
        }
      }
    },
    close() {
      for (const output of [...leaving.keys(), ...streams.keys()]) output.destroy()
    },
  }
}
