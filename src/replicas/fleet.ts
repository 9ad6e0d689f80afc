import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { EpochMs } from '../core/epoch-ms.ts'
import { parseJson } from '../core/json.ts'
import { createLastingDifferences } from './lasting-differences.ts'

/** Settings that replicas must have in common; of keys only fingerprints are published. */
export interface Fingerprint {
  /** Fingerprint of each key, the sealing key first; made with the key, and not from it alone. */
  readonly keys: readonly string[]
  /** Key prefix and database number. */
  readonly place: string
  readonly mode: string
  readonly version: string
  /** Digest of the rules in force; absent from replicas of older versions. */
  readonly rules?: string
}

/** Difference between another replica and this one. */
export interface FleetFinding {
  readonly kind: 'clock' | 'keys' | 'mode' | 'rules' | 'version'
  readonly replica: string
  readonly message: string
}

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
  /** Milliseconds by which its clock is ahead of ours. */
  readonly aheadMs: number
}

/** Other replica, and whether its rules have differed for longer than those of replicas that are being updated. */
interface ComparedReplica extends KnownReplica {
  readonly hasOtherRules: boolean
}

const FORGOTTEN_AFTER_MS = 35_000
const MAX_REPLICAS = 500
const MAX_INSTALLATIONS = 100
const CLOCK_TOLERANCE_MS = 5000

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
  function compareRules(own: Fingerprint): ComparedReplica[] {
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
      return compareRules(own).flatMap((other) => compare(own, other))
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

function compare(own: Fingerprint, other: ComparedReplica): FleetFinding[] {
  const name = `replica ${other.from}`
  const seconds = (Math.abs(other.aheadMs) / 1000).toFixed(0)
  const rows: readonly (readonly [FleetFinding['kind'], isSo: boolean, message: string])[] = [
    ['keys', !isSameRing(own, other), describeRings(name, own, other)],
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
      'rules',
      other.hasOtherRules,
      `${name} has had other rules for more than 30 s: give both the same VESTIBULE_CONFIG and lists, and see rules_not_reloaded in the logs of both`,
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

/** Compares within one version only, because another may have another digest of the same rules. */
function isOfOtherRules(own: Fingerprint, other: Fingerprint): boolean {
  return own.version === other.version && other.rules !== undefined && own.rules !== other.rules
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
