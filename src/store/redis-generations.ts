import { AuthError } from '../errors.ts'
import type { Generations } from './generations.ts'
import type { RedisStoreOptions } from './redis.ts'
import { milliseconds } from './redis-marks.ts'
import { CURRENT_GENERATION, NEXT_GENERATION, RAISE } from './redis-scripts.ts'

/** One counter for all, and for each owner whose sessions were ended the number at which that was. */
export function createRedisGenerations(options: RedisStoreOptions): Generations {
  const { redis, prefix, readTimeoutMs, writeTimeoutMs } = options
  const counter = `${prefix}{generation}`
  const everybody = `${counter}:oldest`
  const nameOf = (owner: string) => `${prefix}g:{${owner}}`
  return {
    async current() {
      const ask = { keys: [counter], arguments: [] }
      const found = await redis.read(
        (client) => client.eval(CURRENT_GENERATION, ask),
        readTimeoutMs,
      )
      return parseGeneration(found as unknown as string)
    },
    async advance(owner, ttlMs) {
      // The counter outlives what refers to it, so that the clock is asked only where it was lost.
      const advance = { keys: [counter], arguments: [milliseconds(2 * ttlMs)] }
      await redis.write(async (client) => {
        const next = (await client.eval(NEXT_GENERATION, advance)) as unknown as string
        const name = owner === undefined ? everybody : nameOf(owner)
        await client.eval(RAISE, { keys: [name], arguments: [next, milliseconds(ttlMs)] })
      }, writeTimeoutMs)
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

/** What is no number must not pass for the generation of somebody whose sessions go on. */
function parseGeneration(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new AuthError('store_unavailable', 'Redis: something else is in the place of a generation')
}
