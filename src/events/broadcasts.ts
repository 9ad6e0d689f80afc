import type { Broadcast } from '../core/broadcast.ts'
import type { EventId } from '../core/event-id.ts'
import type { AppendedEvent, EventLog } from '../store/event-log.ts'
import type { BroadcastCodec } from './broadcast-codec.ts'

/** Broadcast as streams write it. */
export interface HeldBroadcast {
  readonly id: EventId
  readonly broadcast: Broadcast
  /** Lines of the event as the client receives them, made once for all streams. */
  readonly bytes: Uint8Array
}

/**
 * Broadcasts of the last hour, held in memory by every replica, so that a client that comes back is served without a
 * read. Delivered in the order of their identifiers, each once.
 */
export interface Broadcasts {
  /** Sends to all replicas and resolves with the identifier. Rejects with the store's errors. */
  send(broadcast: Broadcast): Promise<EventId>
  /** Takes a broadcast of another replica; reads the log first where one before it is missing. */
  receive(event: AppendedEvent & { readonly sealed: Buffer }): void
  /** Reads from the log what was missed; never rejects. */
  catchUp(): Promise<void>
  /** Returns the held broadcasts after `id`, oldest first. */
  after(id: EventId): readonly HeldBroadcast[]
  /** Identifier of the latest one; `undefined` until the log has been read for the first time. */
  readonly latest: EventId | undefined
}

export interface BroadcastsOptions {
  readonly log: EventLog
  readonly codec: BroadcastCodec
  /** Called for each new broadcast, in order. */
  readonly onBroadcast: (held: HeldBroadcast) => void
}

export function createBroadcasts(_options: BroadcastsOptions): Broadcasts {
  return {
    send: () => Promise.reject(new Error('not written yet')),
    receive: () => undefined,
    catchUp: async () => undefined,
    after: () => [],
    latest: undefined,
  }
}
