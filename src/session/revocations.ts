import { LRUCache } from 'lru-cache'
import type { Session } from '../core/session.ts'
import { AuthError } from '../errors.ts'
import type { Moment } from '../store/generations.ts'
import type { Owner } from '../store/session-index.ts'
import { createSingleFlight } from '../timing/single-flight.ts'
import { inPortions } from './in-portions.ts'
import { ownersOf } from './owners.ts'

/**
 * Sessions that are known to have ended, whatever the store says: it may not have been told yet, or may have lost it
 * in a failover. Only ended sessions are added, so requests cannot fill it; what nobody could verify is apart, and few.
 */
export interface Revocations {
  has(digest: string): boolean
  /** Returns whether a deferred order for its user, its provider session or everybody ends this session. */
  includes(session: Session): boolean
  /** Whether the store has yet to be told of this session by itself. */
  isWaiting(digest: string): boolean
  /** Heard from another replica, or done here. */
  note(digest: string): void
  /** Ended here while the store could not be told; it is when it is back. Throws `AuthError` when too many wait. */
  defer(digest: string, apply: () => Promise<unknown>): void
  /**
   * Defers the end of a session that may not exist, which `apply` looks up. Has a queue of its own, bounded per
   * address, because anybody can make such sessions up.
   */
  deferUnverified(digest: string, apply: () => Promise<unknown>, address: string): void
  /** Defers the end of all sessions of an owner, or of everybody, that had begun at `asked`. */
  deferAllOf(owner: Owner | undefined, asked: Moment): void
  /** Tells the store what waits; what fails waits on. */
  flush(): Promise<void>
  /** Tells a store that may have come back with old data what it may not know any more (faults F13, F16). */
  repeat(): Promise<void>
  readonly waiting: number
}

export interface RevocationsOptions {
  /** After this no session of today lives. */
  readonly maxAgeMs: number
  readonly applyToAllOf: (owner: Owner | undefined, asked: Moment) => Promise<unknown>
  /** Returns the first generation after that moment; `undefined` while it is not known. */
  readonly knownFrom: (asked: Moment) => number | undefined
  /** Whether a generation is later than it can be. */
  readonly isAhead: (generation: number) => boolean
  /** Ends just this one session in the store once more. */
  readonly applyAgain: (digest: string) => Promise<void>
  readonly onFlushed: (count: number) => void
}

const MAX_KNOWN = 100_000
const MAX_WAITING = 10_000
/** Bounds sign-outs that cannot be verified, because anybody can make them up (finding C12). */
const MAX_UNVERIFIED = 1000
const MAX_UNVERIFIED_OF_ADDRESS = 100
/** Key for everybody; an owner's has a colon. */
const EVERYBODY = 'everybody'

export function createRevocations(options: RevocationsOptions): Revocations {
  const known = new LRUCache<string, true>({ max: MAX_KNOWN, ttl: options.maxAgeMs })
  const outbox: Outbox = new Map()
  const unverified: Outbox = new Map()
  const owners = new Map<string, Moment>()
  const flushing = createSingleFlight(flushOutbox)

  /** All at once, so that they are ahead of whatever is asked next over the same connection. */
  async function flushOutbox(): Promise<void> {
    const results = await Promise.allSettled(
      [outbox, unverified].flatMap((waiting) =>
        [...waiting].map(async ([name, apply]) => {
          await apply()
          // What was put there meanwhile may concern what has come since.
          if (waiting.get(name) === apply) waiting.delete(name)
        }),
      ),
    )
    const done = results.filter(({ status }) => status === 'fulfilled').length
    if (done > 0) options.onFlushed(done)
  }

  function isMeant(session: Session, asked: Moment | undefined): boolean {
    if (!asked) return false
    const { generation = 0 } = session
    // Fails closed: without a known generation the session counts as begun before.
    const from = options.knownFrom(asked) ?? Number.POSITIVE_INFINITY
    return generation < from || options.isAhead(generation)
  }

  return {
    has: (digest) => (known.size > 0 && known.has(digest)) || unverified.has(digest),
    isWaiting: (digest) => outbox.has(digest) || unverified.has(digest),
    note: (digest) => void known.set(digest, true),
    defer(digest, apply) {
      put(outbox, digest, apply, MAX_WAITING)
      known.set(digest, true)
    },
    deferUnverified(digest, apply, address) {
      const own = [...unverified.values()].filter((each) => each.address === address).length
      if (own >= MAX_UNVERIFIED_OF_ADDRESS && !unverified.has(digest)) refuseMore()
      put(unverified, digest, Object.assign(apply, { address }), MAX_UNVERIFIED)
    },
    includes(session) {
      if (owners.size === 0) return false
      const names = [EVERYBODY, ...ownersOf(session).map(nameOf)]
      return names.some((name) => isMeant(session, owners.get(name)))
    },
    deferAllOf(owner, asked) {
      const name = owner ? nameOf(owner) : EVERYBODY
      const apply = async () => {
        await options.applyToAllOf(owner, asked)
        if (outbox.get(name) === apply) owners.delete(name)
      }
      put(outbox, name, apply, MAX_WAITING)
      owners.set(name, asked)
    },
    flush: () => flushing.run(),
    async repeat() {
      await inPortions([...known.keys()], (digest) =>
        options.applyAgain(digest).catch(() => undefined),
      )
    },
    get waiting() {
      return outbox.size + unverified.size
    },
  }
}

/** What the store has to be told, by the name under which it waits once. */
type Outbox = Map<string, (() => Promise<unknown>) & { readonly address?: string }>

function put(outbox: Outbox, name: string, apply: () => Promise<unknown>, max: number): void {
  if (outbox.size >= max && !outbox.has(name)) refuseMore()
  outbox.set(name, apply)
}

function refuseMore(): never {
  throw new AuthError('store_unavailable', 'too many sessions wait to be ended')
}

function nameOf({ kind, id }: Owner): string {
  return `${kind}:${id}`
}
