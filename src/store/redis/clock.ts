/** Reading of Redis's clock. */
export interface ClockReading {
  /** Milliseconds of this process's monotonic clock. */
  readonly sentAtMs: number
  readonly receivedAtMs: number
  /** Redis's time in whole milliseconds, truncated. */
  readonly redisMs: number
}

/** Bounds of a moment, in milliseconds of Redis's clock. */
export interface TimeSpan {
  readonly fromMs: number
  readonly toMs: number
}

/** Converts moments of this process's monotonic clock to Redis's clock, without any wall clock. */
export interface RedisClock {
  note(reading: ClockReading): void
  /** Returns `undefined` before the first reading. */
  timeAt(atMs: number): TimeSpan | undefined
}

/** Number of readings kept, whose intersection is more exact than the quickest of them, also in a busy process. */
const KEPT = 16
/** Maximum drift between clocks that are disciplined by slewing (500 ppm, as NTP allows, RFC 5905). */
const MAX_DRIFT = 0.0005

export function createRedisClock(): RedisClock {
  let readings: readonly ClockReading[] = []
  return {
    note(reading) {
      // Drops earlier readings that contradict this one, because the clock was set or another server answers.
      const agreeing = readings.filter((each) => agree(each, reading))
      readings = [...agreeing, reading].slice(-KEPT)
    },
    timeAt(atMs) {
      if (readings.length === 0) return undefined
      const spans = readings.map((reading) => spanOf(reading, atMs))
      return {
        fromMs: Math.max(...spans.map(({ fromMs }) => fromMs)),
        toMs: Math.min(...spans.map(({ toMs }) => toMs)),
      }
    },
  }
}

/** Bounds Redis's time at `atMs`, because Redis read its clock between sending and receipt. */
function spanOf({ sentAtMs, receivedAtMs, redisMs }: ClockReading, atMs: number): TimeSpan {
  const driftMs = MAX_DRIFT * Math.max(Math.abs(atMs - sentAtMs), Math.abs(atMs - receivedAtMs))
  return {
    fromMs: redisMs + (atMs - receivedAtMs) - driftMs,
    toMs: redisMs + 1 + (atMs - sentAtMs) + driftMs,
  }
}

/** Returns whether both readings can come from one clock. */
function agree(one: ClockReading, other: ClockReading): boolean {
  const [early, late] = [one, other].map((each) => spanOf(each, other.receivedAtMs)) as [
    TimeSpan,
    TimeSpan,
  ]
  return early.fromMs <= late.toMs && late.fromMs <= early.toMs
}
