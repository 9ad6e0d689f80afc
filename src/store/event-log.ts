import type { EventId } from '../core/event-id.ts'

/** Sealed broadcast with its identifier, which grows from entry to entry. */
export interface LoggedEvent {
  readonly id: EventId
  readonly sealed: Buffer
}

/** Entry that has just been written, and the identifier of the entry before it (`0-0` for the first). */
export interface AppendedEvent {
  readonly id: EventId
  readonly previous: EventId
}

/**
 * Log of sealed broadcasts, from which replicas read what they missed. Bounded to `MAX_LOGGED` entries and
 * `LOGGED_MS`; throws `AuthError` `store_unavailable` when the store gives no answer.
 */
export interface EventLog {
  /**
   * Appends an entry with an identifier after `floor` and publishes it to the other replicas, in one step. Never repeated,
   * because it would arrive twice.
   */
  append(sealed: Buffer, floor: EventId): Promise<AppendedEvent>
  /** Reads the entries after `id`, oldest first. */
  readAfter(id: EventId): Promise<readonly LoggedEvent[]>
}

export const MAX_LOGGED = 1000
export const LOGGED_MS = 60 * 60 * 1000
