import { effectsOf, type FaultEffects, type TroubleKind } from './faults.ts'
import type { LagLog } from './lag-log.ts'

export interface FaultWindow {
  readonly kind: TroubleKind
  /** Absent where all replicas have it. */
  readonly replica: number | undefined
  readonly sinceMs: number
  untilMs: number
}

export type Effect = Exclude<keyof FaultEffects, 'recoveryMs'>

/** Which faults are at work, and which were. */
export type Trouble = ReturnType<typeof createTrouble>

const WITHOUT_REDIS = ['isRedisAway', 'isReplicaAway'] as const
/** Longer than anybody waits to be told of an ending. */
const KEPT_MS = 20 * 60_000
/** The outbox is tried once a second. */
const FLUSHED_WITHIN_MS = 2500

export function createTrouble(lag: LagLog) {
  let windows: FaultWindow[] = []

  const effectEndMs = ({ kind, untilMs }: FaultWindow): number =>
    untilMs + effectsOf(kind).recoveryMs + (Number.isFinite(untilMs) ? lag.since(untilMs) : 0)
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
    begin: (kind: TroubleKind, replica?: number, sinceMs = performance.now()) => {
      windows = windows.filter(({ untilMs }) => sinceMs - untilMs < KEPT_MS)
      const window = { kind, replica, sinceMs, untilMs: Number.POSITIVE_INFINITY }
      windows.push(window)
      return () => {
        window.untilMs = performance.now()
      }
    },
    /** Whether something at this replica may have this effect at some time between the two. */
    has: (...about: Parameters<typeof during>) => during(...about).length > 0,
    /** Whether checks of this replica may have gone without Redis at some time between the two. */
    isUnsure: (replica: number, sinceMs: number, untilMs: number) =>
      WITHOUT_REDIS.some((effect) => during(effect, replica, sinceMs, untilMs).length > 0),
    /** Whether nothing has come through to Redis from this replica in all the time between the two. */
    isCutOff: (replica: number, sinceMs: number, untilMs: number) =>
      affecting('isCutOff', replica).some(
        (window) => window.sinceMs <= sinceMs && window.untilMs >= untilMs,
      ),
    /** The longest time that lost messages may make a difference for at this replica. */
    staleMs: (replica: number, sinceMs: number, untilMs: number) =>
      during('staleMs', replica, sinceMs, untilMs)
        .map(({ kind }) => effectsOf(kind).staleMs ?? 0)
        .reduce((most, ms) => Math.max(most, ms), 0),
    /** The first moment from `sinceMs` on at which this replica has Redis, if it has come. */
    firstCalm: (replica: number, sinceMs: number) => {
      let atMs = sinceMs
      const away = WITHOUT_REDIS.flatMap((effect) => affecting(effect, replica))
      for (const window of away.toSorted((a, b) => a.sinceMs - b.sinceMs))
        if (window.sinceMs <= atMs + FLUSHED_WITHIN_MS) atMs = Math.max(atMs, effectEndMs(window))
      const toldMs = atMs + FLUSHED_WITHIN_MS
      return toldMs < performance.now() ? toldMs : undefined
    },
    describe: (sinceMs: number, untilMs: number) =>
      windows
        .filter((window) => window.sinceMs <= untilMs && effectEndMs(window) >= sinceMs)
        .map(({ kind, replica = 'all', sinceMs: beganMs, untilMs: endedMs }) => {
          const [began, ended] = [beganMs, endedMs].map((ms) => ((ms - untilMs) / 1000).toFixed(1))
          return `${kind} at ${replica} from ${began} to ${ended} s`
        })
        .join('; '),
  }
}
