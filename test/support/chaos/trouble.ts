import { effectsOf, type FaultEffects, type TroubleKind } from './faults.ts'
import type { LagLog } from './lag-log.ts'

/** A fault as it happened. */
export interface FaultWindow {
  readonly kind: TroubleKind
  /** Absent where all replicas have it. */
  readonly replica: number | undefined
  readonly sinceMs: number
  untilMs: number
}

export type Effect = Exclude<keyof FaultEffects, 'recoveryMs'>

/** Which faults are at work, and which were. */
export interface Trouble {
  readonly begin: (kind: TroubleKind, replica?: number, sinceMs?: number) => () => void
  /** Whether something at this replica may have this effect at some time between the two. */
  readonly has: (effect: Effect, replica: number, sinceMs: number, untilMs: number) => boolean
  /** Whether checks of this replica may have gone without Redis at some time between the two. */
  readonly isUnsure: (replica: number, sinceMs: number, untilMs: number) => boolean
  /** Whether nothing has come through to Redis from this replica in all the time between the two. */
  readonly isCutOff: (replica: number, sinceMs: number, untilMs: number) => boolean
  /** The longest time that lost messages may make a difference for at this replica. */
  readonly staleMs: (replica: number, sinceMs: number, untilMs: number) => number
  /** The first moment from `sinceMs` on at which this replica has Redis, if it has come. */
  readonly firstCalm: (replica: number, sinceMs: number) => number | undefined
  /** Describes the faults at work in that period. */
  readonly describe: (sinceMs: number, untilMs: number) => string
}

const WITHOUT_REDIS = ['isRedisAway', 'isReplicaAway'] as const
/** Longer than anybody waits to be told of an ending. */
const KEPT_MS = 20 * 60_000
/** The outbox is tried once a second. */
const FLUSHED_WITHIN_MS = 2500

export function createTrouble(lag: LagLog): Trouble {
  let windows: FaultWindow[] = []

  const effectEndMs = ({ kind, untilMs }: FaultWindow): number =>
    untilMs === Number.POSITIVE_INFINITY
      ? untilMs
      : untilMs + effectsOf(kind).recoveryMs + lag.since(untilMs)
  const affecting = (effect: Effect, replica: number): readonly FaultWindow[] =>
    windows.filter(
      (window) =>
        effectsOf(window.kind)[effect] !== undefined && (window.replica ?? replica) === replica,
    )
  const during = (effect: Effect, replica: number, sinceMs: number, untilMs: number) =>
    affecting(effect, replica).filter(
      (window) => window.sinceMs <= untilMs && effectEndMs(window) >= sinceMs,
    )

  return {
    begin: (kind, replica, sinceMs = performance.now()) => {
      windows = windows.filter(({ untilMs }) => sinceMs - untilMs < KEPT_MS)
      const window = { kind, replica, sinceMs, untilMs: Number.POSITIVE_INFINITY }
      windows.push(window)
      return () => {
        window.untilMs = performance.now()
      }
    },
    has: (...about) => during(...about).length > 0,
    isUnsure: (...about) => WITHOUT_REDIS.some((effect) => during(effect, ...about).length > 0),
    isCutOff: (replica, sinceMs, untilMs) =>
      affecting('isCutOff', replica).some(
        (window) => window.sinceMs <= sinceMs && window.untilMs >= untilMs,
      ),
    staleMs: (replica, sinceMs, untilMs) =>
      Math.max(
        0,
        ...during('staleMs', replica, sinceMs, untilMs).map(
          ({ kind }) => effectsOf(kind).staleMs ?? 0,
        ),
      ),
    firstCalm: (replica, sinceMs) => {
      let atMs = sinceMs
      const away = WITHOUT_REDIS.flatMap((effect) => affecting(effect, replica))
      for (const window of away.toSorted((a, b) => a.sinceMs - b.sinceMs))
        if (window.sinceMs <= atMs + FLUSHED_WITHIN_MS) atMs = Math.max(atMs, effectEndMs(window))
      const toldMs = atMs + FLUSHED_WITHIN_MS
      return toldMs < performance.now() ? toldMs : undefined
    },
    describe: (sinceMs, untilMs) =>
      windows
        .filter((window) => window.sinceMs <= untilMs && effectEndMs(window) >= sinceMs)
        .map(({ kind, replica, sinceMs: beganMs, untilMs: endedMs }) => {
          const where = replica === undefined ? '' : ` at ${replica}`
          const ago = (ms: number) => ((untilMs - ms) / 1000).toFixed(1)
          const over = endedMs <= untilMs ? ` to ${ago(endedMs)} s before` : ''
          return `${kind}${where} from ${ago(beganMs)}${over}`
        })
        .join('; ') || 'no fault',
  }
}
