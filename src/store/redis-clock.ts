/** What a reading of Redis's clock said. */
export interface ClockReading {
  /** Milliseconds of this process's monotonic clock. */
  readonly sentAtMs: number
  readonly receivedAtMs: number
  /** Whole milliseconds, cut off. */
  readonly redisMs: number
}

/** It was no earlier and no later than this, in milliseconds by Redis's clock. */
export interface TimeSpan {
  readonly fromMs: number
  readonly toMs: number
}

/** Tells which time it was by Redis's clock at a moment of this process's monotonic clock. No wall clock is involved. */
export interface RedisClock {
  note(reading: ClockReading): void
  /** Nothing before the first reading. */
  timeAt(atMs: number): TimeSpan | undefined
}

/** Together they are more exact than the quickest of them, also where this process is busy. */
const KEPT = 16
/** Clocks that are kept right by slewing differ by no more (500 ppm, as NTP allows, RFC 5905). */
const MAX_DRIFT = 0.0005

export function createRedisClock(): RedisClock {
  let readings: readonly ClockReading[] = []
  return {
    note(reading) {
      // A clock that was set, or that of another server, makes those of before wrong.
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

/** The answer was given after the question was sent, and before it came. */
function spanOf({ sentAtMs, receivedAtMs, redisMs }: ClockReading, atMs: number): TimeSpan {
  const driftMs = MAX_DRIFT * Math.max(Math.abs(atMs - sentAtMs), Math.abs(atMs - receivedAtMs))
  return {
    fromMs: redisMs + (atMs - receivedAtMs) - driftMs,
    toMs: redisMs + 1 + (atMs - sentAtMs) + driftMs,
  }
}

/** Whether both can be true. */
function agree(one: ClockReading, other: ClockReading): boolean {
  const [early, late] = [one, other].map((each) => spanOf(each, other.receivedAtMs)) as [
    TimeSpan,
    TimeSpan,
  ]
  return early.fromMs <= late.toMs && late.fromMs <= early.toMs
}
