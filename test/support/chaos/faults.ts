/** Bounds of the contract (design 5, "Staleness bound") and of this test's settings. */
export const L1_TTL_MS = 5000
export const DEAF_AFTER_MS = 3000
export const OUTAGE_GRACE_MS = 60_000

/** Sequence to which a fault belongs; one fault of each sequence is active at a time. */
export type Lane = 'replica' | 'redis' | 'provider'

/** Effects that a fault may have, at the replica that has it or at all of them. */
export interface FaultEffects {
  /** Checks may be 503, and what ended elsewhere stands in for as long as D. */
  readonly isRedisAway?: boolean
  /** True where nothing at all reaches Redis while it lasts. */
  readonly isCutOff?: boolean
  /** Messages may be lost, which bounds what is let in after its end by this time. */
  readonly staleMs?: number
  /** The same, and there may be no answer at all. */
  readonly isReplicaAway?: boolean
  /** A replica may have no time to answer. */
  readonly isBusy?: boolean
  /** Sign-in may fail, and nothing else. */
  readonly isProviderAway?: boolean
  /** The effects last for as long beyond its end. */
  readonly recoveryMs: number
}

export interface FaultRule extends FaultEffects {
  readonly lane: Lane
  /** How often it is chosen among those of its lane. */
  readonly weight: number
  readonly durationMs: readonly [min: number, max: number]
  readonly strengthMs?: readonly [min: number, max: number]
}

/**
 * A connection is tried anew at most 1.5 s apart, a breaker that flaps waits for up to 5 s, and one calm connection is
 * promised within 10 s of any silence (issue C74).
 */
const RECONNECTED_MS = 7000
const wire = {
  lane: 'replica',
  isRedisAway: true,
  staleMs: L1_TTL_MS,
  recoveryMs: RECONNECTED_MS,
} as const
const subscriber = { lane: 'replica', staleMs: DEAF_AFTER_MS, recoveryMs: 3000 } as const
const replica = {
  lane: 'replica',
  isReplicaAway: true,
  staleMs: L1_TTL_MS,
  recoveryMs: 4000,
} as const
const redis = {
  lane: 'redis',
  isRedisAway: true,
  staleMs: L1_TTL_MS,
  recoveryMs: RECONNECTED_MS,
} as const
const provider = { lane: 'provider', isProviderAway: true, recoveryMs: 3000 } as const

export const FAULTS = {
  'wire cut': { ...wire, weight: 1, durationMs: [0, 0] },
  'wire refused': { ...wire, isCutOff: true, weight: 2, durationMs: [2000, 11_000] },
  'wire silent': { ...wire, isCutOff: true, weight: 2, durationMs: [1500, 11_000] },
  'wire slow': { ...wire, weight: 1, durationMs: [2000, 8000], strengthMs: [50, 900] },
  'wire flapping': { ...wire, weight: 1, durationMs: [2000, 6000], strengthMs: [80, 500] },
  'subscriber silent': { ...subscriber, weight: 4, durationMs: [2500, 8000] },
  'subscriber kept silent': { ...subscriber, weight: 1, durationMs: [2500, 8000] },
  'replica ended': { ...replica, weight: 1, durationMs: [500, 4000] },
  'replica killed': { ...replica, weight: 1, durationMs: [500, 4000] },
  'replica frozen': { ...replica, weight: 1, durationMs: [1000, 6000] },
  'redis killed': { ...redis, isCutOff: true, weight: 3, durationMs: [2000, 13_000] },
  'redis frozen': { ...redis, isCutOff: true, weight: 2, durationMs: [1000, 9000] },
  'provider slow': { ...provider, weight: 3, durationMs: [8000, 16_000], strengthMs: [500, 6000] },
  'provider failing': { ...provider, weight: 1, durationMs: [1500, 5000] },
  'provider away': { ...provider, weight: 1, durationMs: [1000, 4000] },
} as const satisfies Record<string, FaultRule>

export type FaultKind = keyof typeof FAULTS

/** Nobody plans it: processes that share the machine wait for their turn, Redis as well. */
export const MACHINE_BUSY = 'machine busy'
const machineBusy: FaultEffects = {
  isBusy: true,
  isRedisAway: true,
  isProviderAway: true,
  staleMs: L1_TTL_MS,
  recoveryMs: RECONNECTED_MS,
}

export type TroubleKind = FaultKind | typeof MACHINE_BUSY

export function effectsOf(kind: TroubleKind): FaultEffects {
  return kind === MACHINE_BUSY ? machineBusy : FAULTS[kind]
}

export function ruleOf(kind: FaultKind): FaultRule {
  return FAULTS[kind]
}

export function kindsOf(lane: Lane): readonly FaultKind[] {
  return (Object.keys(FAULTS) as FaultKind[]).filter((kind) => FAULTS[kind].lane === lane)
}
