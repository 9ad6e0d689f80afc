import type { RedisClient } from '../../redis/client.ts'
import { unusableReply } from '../../redis/failure.ts'
import type { Generations, Moment } from '../generations.ts'
import { type ClockReading, createRedisClock } from './clock.ts'
import { milliseconds } from './milliseconds.ts'
import type { RedisPortOptions } from './options.ts'
import { readTexts } from './replies.ts'
import { ADVANCE, COUNTER_AND_TIME, RAISE } from './scripts.ts'

interface Reading extends ClockReading {
  /** Latest generation that an order to end all sessions has recorded. */
  readonly counter: number
}

/** Duration above which a reading is repeated, because it makes the moment too late by as much. */
const EXACT_WITHIN_MS = 5
const READINGS = 5
/** Tolerance for a counter ahead of the clock, because simultaneous ends are told apart by counting up. */
const COUNTED_AHEAD = 10

/** Creates generations from Redis's clock, one counter, and one key per owner with the generation of the last order. */
export function createRedisGenerations(options: RedisPortOptions): Generations {
  const { redis, prefix, readTimeoutMs, writeTimeoutMs } = options
  const counter = `${prefix}{generation}`
  const everybody = `${counter}:oldest`
  const nameOf = (owner: string) => `${prefix}g:{${owner}}`
  const clock = createRedisClock()
  let lastCounter = 0

  async function read(): Promise<Reading> {
    const call = { keys: [counter], arguments: [] }
    // Measures inside the command, because a retry over the next connection is another reading.
    const ask = async (client: RedisClient) => {
      const sentAtMs = performance.now()
      const reply = await client.eval(COUNTER_AND_TIME, call)
      return { reply, sentAtMs, receivedAtMs: performance.now() }
    }
    const { reply, sentAtMs, receivedAtMs } = await redis.read(counter, ask, readTimeoutMs)
    const [counted = '', timeMs = ''] = readTexts(reply)
    const reading = {
      sentAtMs,
      receivedAtMs,
      redisMs: parseGeneration(timeMs),
      counter: parseGeneration(counted),
    }
    clock.note(reading)
    lastCounter = reading.counter
    return reading
  }

  async function from(asked: Moment): Promise<number> {
    let reading = await read()
    for (let count = 1; count < READINGS && tookMs(reading) > EXACT_WITHIN_MS; count++) {
      reading = await read()
    }
    return fromWhich(asked, momentAt(asked.atMs), reading)
  }

  function momentAt(atMs: number): Moment {
    const time = clock.timeAt(atMs)
    if (!time) return { atMs, generation: undefined, uncertainty: 0 }
    const generation = Math.ceil(time.toMs)
    return { atMs, generation, uncertainty: generation - time.fromMs }
  }

  function moment(): Moment {
    const told = momentAt(performance.now())
    if (told.generation === undefined) return told
    const generation = Math.max(told.generation, lastCounter + 1)
    const uncertainty = told.uncertainty + generation - told.generation
    return { ...told, generation, uncertainty, counted: lastCounter }
  }

  return {
    async current() {
      const { counter: counted, redisMs } = await read()
      // Stays below the generation of any order given in the same millisecond.
      return Math.max(counted, redisMs - 1)
    },
    moment,
    knownFrom: ({ atMs, generation }) => generation ?? momentAt(atMs).generation,
    isAhead: (generation) =>
      generation > (momentAt(performance.now()).generation ?? Infinity) + COUNTED_AHEAD,
    from,
    async advance(owner, ttlMs, asked = moment()) {
      const oldest = await from(asked)
      // The counter has to outlive the keys that refer to it.
      const advance = { keys: [counter], arguments: [`${oldest}`, milliseconds(2 * ttlMs)] }
      const name = owner === undefined ? everybody : nameOf(owner)
      const raise = { keys: [name], arguments: [`${oldest}`, milliseconds(ttlMs)] }
      // Writes a number that is fixed beforehand, so that a delayed command ends no more than was meant.
      await redis.write(counter, (client) => client.eval(ADVANCE, advance), writeTimeoutMs)
      await redis.write(name, (client) => client.eval(RAISE, raise), writeTimeoutMs)
      return oldest
    },
    async oldestOf(...owners) {
      const names = [everybody, ...owners.map(nameOf)]
      const found = await redis.readEach(names, (client, name) => client.get(name), readTimeoutMs)
      return Math.max(...found.map((text) => parseGeneration(text ?? '0')))
    },
  }
}

/**
 * Returns the generation of the moment by what was known of Redis's clock then and is known now. Takes the later of
 * both where they contradict each other, because the clock was set or another server answers.
 */
function fromWhich(asked: Moment, told: Moment, { counter, redisMs }: Reading): number {
  const now = told.generation ?? Number.POSITIVE_INFINITY
  const then = asked.generation ?? now
  const isSteady = now - told.uncertainty <= then && then - asked.uncertainty <= now
  const from = Math.max(
    isSteady ? Math.min(now, then) : Math.max(now, then),
    (asked.counted ?? 0) + 1,
  )
  const isOfThen = counter <= from + COUNTED_AHEAD
  // A clock behind the counter has gone back, so it is unknown what began when.
  const isClockBehind = counter > redisMs + COUNTED_AHEAD
  return isOfThen || isClockBehind ? Math.max(from, counter + 1) : from
}

function tookMs({ sentAtMs, receivedAtMs }: ClockReading): number {
  return receivedAtMs - sentAtMs
}

/**
 * Returns the number. Throws `AuthError` `store_unavailable` for any other text, because reading it as 0 would fail
 * open.
 */
function parseGeneration(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw unusableReply('the value of a generation key is not a number')
}
