import type { EndReason } from '../core/end-reason.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { SessionLife, Store } from '../store/store.ts'
import { createSingleFlight } from '../timing/single-flight.ts'
import type { WatchedSession } from './stream.ts'

/** Asks the store about the sessions of all streams. */
export interface SessionWatch {
  /** Tells that the store gave no answer the last time, so that ends may wait for the next look. */
  readonly isBehind: boolean
  /** Asks about all of them, once more where that is already under way. Never rejects. */
  readonly look: () => Promise<void>
  /** Asks about all of them unless that is under way. */
  lookUnlessLooking(): void
  /** Asks about sessions that have just got their first stream, and about those that may have ended by idleness. */
  lookAtDue(): void
  /** Adds a session that has got its first stream. */
  add(watched: WatchedSession): void
}

export interface SessionWatchOptions {
  readonly store: Pick<Store, 'readLives'>
  readonly sessions: ReadonlyMap<string, WatchedSession>
  /** Idle timeout; 0 = sessions do not end by idleness. */
  readonly idleTimeoutMs: number
  readonly now: () => EpochMs
  readonly end: (digest: string, reason: EndReason) => void
  /** Called when use of a session elsewhere has put its end off. */
  readonly onPutOff: (digest: string) => void
}

/** Bounds the sessions of one read. */
const AT_ONCE = 200
/** Pause before an end by idleness is looked up again. */
const AGAIN_MS = 3000
/** Difference of two readings of one end. */
const TOLERANCE_MS = 1000

export function watchSessions(options: SessionWatchOptions): SessionWatch {
  const { store, sessions, idleTimeoutMs, now } = options
  const added = new Set<WatchedSession>()
  let [isAskedAgain, isBehind] = [false, false]
  const looking = createSingleFlight(async () => {
    do {
      isAskedAgain = false
      isBehind = false
      await lookAt([...sessions.values()])
    } while (isAskedAgain)
  })

  /** Ends nothing where the store gives no answer, because an error is no miss. */
  async function lookAt(all: readonly WatchedSession[]): Promise<void> {
    for (let at = 0; at < all.length; at += AT_ONCE) {
      const portion = all.slice(at, at + AT_ONCE)
      const askedAtMs = now()
      const lives = await store
        .readLives(portion.map(({ digest }) => digest))
        .catch(() => undefined)
      if (!lives) {
        isBehind = true
        return
      }
      for (const [which, life] of lives.entries()) note(portion[which], life, askedAtMs)
    }
  }

  function note(watched: WatchedSession | undefined, life: SessionLife, askedAtMs: EpochMs): void {
    if (!watched || sessions.get(watched.digest) !== watched) return
    if (life.kind === 'ended') options.end(watched.digest, life.reason ?? 'expired')
    else if (idleTimeoutMs > 0) noteIdleEnd(watched, askedAtMs + life.leftMs)
    watched.isConfirmed = true
  }

  function noteIdleEnd(watched: WatchedSession, endsAtMs: EpochMs): void {
    const isPutOff = watched.isConfirmed && endsAtMs > watched.idleEndsAtMs + TOLERANCE_MS
    watched.idleEndsAtMs = endsAtMs
    if (isPutOff) options.onPutOff(watched.digest)
  }

  return {
    look() {
      isAskedAgain = true
      return looking.run()
    },
    lookUnlessLooking: () => void looking.run(),
    lookAtDue() {
      const nowMs = now()
      const due = new Set(added)
      added.clear()
      for (const watched of idleTimeoutMs > 0 ? sessions.values() : []) {
        if (nowMs < watched.idleEndsAtMs) continue
        watched.idleEndsAtMs = nowMs + AGAIN_MS
        due.add(watched)
      }
      if (due.size > 0) void lookAt([...due])
    },
    add: (watched) => void added.add(watched),
    get isBehind() {
      return isBehind
    },
  }
}
