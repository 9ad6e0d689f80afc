/** Identifier of a broadcast: `milliseconds-number`, as the entries of a Redis stream have it. */
export type EventId = string

/** Identifier before all others. */
export const BEFORE_ALL: EventId = '0-0'

const FORM = /^\d{1,15}-\d{1,15}$/

/** Returns whether a text has the form of an identifier; clients may send any text as `Last-Event-ID`. */
export function isEventId(text: string): text is EventId {
  return FORM.test(text)
}

/** Returns whether `one` is later than `other`. */
export function isLater(one: EventId, other: EventId): boolean {
  const [oneMs = 0, oneNumber = 0] = one.split('-').map(Number)
  const [otherMs = 0, otherNumber = 0] = other.split('-').map(Number)
  return oneMs === otherMs ? oneNumber > otherNumber : oneMs > otherMs
}
