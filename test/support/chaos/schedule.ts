import { type FaultKind, kindsOf, type Lane, ruleOf } from './faults.ts'
import { createRandom, type Random } from './random.ts'

export interface PlannedFault {
  readonly kind: FaultKind
  /** Absent where it is a fault of all replicas. */
  readonly replica?: number
  readonly atMs: number
  readonly forMs: number
  readonly strengthMs: number
}

export const ENDINGS = ['sign-out', 'operator', 'provider sid', 'provider sub'] as const
export type Ending = (typeof ENDINGS)[number]

/** A person's session is ended, and the person signs in again. */
export interface PlannedEnding {
  readonly person: number
  readonly atMs: number
  readonly ending: Ending
  readonly at: number
  /** The replica of the next sign-in, and how long after the ending that begins. */
  readonly again: number
  readonly againAfterMs: number
  /** Whether the next session belongs to the same session at the provider. */
  readonly keepsProviderSession: boolean
}

/** Schedule of all events, which the seed alone determines. */
export interface Schedule {
  readonly seed: string
  readonly seconds: number
  readonly faults: readonly PlannedFault[]
  readonly endings: readonly PlannedEnding[]
  /** Times at which the rules are swapped. */
  readonly swapsMs: readonly number[]
}

export const REPLICAS = 3
/** They stay signed in for long enough to have their tokens renewed. */
export const STEADY_PEOPLE = 12
export const PEOPLE = STEADY_PEOPLE + 8
/** Tokens are renewed at three quarters of this. */
export const TOKEN_SECONDS = 40

/** Everybody signs in within this time, and then the run begins. */
export const SIGNED_IN_BEFORE_MS = 2000
const FIRST_FAULT_MS = 4000
/** Before the end, so that the last of them are over by then. */
const QUIET_END_MS = 3000
const PAUSES_MS: Readonly<Record<Lane, readonly [number, number]>> = {
  replica: [4000, 14_000],
  redis: [14_000, 30_000],
  provider: [2000, 9000],
}

export function planChaos(seed: string, seconds: number): Schedule {
  const random = createRandom(seed)
  const endMs = seconds * 1000 - QUIET_END_MS
  const replicas = Array.from({ length: REPLICAS }, (_, at) => at)
  const first = planFirstRenewals(random.fork('renewals'))
  const afterFirst = Math.max(...first.map(({ atMs, forMs }) => atMs + forMs)) + FIRST_FAULT_MS
  const faults = [
    ...replicas.flatMap((at) => planLane(random.fork(`replica ${at}`), 'replica', [0, endMs], at)),
    ...first,
    ...planLane(random.fork('redis'), 'redis', [afterFirst, endMs]),
    ...planLane(random.fork('provider'), 'provider', [afterFirst, endMs]),
  ].toSorted((a, b) => a.atMs - b.atMs)
  const endings = [
    ...planSteps(random.fork('endings'), endMs),
    ...planBesideFaults(random.fork('late endings'), faults),
  ].toSorted((a, b) => a.atMs - b.atMs)
  const swapsMs = planSwaps(random.fork('swaps'), endMs)
  return { seed, seconds, faults, endings: spaceOut(endings), swapsMs }
}

/** The tokens of the first sign-ins are due together: Redis goes away while a slow provider renews them (issue C65). */
function planFirstRenewals(random: Random): PlannedFault[] {
  const dueMs = (TOKEN_SECONDS * 1000 * 3) / 4 - SIGNED_IN_BEFORE_MS
  const slowMs = random.between(2000, 6000)
  return [
    { kind: 'provider slow', atMs: dueMs - 2000, forMs: 20_000, strengthMs: slowMs },
    {
      kind: 'redis killed',
      atMs: dueMs + random.between(500, 0.8 * slowMs),
      forMs: random.between(8000, 13_000),
      strengthMs: 0,
    },
  ]
}

/** Some swaps follow each other before the first is in force, and others leave time in which one set alone holds. */
const SWAP_PAUSE_MS = [500, 14_000] as const

function planSwaps(random: Random, endMs: number): number[] {
  const swapsMs: number[] = []
  for (let atMs = FIRST_FAULT_MS; atMs < endMs; atMs += random.between(...SWAP_PAUSE_MS))
    swapsMs.push(atMs)
  return swapsMs
}

const ENDS_REPLICA = /^replica (?:ended|killed)$/

function planLane(
  random: Random,
  lane: Lane,
  [fromMs, untilMs]: readonly [number, number],
  replica?: number,
): PlannedFault[] {
  // The last one lives through it all, so that what it gathers can be told.
  const isLasting = replica === REPLICAS - 1
  const possible = kindsOf(lane).filter((kind) => !isLasting || !ENDS_REPLICA.test(kind))
  const kinds = possible.flatMap((kind) => Array.from({ length: ruleOf(kind).weight }, () => kind))
  const faults: PlannedFault[] = []
  for (let atMs = fromMs + random.between(0, PAUSES_MS[lane][1]) + FIRST_FAULT_MS; ; ) {
    const kind = random.pick(kinds)
    const { durationMs, strengthMs = [0, 0] } = ruleOf(kind)
    const fault = {
      kind,
      atMs,
      forMs: random.between(...durationMs),
      strengthMs: random.between(...strengthMs),
      ...(replica !== undefined && { replica }),
    }
    if (atMs + fault.forMs > untilMs) return faults
    faults.push(fault)
    atMs += fault.forMs + random.between(...PAUSES_MS[lane])
  }
}

function planSteps(random: Random, endMs: number): PlannedEnding[] {
  return Array.from({ length: PEOPLE }, (_, person) => {
    const own = random.fork(`person ${person}`)
    const [minMs, maxMs] = person < STEADY_PEOPLE ? [45_000, 120_000] : [8000, 22_000]
    const steps: PlannedEnding[] = []
    for (let atMs = own.between(minMs / 2, maxMs); atMs < endMs; atMs += own.between(minMs, maxMs))
      steps.push(planEnding(own, person, atMs))
    return steps
  }).flat()
}

function planEnding(
  random: Random,
  person: number,
  atMs: number,
  at = Math.floor(random.between(0, REPLICAS)),
): PlannedEnding {
  return {
    person,
    atMs,
    ending: random.pick(ENDINGS),
    at,
    again: (at + Math.floor(random.between(1, REPLICAS))) % REPLICAS,
    againAfterMs: random.isLikely(0.6) ? 0 : random.between(0, 3000),
    keepsProviderSession: random.isLikely(0.7),
  }
}

/** Plans endings at a replica that alone has lost Redis, whose people come back elsewhere (issue C73). */
function planBesideFaults(random: Random, faults: readonly PlannedFault[]): PlannedEnding[] {
  return faults
    .filter(({ kind, forMs }) => /^wire (?:refused|silent)/.test(kind) && forMs > 3000)
    .flatMap(({ atMs, forMs, replica }) =>
      [0, 1].map(() =>
        planEnding(
          random,
          Math.floor(random.between(STEADY_PEOPLE - 4, PEOPLE)),
          atMs + random.between(700, Math.min(forMs - 2000, 4000)),
          replica,
        ),
      ),
    )
}

const APART_MS = 5000

function spaceOut(endings: readonly PlannedEnding[]): readonly PlannedEnding[] {
  const lastMs = new Map<number, number>()
  return endings.filter(({ person, atMs }) => {
    if (atMs - (lastMs.get(person) ?? -APART_MS) < APART_MS) return false
    lastMs.set(person, atMs)
    return true
  })
}

/** Describes all events, one a line, in their order. */
export function describeSchedule({ faults, endings }: Schedule): string {
  const events = [...faults, ...endings].toSorted((a, b) => a.atMs - b.atMs)
  return events.map((event) => JSON.stringify(event, round)).join('\n')
}

function round(_name: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value) : value
}
