/** Links of an entry to its neighbours; an entry is in one list at most. */
export interface Links<T> {
  previous: T | undefined
  next: T | undefined
  isListed: boolean
}

/** Entries in the order in which they came. */
export interface WaitingList<T> {
  readonly oldest: T | undefined
  readonly latest: T | undefined
  readonly size: number
  add(entry: T): void
  /** Returns false for an entry that has been removed already. */
  remove(entry: T): boolean
  /** Returns a copy, oldest first. */
  toArray(): T[]
}

/**
 * Creates an empty list, which entries leave in constant time. Stands in for a `Set`, because V8 keeps each table that a
 * busy `Set` outgrew alive until the next major collection, and with it answers that were read long before.
 */
export function createWaitingList<T extends Links<T>>(): WaitingList<T> {
  let oldest: T | undefined
  let latest: T | undefined
  let size = 0
  return {
    get oldest() {
      return oldest
    },
    get latest() {
      return latest
    },
    get size() {
      return size
    },
    add(entry) {
      entry.isListed = true
      entry.previous = latest
      if (latest) latest.next = entry
      else oldest = entry
      latest = entry
      size++
    },
    remove(entry) {
      if (!entry.isListed) return false
      const { previous, next } = entry
      if (previous) previous.next = next
      else oldest = next
      if (next) next.previous = previous
      else latest = previous
      entry.previous = undefined
      entry.next = undefined
      entry.isListed = false
      size--
      return true
    },
    toArray() {
      const entries: T[] = []
      for (let each = oldest; each; each = each.next) entries.push(each)
      return entries
    },
  }
}
