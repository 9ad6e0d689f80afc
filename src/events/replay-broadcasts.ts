import { setImmediate as nextRound } from 'node:timers/promises'
import type { Broadcasts } from './broadcasts.ts'
import type { HeldBroadcast } from './mirror.ts'
import type { Stream } from './stream.ts'
import type { StreamRegistry } from './stream-registry.ts'

/** Writes to streams what their clients have missed, no faster than each reads. */
export interface Replays {
  /** Writes all that comes after the stream's position. Until then new broadcasts are left to it. */
  readonly begin: (stream: Stream) => void
  /** Cuts off readers that take too long over what was written; called once a second. */
  readonly closeStalled: () => void
}

export interface ReplayOptions {
  readonly broadcasts: Pick<Broadcasts, 'after'>
  readonly registry: Pick<StreamRegistry, 'isOpen' | 'cutOff'>
  readonly isFor: (stream: Stream, held: HeldBroadcast) => boolean
  readonly onSent: (count: number) => void
}

/** Pauses a replay above this many unread bytes. */
const MAX_UNREAD_BYTES = 16 * 1024
/** Bounds the broadcasts that a slow reader keeps in memory after the mirror has forgotten them. */
const AT_ONCE = 16
/** Seconds that a reader has to take what is unread. */
const STALLED_SECONDS = 30

export function replayBroadcasts({ broadcasts, registry, isFor, onSent }: ReplayOptions): Replays {
  /** Replays under way, with the seconds for which each has waited for its reader. */
  const running = new Map<Stream, number>()

  async function replay(stream: Stream): Promise<void> {
    for (let next = nextFor(stream); next.length > 0; next = nextFor(stream)) {
      // Lets the stream's first block go out by itself, because some proxies begin to compress at a long one.
      await nextRound()
      for (const held of next) if (registry.isOpen(stream)) await writeNext(stream, held)
      if (!registry.isOpen(stream)) break
    }
    // Follows in the turn in which nothing was left, so that no new broadcast falls between.
    running.delete(stream)
    stream.isReplaying = false
  }

  async function writeNext(stream: Stream, held: HeldBroadcast): Promise<void> {
    stream.position = held.id
    stream.output.write(held.bytes)
    onSent(1)
    if (stream.output.unreadBytes <= MAX_UNREAD_BYTES) return
    await stream.output.whenRead()
    running.set(stream, 0)
  }

  /** Returns the next ones that are for the stream, and passes over all where there is none. */
  function nextFor(stream: Stream): readonly HeldBroadcast[] {
    if (stream.position === undefined) return []
    const missed = broadcasts.after(stream.position)
    const own = missed.filter((held) => isFor(stream, held)).slice(0, AT_ONCE)
    if (own.length === 0) stream.position = missed.at(-1)?.id ?? stream.position
    return own
  }

  return {
    begin(stream) {
      if (running.has(stream)) return
      running.set(stream, 0)
      stream.isReplaying = true
      void replay(stream)
    },
    closeStalled() {
      for (const [stream, seconds] of running) {
        if (!registry.isOpen(stream)) running.delete(stream)
        else if (seconds < STALLED_SECONDS) running.set(stream, seconds + 1)
        else registry.cutOff(stream)
      }
    },
  }
}
