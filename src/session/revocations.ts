import { LRUCache } from 'lru-cache'
import type { EndReason } from '../core/end-reason.ts'
import type { Session } from '../core/session.ts'
import { AuthError } from '../errors.ts'
import type { Moment } from '../store/generations.ts'
import type { Owner } from '../store/sessions-by-owner.ts'
import { createSingleFlight } from '../timing/single-flight.ts'
import { atMostEntries } from './at-most-entries.ts'
import type { Order } from './end-in-store.ts'
import { inPortions } from './in-portions.ts'
import { ownersOf } from './owners.ts'

/**
 * Sessions known to have ended, which this replica refuses whatever the store says, because the store may not have been
 * told yet or may have lost the end in a failover. Unverified ends have a small queue of their own.
 */
export interface Revocations {
  has(digest: string): boolean
  /** Returns whether a deferred order for its user, its provider session or everybody ends this session. */
  includes(session: Session): boolean
  /** Returns why this one session has ended, as far as this replica knows of it. */
  reasonOf(digest: string): EndReason | undefined
  /** Returns why this replica refuses a session, be it for a deferred order; `undefined` where it does not. */
  reasonFor(digest: string, session: Session): EndReason | undefined
  /** Returns whether an end of this one session waits for the store. */
  isWaiting(digest: string): boolean
  /** Records an end that the store has been told, here or by another replica. The reason of the first end stays. */
  note(digest: string, reason: EndReason): void
  /** Records an end and queues `apply` for the store's return. Throws `AuthError` `store_unavailable` above 10,000. */
  defer(digest: string, reason: EndReason, apply: () => Promise<unknown>): void
  /**
   * Defers the end of a session that may not exist, which `apply` looks up. Has a queue of its own, bounded per
   * address, because anybody can make such sessions up.
   */
  deferUnverified(digest: string, apply: () => Promise<unknown>, address: string): void
  /** Defers the end of all sessions of an owner, or of everybody, that had begun when it was ordered. */
  deferAllOf(owner: Owner | undefined, order: Order): void
  /** Applies the queued ends to the store; those that fail stay queued. Never rejects. */
  flush(): Promise<void>
  /** Repeats the known ends, because a store that has come back may have older data (faults F13, F16). */
  repeat(): Promise<void>
  readonly waiting: number
}

export interface RevocationsOptions {
  /** Maximum age of a session, after which an end can be forgotten. */
  readonly maxAgeMs: number
  readonly applyToAllOf: (owner: Owner | undefined, order: Order) => Promise<unknown>
  /** Returns the first generation after that moment; `undefined` while it is unknown. */
  readonly knownFrom: (asked: Moment) => number | undefined
  /** Returns whether a generation is ahead of the store's clock, because that clock went back. */
  readonly isAhead: (generation: number) => boolean
  /** Ends just this one session in the store once more. */
  readonly applyAgain: (digest: string, reason: EndReason) => Promise<void>
  readonly onFlushed: (count: number) => void
}

const MAX_KNOWN = 100_000
const MAX_WAITING = 10_000
/** Bounds sign-outs that cannot be verified, because anybody can make them up (finding C12). */
const MAX_UNVERIFIED = 1000
const MAX_UNVERIFIED_OF_ADDRESS = 100
/** Name of the order that ends everybody's sessions; an owner's name has a colon. */
const EVERYBODY = 'everybody'

/** Creates the memory of ended sessions and the queues of ends that wait for the store, all bounded (finding C12). */
export function createRevocations(options: RevocationsOptions): Revocations {
  const known = new LRUCache<string, EndReason>({
    ...atMostEntries(MAX_KNOWN),
    ttl: options.maxAgeMs,
  })
  const outbox = new Map<string, QueuedEnd>()
  const unverified = new Map<string, UnverifiedEnd>()
  const owners = new Map<string, Order>()
  const flushing = createSingleFlight(flushOutbox)

  /** Sends all at once, so that they precede later commands on the same connection. */
  async function flushOutbox(): Promise<void> {
    const results = await Promise.allSettled([...sendAll(outbox), ...sendAll(unverified)])
    const done = results.filter(({ status }) => status === 'fulfilled').length
    if (done > 0) options.onFlushed(done)
  }

  function isMeant(session: Session, order: Order | undefined): boolean {
    if (!order) return false
    const { generation = 0 } = session
    // Fails closed: without a known generation the session counts as begun before.
    const from = options.knownFrom(order.asked) ?? Number.POSITIVE_INFINITY
    return generation < from || options.isAhead(generation)
  }

  /** Returns the deferred order that ends this session. */
  function orderAbout(session: Session): Order | undefined {
    if (owners.size === 0) return undefined
    const names = [EVERYBODY, ...ownersOf(session).map(nameOf)]
    return names.map((name) => owners.get(name)).find((order) => isMeant(session, order))
  }

  function reasonOf(digest: string): EndReason | undefined {
    return known.get(digest) ?? (unverified.has(digest) ? 'signed-out' : undefined)
  }

  function note(digest: string, reason: EndReason): void {
    known.set(digest, known.get(digest) ?? reason)
  }

  return {
    has: (digest) =>
      (known.size > 0 && known.has(digest)) || (unverified.size > 0 && unverified.has(digest)),
    isWaiting: (digest) => outbox.has(digest) || unverified.has(digest),
    reasonOf,
    reasonFor: (digest, session) => reasonOf(digest) ?? orderAbout(session)?.reason,
    note,
    defer(digest, reason, apply) {
      put(outbox, digest, { apply }, MAX_WAITING)
      note(digest, reason)
    },
    deferUnverified(digest, apply, address) {
      const own = [...unverified.values()].filter((each) => each.address === address).length
      if (own >= MAX_UNVERIFIED_OF_ADDRESS && !unverified.has(digest)) refuseMore()
      put(unverified, digest, { apply, address }, MAX_UNVERIFIED)
    },
    includes: (session) => orderAbout(session) !== undefined,
    deferAllOf(owner, { asked, reason }) {
      const name = owner ? nameOf(owner) : EVERYBODY
      // Keeps the reason of an order that waits already, because pages here were told that one.
      const order: Order = { asked, reason: owners.get(name)?.reason ?? reason }
      const end: QueuedEnd = {
        async apply() {
          await options.applyToAllOf(owner, order)
          if (outbox.get(name) === end) owners.delete(name)
        },
      }
      put(outbox, name, end, MAX_WAITING)
      owners.set(name, order)
    },
    flush: () => flushing.run(),
    async repeat() {
      await inPortions([...known.entries()], ([digest, reason]) =>
        options.applyAgain(digest, reason).catch(() => undefined),
      )
    },
    get waiting() {
      return outbox.size + unverified.size
    },
  }
}

/** End that waits for the store. */
interface QueuedEnd {
  readonly apply: () => Promise<unknown>
}

/** End of a session whose cookie could not be verified; `address` asked for it. */
interface UnverifiedEnd extends QueuedEnd {
  readonly address: string
}

/** Queues an end by its name, so that each waits once. */
function put<T extends QueuedEnd>(queue: Map<string, T>, name: string, end: T, max: number): void {
  if (queue.size >= max && !queue.has(name)) refuseMore()
  queue.set(name, end)
}

function sendAll(queue: Map<string, QueuedEnd>): Promise<void>[] {
  return [...queue].map(async ([name, end]) => {
    await end.apply()
    // Keeps an order that replaced this one meanwhile, because it may concern later sessions.
    if (queue.get(name) === end) queue.delete(name)
  })
}

function refuseMore(): never {
  throw new AuthError('store_unavailable', 'too many ends of sessions wait for the store')
}

function nameOf({ kind, id }: Owner): string {
  return `${kind}:${id}`
}
