/** What a reading of Redis's clock said. */
export interface ClockReading {
  /** Monotonic milliseconds of this process. */
  readonly sentAtMs: number
  readonly receivedAtMs: number
  readonly redisMs: number
}

/** Tells which time it was by Redis's clock at a moment of this process's monotonic clock. No wall clock is involved. */
export interface RedisClock {
  note(reading: ClockReading): void
  /** Milliseconds; nothing before the first reading. */
  timeAt(atMs: number): number | undefined
}

/** The latest; older ones drift away, and of these the quickest answer is the most exact. */
const KEPT = 3
/** Clocks that are kept right by slewing differ by no more (500 ppm, NTP, RFC 5905 section 11.3). */
const MAX_DRIFT = 0.0005

export function createRedisClock(): RedisClock {
  const readings: ClockReading[] = []
  return {
    note(reading) {
      readings.push(reading)
      if (readings.length > KEPT) readings.shift()
    },
    timeAt(atMs) {
      if (readings.length === 0) return undefined
      return Math.min(...readings.map((reading) => latestTimeAt(reading, atMs)))
    },
  }
}

/** It was no later than this by Redis's clock: the answer was given after the question was sent. */
export function latestTimeAt({ sentAtMs, redisMs }: ClockReading, atMs: number): number {
  const elapsedMs = atMs - sentAtMs
  return redisMs + Math.ceil(elapsedMs + Math.abs(elapsedMs) * MAX_DRIFT)
}
