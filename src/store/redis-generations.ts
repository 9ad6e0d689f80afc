import { AuthError } from '../errors.ts'
import type { Generations, Moment } from './generations.ts'
import type { RedisStoreOptions } from './redis.ts'
import { type ClockReading, createRedisClock, latestTimeAt } from './redis-clock.ts'
import { milliseconds } from './redis-marks.ts'
import { ADVANCE, COUNTER_AND_TIME, RAISE } from './redis-scripts.ts'

interface Reading extends ClockReading {
  /** The latest end of anything as a whole. */
  readonly counter: number
}

/** A reading that took longer is repeated: a process that stood still meanwhile would be wrong by as much. */
const EXACT_WITHIN_MS = 50
const READINGS = 3
/** Two readings that differ by more say that Redis's clock was set, or that another server answers. */
const CLOCK_STEP_MS = 1000
/** Ends at the same time are told apart by counting up, so that the counter may be ahead of the clock by a little. */
const COUNTED_AHEAD_MS = 10

/** One counter for all, and for each owner whose sessions were ended the number at which that was. */
export function createRedisGenerations(options: RedisStoreOptions): Generations {
  const { redis, prefix, readTimeoutMs, writeTimeoutMs } = options
  const counter = `${prefix}{generation}`
  const everybody = `${counter}:oldest`
  const nameOf = (owner: string) => `${prefix}g:{${owner}}`
  const clock = createRedisClock()

  async function read(): Promise<Reading> {
    const ask = { keys: [counter], arguments: [] }
    // Measured where it is sent: what is asked for again over the next connection is another reading.
    const reading = await redis.read(async (client) => {
      const sentAtMs = performance.now()
      const found = (await client.eval(COUNTER_AND_TIME, ask)) as unknown as [string, string]
      const [counted, redisMs] = found.map(parseGeneration) as [number, number]
      return { sentAtMs, receivedAtMs: performance.now(), redisMs, counter: counted }
    }, readTimeoutMs)
    clock.note(reading)
    return reading
  }

  async function readExactly(): Promise<Reading> {
    let best = await read()
    for (let count = 1; count < READINGS && tookMs(best) > EXACT_WITHIN_MS; count++) {
      const next = await read()
      if (tookMs(next) < tookMs(best)) best = next
    }
    return best
  }

  async function from(asked: Moment): Promise<number> {
    return fromWhich(asked, await readExactly())
  }

  return {
    async current() {
      const { counter: counted, redisMs } = await read()
      // Earlier than whatever is asked for in the same millisecond.
      return Math.max(counted, redisMs - 1)
    },
    moment() {
      const atMs = performance.now()
      const timeMs = clock.timeAt(atMs)
      return { atMs, generation: timeMs === undefined ? undefined : timeMs + 1 }
    },
    knownFrom({ atMs, generation }) {
      if (generation !== undefined) return generation
      const timeMs = clock.timeAt(atMs)
      return timeMs === undefined ? undefined : timeMs + 1
    },
    from,
    async advance(owner, ttlMs, asked = { atMs: performance.now(), generation: undefined }) {
      const oldest = await from(asked)
      // The counter outlives what refers to it.
      const advance = { keys: [counter], arguments: [`${oldest}`, milliseconds(2 * ttlMs)] }
      const name = owner === undefined ? everybody : nameOf(owner)
      const raise = { keys: [name], arguments: [`${oldest}`, milliseconds(ttlMs)] }
      // The number is settled before it is written: carried out late, it ends no more than it was meant to.
      await redis.write(async (client) => {
        await client.eval(ADVANCE, advance)
        await client.eval(RAISE, raise)
      }, writeTimeoutMs)
      return oldest
    },
    async oldestOf(...owners) {
      const names = [everybody, ...owners.map(nameOf)]
      const found = await redis.read(
        (client) => Promise.all(names.map((name) => client.get(name))),
        readTimeoutMs,
      )
      return Math.max(...found.map((text) => parseGeneration(text ?? '0')))
    },
  }
}

/** Of the time that was estimated then and the one that is told now; the later one where Redis's clock was set. */
function fromWhich(asked: Moment, reading: Reading): number {
  const told = latestTimeAt(reading, asked.atMs) + 1
  const estimated = asked.generation ?? told
  const isSteady = Math.abs(told - estimated) <= CLOCK_STEP_MS
  const from = isSteady ? Math.min(told, estimated) : Math.max(told, estimated)
  const { counter, redisMs } = reading
  const isOfThen = counter <= from + COUNTED_AHEAD_MS
  // The clock is behind what was counted, so it has gone back, and nobody can say what began when.
  const isClockBehind = counter > redisMs + COUNTED_AHEAD_MS
  return isOfThen || isClockBehind ? Math.max(from, counter + 1) : from
}

function tookMs({ sentAtMs, receivedAtMs }: ClockReading): number {
  return receivedAtMs - sentAtMs
}

/** What is no number must not pass for the generation of somebody whose sessions go on. */
function parseGeneration(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new AuthError('store_unavailable', 'Redis: something else is in the place of a generation')
}
