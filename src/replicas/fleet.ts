import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { EpochMs } from '../core/epoch-ms.ts'
import { parseJson } from '../core/json.ts'
import {
  type Fingerprint,
  type FleetFinding,
  findDifferences,
  isOfOtherRules,
  type OtherReplica,
} from './differences.ts'
import { createLastingDifferences } from './lasting-differences.ts'

/** Replicas that share the state, and their differences. */
export interface Fleet {
  /** Number of other replicas that announced themselves within `FORGOTTEN_AFTER_MS` and have not left. */
  readonly size: number
  readonly findings: readonly FleetFinding[]
  /** Returns the text by which this replica announces itself. */
  announcement(): string
  /** Returns the text by which this replica leaves, after which the others count it no longer (finding C57). */
  goodbye(): string
  /** Takes an announcement or a goodbye; returns true for one whose sender, or installation, was unknown. */
  receive(text: string): boolean
}

export interface FleetOptions {
  readonly replica: string
  readonly fingerprint: () => Fingerprint
  /** Wall clock in milliseconds. */
  readonly now: () => EpochMs
  /** Called once for each other installation on this Redis, which its place tells from this one (finding C59). */
  readonly onOtherInstallation: (place: string, ownPlace: string) => void
}

/** Replaces what a log or page should not show, because other software may write to this channel. */
const printable = (given: string) => given.replace(/[^\x20-\x7e]/g, '?')
const boundedText = (maxChars: number) => z.string().max(maxChars).transform(printable)

const announcement = z.object({
  v: z.literal(1),
  type: z.literal('replica'),
  from: boundedText(64),
  at: z.number(),
  keys: z.array(z.string().max(64)).max(20),
  place: z.string().max(100),
  mode: boundedText(20),
  version: boundedText(40),
  rules: z.exactOptional(z.string().max(64)),
})

const goodbye = z.object({
  v: z.literal(1),
  type: z.literal('goodbye'),
  from: boundedText(64),
  at: z.exactOptional(z.number()),
})

const message = z.discriminatedUnion('type', [announcement, goodbye])

type Announcement = z.output<typeof announcement>

interface KnownReplica extends Announcement {
  readonly receivedAtMs: number
  readonly aheadMs: number
}

const FORGOTTEN_AFTER_MS = 35_000
const MAX_REPLICAS = 500
const MAX_INSTALLATIONS = 100

/** Creates an empty fleet; a replica that says goodbye, or stays silent for 35 s, is forgotten. */
export function createFleet(options: FleetOptions): Fleet {
  const { replica, fingerprint, now } = options
  const known = new Map<string, KnownReplica>()
  // Remembers who left and when, because in a cluster an announcement may arrive after the goodbye that was sent later.
  const gone = new LRUCache<string, number>({ max: MAX_REPLICAS, ttl: FORGOTTEN_AFTER_MS })
  const otherPlaces = new Set<string>()
  const otherRules = createLastingDifferences()

  function forget(from: string): void {
    known.delete(from)
    otherRules.forget(from)
  }

  function others(): KnownReplica[] {
    const nowMs = performance.now()
    for (const [from, { receivedAtMs }] of known) {
      if (nowMs - receivedAtMs > FORGOTTEN_AFTER_MS) forget(from)
    }
    return [...known.values()]
  }

  /** Compares the rules at each change of either side, so that a difference of a moment is not taken for a lasting one. */
  function compareRules(own: Fingerprint): OtherReplica[] {
    return others().map((other) => {
      otherRules.note(other.from, isOfOtherRules(own, other))
      return { ...other, hasOtherRules: otherRules.has(other.from) }
    })
  }

  /** Returns whether the installation was unknown. */
  function reportInstallation(place: string, ownPlace: string): boolean {
    if (otherPlaces.has(place) || otherPlaces.size >= MAX_INSTALLATIONS) return false
    otherPlaces.add(place)
    options.onOtherInstallation(printable(place), ownPlace)
    return true
  }

  function note(data: Announcement): boolean {
    const { place } = fingerprint()
    if (data.at <= (gone.get(data.from) ?? Number.NEGATIVE_INFINITY)) return false
    if (data.place !== place) return reportInstallation(data.place, place)
    const isNew = !known.has(data.from)
    if (isNew && known.size >= MAX_REPLICAS) return false
    known.set(data.from, { ...data, receivedAtMs: performance.now(), aheadMs: data.at - now() })
    compareRules(fingerprint())
    return isNew
  }

  /** Ignores a goodbye that is older than the latest announcement, because the replica has gone on since. */
  function takeLeave(from: string, atMs: number): void {
    if (atMs < (known.get(from)?.at ?? Number.NEGATIVE_INFINITY)) return
    forget(from)
    gone.set(from, atMs)
  }

  return {
    get size() {
      return others().length
    },
    get findings() {
      const own = fingerprint()
      return compareRules(own).flatMap((other) => findDifferences(own, other))
    },
    announcement() {
      const own = fingerprint()
      compareRules(own)
      return JSON.stringify({ v: 1, type: 'replica', from: replica, at: now(), ...own })
    },
    goodbye: () => JSON.stringify({ v: 1, type: 'goodbye', from: replica, at: now() }),
    receive(text) {
      const { data } = message.safeParse(parseJson(text))
      if (!data || data.from === replica) return false
      if (data.type === 'replica') return note(data)
      takeLeave(data.from, data.at ?? Number.POSITIVE_INFINITY)
      return false
    },
  }
}
