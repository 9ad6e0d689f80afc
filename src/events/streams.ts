import type { EndReason } from '../core/end-reason.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { Session } from '../core/session.ts'
import type { Store } from '../store/store.ts'
import { poll } from '../timing/poll.ts'
import type { Broadcasts } from './broadcasts.ts'
import { inTurns } from './in-turns.ts'
import type { HeldBroadcast } from './mirror.ts'
import { beginningBytes, COMMENT_BYTES, retryBytes } from './sse-text.ts'
import type { Stream, StreamOutput } from './stream.ts'
import {
  type CloseReason,
  createStreamRegistry,
  SLOTS,
  type StreamRequest,
} from './stream-registry.ts'
import { createSessionTeller } from './tell-sessions.ts'
import { watchSessions } from './watch-sessions.ts'
import { createBroadcastWriter } from './write-broadcasts.ts'

export interface OpenStreamOptions extends StreamRequest {
  /** Returns why this replica refuses the session by now, because it may have ended while it was found. */
  readonly reasonFor: ReasonFor
}

/** Returns why a session is refused; `undefined` where it is not. */
export type ReasonFor = (digest: string, session: Session) => EndReason | undefined

/** All streams of this replica, with one timer for all of them. */
export interface Streams {
  readonly size: number
  /** Returns false where this replica has as many streams as it may. */
  open(options: OpenStreamOptions): boolean
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
  readonly broadcasts: Pick<Broadcasts, 'after' | 'latest' | 'catchUp' | 'isBehind'>
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
/** Ticks between two looks at all sessions, and while no messages of other replicas arrive or the last look failed. */
const LOOK_TICKS = { hearing: 60, deaf: 3 }
/** Times after which clients come back, spread so that not all come at once. */
const RETRY = { minMs: 1000, maxMs: 5000 }
const DRAIN_RETRY = { minMs: 1000, maxMs: 10_000 }

export function createStreams(options: StreamsOptions): Streams {
  const { broadcasts, now, onSent, every = poll } = options
  const registry = createStreamRegistry(options)
  const { sessions, streams, write, finish } = registry
  const { end, renew } = createSessionTeller({ registry, now, onSent })
  const watch = watchSessions({ ...options, sessions, end, onPutOff: renew })
  const writer = createBroadcastWriter({
    broadcasts,
    registry,
    onSent: (count) => onSent('broadcast', count),
  })
  let [ticks, lookedAtTick] = [0, 0]
  let isDraining = false
  let stopTicking: (() => void) | undefined

  function begin(stream: Stream, reasonFor: ReasonFor, session: Session): void {
    const { watched, output } = stream
    output.write(beginningBytes(spread(RETRY), stream.position, watched.digest))
    // Asked once the stream is registered, so that no end comes between.
    const reason = reasonFor(watched.digest, session)
    if (reason) {
      end(watched.digest, reason)
      return
    }
    if (!watched.isConfirmed) watch.add(watched)
    writer.begin(stream)
  }

  function tick(): void {
    ticks++
    registry.closeOverdue()
    expire()
    writer.tick()
    void inTurns(ofSlot(ticks % SLOTS), (stream) => write(stream, COMMENT_BYTES))
    watch.lookAtDue()
    readMissed()
    if (registry.isEmpty) stop()
  }

  /** Reads what messages of other replicas would have told. */
  function readMissed(): void {
    // Counts from the last look, so that the first one follows at once when messages cease to arrive.
    const sinceLook = ticks - lookedAtTick
    const isLate = sinceLook >= (options.isHearing() ? LOOK_TICKS.hearing : LOOK_TICKS.deaf)
    const isAgain = ticks % LOOK_TICKS.deaf === 0
    // A look can fail just when messages arrive again, because the breaker may close after that.
    const isDue = isLate || (watch.isBehind && isAgain)
    if (isDue) {
      lookedAtTick = ticks
      watch.lookUnlessLooking()
    }
    if (isDue || (broadcasts.isBehind && isAgain)) void broadcasts.catchUp()
  }

  function ofSlot(slot: number): Iterable<Stream> {
    return streams.values().filter((stream) => stream.slot === slot)
  }

  function expire(): void {
    const nowMs = now()
    void inTurns(
      sessions.values().filter(({ session }) => session.expiresAt <= nowMs),
      ({ digest }) => end(digest, 'expired'),
    )
  }

  function stop(): void {
    stopTicking?.()
    stopTicking = undefined
  }

  return {
    get size() {
      return streams.size
    },
    open({ reasonFor, ...request }) {
      stopTicking ??= every(TICK_MS, tick)
      if (isDraining) {
        registry.turnAway(request.output, retryBytes(spread(DRAIN_RETRY)))
        options.onClosed('draining')
        return true
      }
      const stream = registry.add(request, request.lastEventId ?? broadcasts.latest)
      if (stream) begin(stream, reasonFor, request.session)
      else options.onRefused()
      return stream !== undefined
    },
    forget: registry.forget,
    end,
    renew,
    review(reasonFor) {
      void inTurns(sessions.values(), ({ digest, session }) => {
        const reason = reasonFor(digest, session)
        if (reason) end(digest, reason)
      })
    },
    deliver: writer.deliver,
    look: watch.look,
    drain() {
      isDraining = true
      void inTurns(streams.values(), (stream) =>
        finish(stream, 'draining', retryBytes(spread(DRAIN_RETRY))),
      )
    },
    close() {
      stop()
      registry.close()
    },
  }
}

function spread({ minMs, maxMs }: typeof RETRY): number {
  return Math.round(minMs + Math.random() * (maxMs - minMs))
}
