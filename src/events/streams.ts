import type { EndReason } from '../core/end-reason.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { EventId } from '../core/event-id.ts'
import type { Session } from '../core/session.ts'
import type { Store } from '../store/store.ts'
import { poll } from '../timing/poll.ts'
import type { Broadcasts } from './broadcasts.ts'
import { inTurns } from './in-turns.ts'
import type { HeldBroadcast } from './mirror.ts'
import { beginningBytes, COMMENT_BYTES, endedBytes, renewedBytes, retryBytes } from './sse-text.ts'
import { type Stream, type StreamOutput, type WatchedSession, withoutClaims } from './stream.ts'
import { watchSessions } from './watch-sessions.ts'
import { createBroadcastWriter } from './write-broadcasts.ts'

/** Stream that a client asks for. */
export interface StreamOptions {
  /** Digest of the session. */
  readonly digest: string
  readonly session: Session
  /** Host of the page. */
  readonly host: string
  /** Last event that the client has received; `undefined` for a client that begins now. */
  readonly lastEventId: EventId | undefined
  readonly output: StreamOutput
  /** Returns why this replica refuses the session by now, because it may have ended while it was found. */
  readonly reasonFor: ReasonFor
}

/** Returns why a session is refused; `undefined` where it is not. */
export type ReasonFor = (digest: string, session: Session) => EndReason | undefined

/** Reason for which a stream was closed: its client left or was too slow, the oldest of too many went, or this replica stops. */
export type CloseReason = 'left' | 'session-ended' | 'slow' | 'surplus' | 'draining'

/** All streams of this replica, with one timer for all of them. */
export interface Streams {
  readonly size: number
  /** Returns false where this replica has as many streams as it may. */
  open(options: StreamOptions): boolean
  /** Forgets the stream of an output whose connection is closed. */
  forget(output: StreamOutput): void
  /** Tells the pages of a session that it has ended, and ends their streams. */
  end(digest: string, reason: EndReason): void
  /** Tells the pages of a session that it was renewed. */
  renew(digest: string): void
  /** Ends the streams of all sessions that are refused from now on. */
  review(reasonFor: ReasonFor): void
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
  /** Calls a function periodically and returns a function that stops it; replaced by tests. */
  readonly every?: typeof poll
  readonly onRefused: () => void
  readonly onClosed: (reason: CloseReason) => void
  readonly onSent: (kind: 'session-ended' | 'session-renewed' | 'broadcast', count: number) => void
}

const TICK_MS = 1000
/** Ticks from one comment to the next; the streams are spread over them. */
const COMMENT_TICKS = 15
const LOOK_TICKS = 60
/** Ticks between two looks while no messages of other replicas arrive. */
const DEAF_LOOK_TICKS = 3
/** Ticks that a client has to take the end of its stream. */
const LEAVING_TICKS = 2

const MAX_STREAMS_OF_SESSION = 10
const MAX_UNREAD_BYTES = 64 * 1024

/** Times after which clients come back, spread so that not all come at once. */
const RETRY = { minMs: 1000, maxMs: 5000 }
const DRAIN_RETRY = { minMs: 1000, maxMs: 10_000 }
/** Keeps the oldest of too many streams of a session from pushing out the next oldest at once. */
const SURPLUS_RETRY = { minMs: 240_000, maxMs: 360_000 }

export function createStreams(options: StreamsOptions): Streams {
  const { broadcasts, now, every = poll } = options
  const sessions = new Map<string, WatchedSession>()
  const streams = new Map<StreamOutput, Stream>()
  /** Ended streams that their clients have not read to the end, with the tick at which they are closed. */
  const leaving = new Map<StreamOutput, number>()
  let ticks = 0
  let opened = 0
  let isDraining = false
  let stopTicking: (() => void) | undefined
  const watch = watchSessions({ ...options, sessions, end, onPutOff: renew })
  const writer = createBroadcastWriter({
    broadcasts,
    streams: () => streams.values(),
    isOpen: ({ output }) => streams.has(output),
    write,
    onSent: (count) => options.onSent('broadcast', count),
  })

  function write(stream: Stream, bytes: Uint8Array): void {
    stream.output.write(bytes)
    if (stream.output.unreadBytes > MAX_UNREAD_BYTES) {
      remove(stream, 'slow')
      stream.output.destroy()
    }
  }

  function remove(stream: Stream, reason: CloseReason): void {
    const { output, watched } = stream
    streams.delete(output)
    watched.streams.delete(stream)
    if (watched.streams.size === 0) sessions.delete(watched.digest)
    options.onClosed(reason)
  }

  function finish(stream: Stream, reason: CloseReason, lastBytes: Uint8Array): void {
    remove(stream, reason)
    endOutput(stream.output, lastBytes)
  }

  function endOutput(output: StreamOutput, lastBytes: Uint8Array): void {
    leaving.set(output, ticks + LEAVING_TICKS)
    output.write(lastBytes)
    output.end()
  }

  function end(digest: string, reason: EndReason): void {
    const watched = sessions.get(digest)
    if (!watched) return
    options.onSent('session-ended', watched.streams.size)
    for (const stream of watched.streams) finish(stream, 'session-ended', endedBytes(reason))
  }

  function renew(digest: string): void {
    const watched = sessions.get(digest)
    if (!watched) return
    const endsAtMs = Math.min(watched.session.expiresAt, watched.idleEndsAtMs)
    const bytes = renewedBytes(Math.max(0, Math.floor((endsAtMs - now()) / 1000)))
    options.onSent('session-renewed', watched.streams.size)
    for (const stream of watched.streams) write(stream, bytes)
  }

  function watched(digest: string, session: Session): WatchedSession {
    const known = sessions.get(digest)
    if (known) return known
    const idleEndsAtMs = options.idleTimeoutMs > 0 ? now() + options.idleTimeoutMs : Infinity
    const added = {
      digest,
      session: withoutClaims(session),
      streams: new Set<Stream>(),
      idleEndsAtMs,
      isConfirmed: false,
    }
    sessions.set(digest, added)
    watch.add(added)
    return added
  }

  function makeRoom(digest: string): boolean {
    const own = sessions.get(digest)?.streams
    const [oldest] = own ?? []
    if (!own || !oldest || own.size < MAX_STREAMS_OF_SESSION)
      return streams.size < options.maxStreams
    finish(oldest, 'surplus', retryBytes(spread(SURPLUS_RETRY)))
    return true
  }

  function open({ digest, session, host, lastEventId, output, reasonFor }: StreamOptions): boolean {
    stopTicking ??= every(TICK_MS, tick)
    if (isDraining) {
      endOutput(output, retryBytes(spread(DRAIN_RETRY)))
      options.onClosed('draining')
      return true
    }
    if (!makeRoom(digest)) {
      options.onRefused()
      return false
    }
    const stream: Stream = {
      watched: watched(digest, session),
      host,
      output,
      slot: opened++ % COMMENT_TICKS,
      position: lastEventId ?? broadcasts.latest,
      isReplaying: false,
    }
    streams.set(output, stream)
    stream.watched.streams.add(stream)
    output.write(beginningBytes(spread(RETRY), stream.position))
    // Asked once the stream is registered, so that no end comes between.
    const endReason = reasonFor(digest, session)
    if (endReason) end(digest, endReason)
    else writer.begin(stream)
    return true
  }

  function tick(): void {
    ticks++
    expire()
    closeLeaving()
    writer.settle()
    void inTurns(streamsOfSlot(ticks % COMMENT_TICKS), (stream) => write(stream, COMMENT_BYTES))
    watch.lookAtDue()
    if (ticks % (options.isHearing() ? LOOK_TICKS : DEAF_LOOK_TICKS) === 0)
      watch.lookUnlessLooking()
    if (streams.size + leaving.size === 0) stop()
  }

  function streamsOfSlot(slot: number): Iterable<Stream> {
    return streams.values().filter((stream) => stream.slot === slot)
  }

  function expire(): void {
    const nowMs = now()
    for (const { digest, session } of sessions.values()) {
      if (session.expiresAt <= nowMs) end(digest, 'expired')
    }
  }

  function closeLeaving(): void {
    for (const [output, atTick] of leaving) {
      if (ticks < atTick) continue
      leaving.delete(output)
      output.destroy()
    }
  }

  function stop(): void {
    stopTicking?.()
    stopTicking = undefined
  }

  return {
    get size() {
      return streams.size
    },
    open,
    forget(output) {
      leaving.delete(output)
      const stream = streams.get(output)
      if (stream) remove(stream, 'left')
    },
    end,
    renew,
    review(reasonFor) {
      void inTurns(sessions.values(), ({ digest, session }) => {
        const reason = reasonFor(digest, session)
        if (reason) end(digest, reason)
      })
    },
    deliver: (held) => writer.deliver(held),
    look: () => watch.look(),
    drain() {
      isDraining = true
      void inTurns(streams.values(), (stream) =>
        finish(stream, 'draining', retryBytes(spread(DRAIN_RETRY))),
      )
    },
    close() {
      stop()
      for (const output of leaving.keys()) output.destroy()
    },
  }
}

function spread({ minMs, maxMs }: typeof RETRY): number {
  return Math.round(minMs + Math.random() * (maxMs - minMs))
}
