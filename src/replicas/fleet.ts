import { z } from 'zod'
import type { EpochMs } from '../core/epoch-ms.ts'
import { parseJson } from '../core/json.ts'

/** Settings that replicas must have in common; of keys only fingerprints are published. */
export interface Fingerprint {
  /** Fingerprint of each key, the sealing key first; made with the key, and not from it alone. */
  readonly keys: readonly string[]
  /** Key prefix and database number. */
  readonly place: string
  readonly mode: string
  readonly version: string
}

/** Difference between another replica and this one. */
export interface FleetFinding {
  readonly kind: 'clock' | 'keys' | 'mode' | 'place' | 'version'
  readonly replica: string
  readonly message: string
}

/** Replicas that share the state, and their differences. */
export interface Fleet {
  /** Number of other replicas with the same place that announced themselves within `FORGOTTEN_AFTER_MS`. */
  readonly size: number
  readonly findings: readonly FleetFinding[]
  /** Returns the text by which this replica announces itself. */
  announcement(): string
  /** Takes an announcement; returns true when its sender was unknown. */
  receive(text: string): boolean
}

export interface FleetOptions {
  readonly replica: string
  readonly fingerprint: () => Fingerprint
  /** Wall clock in milliseconds. */
  readonly now: () => EpochMs
}

const announcement = z.object({
  v: z.literal(1),
  type: z.literal('replica'),
  from: z.string().max(64),
  at: z.number(),
  keys: z.array(z.string().max(64)).max(20),
  place: z.string().max(100),
  mode: z.string().max(20),
  version: z.string().max(40),
})

type Announcement = z.output<typeof announcement>

interface KnownReplica extends Announcement {
  readonly receivedAtMs: number
  /** Milliseconds by which its clock is ahead of ours. */
  readonly aheadMs: number
}

const FORGOTTEN_AFTER_MS = 35_000
const MAX_REPLICAS = 500
const CLOCK_TOLERANCE_MS = 5000

/** Creates an empty fleet; a replica that stays silent for 35 s is forgotten. */
export function createFleet({ replica, fingerprint, now }: FleetOptions): Fleet {
  const known = new Map<string, KnownReplica>()

  function others(): KnownReplica[] {
    const nowMs = performance.now()
    for (const [from, { receivedAtMs }] of known) {
      if (nowMs - receivedAtMs > FORGOTTEN_AFTER_MS) known.delete(from)
    }
    return [...known.values()]
  }

  return {
    get size() {
      return others().filter(({ place }) => place === fingerprint().place).length
    },
    get findings() {
      const own = fingerprint()
      return others().flatMap((other) => compare(own, other))
    },
    announcement: () =>
      JSON.stringify({ v: 1, type: 'replica', from: replica, at: now(), ...fingerprint() }),
    receive(text) {
      const { data } = announcement.safeParse(parseJson(text))
      if (!data || data.from === replica || !concerns(fingerprint(), data)) return false
      const isNew = !known.has(data.from)
      if (isNew && known.size >= MAX_REPLICAS) return false
      known.set(data.from, { ...data, receivedAtMs: performance.now(), aheadMs: data.at - now() })
      return isNew
    },
  }
}

/**
 * Returns whether the replica belongs to this installation: by its place, or by a shared key, which tells a wrong place.
 * Other installations may share the Redis.
 */
function concerns(own: Fingerprint, other: Fingerprint): boolean {
  return own.place === other.place || own.keys.some((key) => other.keys.includes(key))
}

function compare(own: Fingerprint, other: KnownReplica): FleetFinding[] {
  const name = `replica ${other.from}`
  const seconds = (Math.abs(other.aheadMs) / 1000).toFixed(0)
  const rows: readonly (readonly [FleetFinding['kind'], isSo: boolean, message: string])[] = [
    ['keys', !isSameRing(own, other), describeRings(name, own, other)],
    [
      'place',
      own.place !== other.place,
      `${name} keeps its sessions under ${other.place}, and this one under ${own.place}: give both the same REDIS_KEY_PREFIX and REDIS_DB`,
    ],
    [
      'mode',
      own.mode !== other.mode,
      `${name} runs in ${other.mode} mode, and this one in ${own.mode} mode`,
    ],
    [
      'version',
      own.version !== other.version,
      `${name} is version ${other.version}, and this one ${own.version}`,
    ],
    [
      'clock',
      Math.abs(other.aheadMs) > CLOCK_TOLERANCE_MS,
      `the clock of ${name} is ${seconds} s ${other.aheadMs > 0 ? 'ahead of' : 'behind'} ours: synchronise both`,
    ],
  ]
  return rows.flatMap(([kind, isSo, message]) =>
    isSo ? [{ kind, replica: other.from, message }] : [],
  )
}

function isSameRing(own: Fingerprint, other: Fingerprint): boolean {
  return (
    own.keys.length === other.keys.length && own.keys.every((key, at) => key === other.keys[at])
  )
}

function describeRings(name: string, own: Fingerprint, other: Fingerprint): string {
  const [ours, theirs] = [own.keys[0], other.keys[0]]
  const opensEachOther =
    ours !== undefined &&
    theirs !== undefined &&
    own.keys.includes(theirs) &&
    other.keys.includes(ours)
  return opensEachOther
    ? `${name} has other keys beside the one in common: a key rotation is under way, or was left half done`
    : `${name} has another SESSION_ENCRYPTION_KEY: sessions made by one of them do not open at the other`
}
