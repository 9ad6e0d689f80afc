import { isMeantFor } from '../core/broadcast.ts'
import { isLater } from '../core/event-id.ts'
import type { Broadcasts } from './broadcasts.ts'
import { inTurns } from './in-turns.ts'
import type { HeldBroadcast } from './mirror.ts'
import { positionBytes } from './sse-text.ts'
import type { Stream } from './stream.ts'

/** Writes broadcasts to streams: each to the pages that it is meant for, once and in order. */
export interface BroadcastWriter {
  /** Writes what a client missed, or sets its position where it begins now. */
  begin(stream: Stream): void
  /** Writes a new broadcast to all streams. */
  deliver(held: HeldBroadcast): void
  /** Begins the streams that were opened before the log had been read. */
  settle(): void
}

export interface BroadcastWriterOptions {
  readonly broadcasts: Pick<Broadcasts, 'after' | 'latest'>
  readonly streams: () => Iterable<Stream>
  readonly isOpen: (stream: Stream) => boolean
  /** Writes to a stream and closes that of a slow reader. */
  readonly write: (stream: Stream, bytes: Uint8Array) => void
  readonly onSent: (count: number) => void
}

/** Pauses a replay above this many unread bytes. */
const REPLAYED_UNREAD_BYTES = 16 * 1024

export function createBroadcastWriter(options: BroadcastWriterOptions): BroadcastWriter {
  const { broadcasts, isOpen } = options
  const queue: HeldBroadcast[] = []
  const unsettled = new Set<Stream>()
  let isDelivering = false

  function isFor({ watched, host }: Stream, { broadcast }: HeldBroadcast): boolean {
    return isMeantFor(broadcast, { subject: watched.session.identity.subject, host })
  }

  async function deliverQueue(): Promise<void> {
    if (isDelivering) return
    isDelivering = true
    for (let held = queue[0]; held; held = queue[0]) {
      await deliverOne(held)
      queue.shift()
    }
    isDelivering = false
  }

  /** Writes to one portion of the streams after another, because checks would wait for all of them. */
  async function deliverOne(held: HeldBroadcast): Promise<void> {
    let count = 0
    await inTurns(options.streams(), (stream) => {
      // Leaves it to the replay, which reads it after all that come before.
      if (stream.isReplaying) return
      if (stream.position !== undefined && !isLater(held.id, stream.position)) return
      stream.position = held.id
      if (!isFor(stream, held)) return
      count++
      options.write(stream, held.bytes)
    })
    if (count > 0) options.onSent(count)
  }

  /** Writes what was missed no faster than the reader takes it; ends only when no later one is held. */
  async function replay(stream: Stream): Promise<void> {
    stream.isReplaying = true
    for (let held = nextFor(stream); held; held = nextFor(stream)) {
      stream.position = held.id
      if (!isFor(stream, held)) continue
      stream.output.write(held.bytes)
      options.onSent(1)
      if (stream.output.unreadBytes > REPLAYED_UNREAD_BYTES) await stream.output.whenRead()
      if (!isOpen(stream)) return
    }
    stream.isReplaying = false
  }

  function nextFor({ position }: Stream): HeldBroadcast | undefined {
    return position === undefined ? undefined : broadcasts.after(position)[0]
  }

  function settleOne(stream: Stream): void {
    if (stream.isReplaying) void replay(stream)
    else if (stream.position === undefined && broadcasts.latest !== undefined) {
      stream.position = broadcasts.latest
      options.write(stream, positionBytes(broadcasts.latest))
    }
  }

  function settle(): void {
    if (broadcasts.latest === undefined || unsettled.size === 0) return
    for (const stream of unsettled) {
      // A new broadcast under way is to reach a stream that was opened before it.
      const isWaiting = queue.length > 0 && !stream.isReplaying
      if (isWaiting && isOpen(stream)) continue
      unsettled.delete(stream)
      if (isOpen(stream)) settleOne(stream)
    }
  }

  return {
    begin(stream) {
      if (broadcasts.latest === undefined) {
        stream.isReplaying = stream.position !== undefined
        unsettled.add(stream)
      } else if (stream.position === undefined) stream.position = broadcasts.latest
      else void replay(stream)
    },
    deliver(held) {
      queue.push(held)
      settle()
      void deliverQueue()
    },
    settle,
  }
}
