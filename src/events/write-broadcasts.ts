import { isMeantFor } from '../core/broadcast.ts'
import { type EventId, isLater } from '../core/event-id.ts'
import type { Broadcasts } from './broadcasts.ts'
import { inTurns } from './in-turns.ts'
import type { HeldBroadcast } from './mirror.ts'
import { replayBroadcasts } from './replay-broadcasts.ts'
import { positionBytes } from './sse-text.ts'
import type { Stream } from './stream.ts'
import type { StreamRegistry } from './stream-registry.ts'

/** Writes broadcasts to streams: each to the pages that it is meant for, once and in order. */
export interface BroadcastWriter {
  /** Writes what the client of a new stream has missed. */
  readonly begin: (stream: Stream) => void
  /** Writes a new broadcast to all streams. */
  readonly deliver: (held: HeldBroadcast) => void
  /** Begins the streams that were opened before the log had been read, and closes stalled ones; called once a second. */
  readonly tick: () => void
}

export interface BroadcastWriterOptions {
  readonly broadcasts: Pick<Broadcasts, 'after' | 'latest' | 'catchUp' | 'isBehind'>
  readonly registry: Pick<StreamRegistry, 'streams' | 'isOpen' | 'write' | 'cutOff'>
  readonly onSent: (count: number) => void
}

/**
 * Bounds what is written at once to all; more comes together after a breach of the backplane, and each reader then takes it
 * at its own pace.
 */
const MAX_QUEUED_BYTES = 32 * 1024

export function createBroadcastWriter(options: BroadcastWriterOptions): BroadcastWriter {
  const { broadcasts, registry } = options
  const { streams, isOpen, write } = registry
  const replays = replayBroadcasts({ ...options, isFor })
  let queue: HeldBroadcast[] = []
  /** Whether streams were opened before the log had been read. */
  let hasUnsettled = false
  let isDelivering = false

  async function deliverQueue(): Promise<void> {
    if (isDelivering) return
    isDelivering = true
    // Begins after the calls that come together, by which a burst is known.
    await Promise.resolve()
    while (queue.length > 0) await (isBurst() ? deliverBurst() : deliverNext())
    isDelivering = false
    settle()
  }

  function isBurst(): boolean {
    return queue.reduce((sum, { bytes }) => sum + bytes.length, 0) > MAX_QUEUED_BYTES
  }

  /** Writes to one portion of the streams after another, because checks would wait for all of them. */
  async function deliverNext(): Promise<void> {
    const [held] = queue
    if (!held) return
    let count = 0
    await inTurns(streams.values(), (stream) => {
      if (pass(stream, held)) count++
    })
    queue.shift()
    if (count > 0) options.onSent(count)
  }

  async function deliverBurst(): Promise<void> {
    const burst = queue
    queue = []
    await inTurns(streams.values(), (stream) => {
      if (stream.position !== undefined) replays.begin(stream)
      else for (const held of burst) pass(stream, held)
    })
  }

  /** Returns whether a broadcast was written to a stream. */
  function pass(stream: Stream, held: HeldBroadcast): boolean {
    // Leaves it to the replay, which writes it after all that come before.
    if (stream.isReplaying) return false
    if (!isAfter(held, stream.position)) return false
    stream.position = held.id
    if (!isFor(stream, held) || !isOpen(stream)) return false
    write(stream, held.bytes)
    return true
  }

  /** Asks the mirror about an earlier identifier, because Redis numbers anew after a loss of its data. */
  function isAfter(held: HeldBroadcast, position: EventId | undefined): boolean {
    if (position === undefined || isLater(held.id, position)) return true
    return broadcasts.after(position).includes(held)
  }

  function settle(): void {
    const { latest } = broadcasts
    // Waits for broadcasts under way, which are to reach a stream that was opened before them.
    if (!hasUnsettled || latest === undefined || isDelivering) return
    hasUnsettled = false
    void inTurns(streams.values(), (stream) => {
      if (stream.isReplaying) begin(stream)
      else if (stream.position === undefined) {
        stream.position = latest
        write(stream, positionBytes(latest))
      }
    })
  }

  function begin(stream: Stream): void {
    const { latest } = broadcasts
    if (latest === undefined) {
      stream.isReplaying = stream.position !== undefined
      hasUnsettled = true
    } else if (isAhead(stream)) void beginAhead(stream, latest)
    else replays.begin(stream)
  }

  /** Returns whether a client names an identifier that is later than all this replica knows. */
  function isAhead({ position }: Stream): boolean {
    const { latest } = broadcasts
    if (position === undefined || latest === undefined || !isLater(position, latest)) return false
    return broadcasts.after(position).length === 0
  }

  /** Reads the log for it, and begins at `latest` where the log lacks it, because the stream would stay silent otherwise. */
  async function beginAhead(stream: Stream, latest: EventId): Promise<void> {
    stream.isReplaying = true
    await broadcasts.catchUp()
    if (!isOpen(stream)) return
    if (isAhead(stream) && !broadcasts.isBehind) {
      stream.position = latest
      write(stream, positionBytes(latest))
    }
    replays.begin(stream)
  }

  return {
    begin,
    deliver(held) {
      // Passes over what the first read of the log brings, because a stream without a position begins after it.
      if (broadcasts.latest === undefined) return
      queue.push(held)
      void deliverQueue()
    },
    tick() {
      settle()
      replays.closeStalled()
    },
  }
}

function isFor({ watched, host }: Stream, { broadcast }: HeldBroadcast): boolean {
  return isMeantFor(broadcast, { subject: watched.session.identity.subject, host })
}
