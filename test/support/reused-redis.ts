import { afterAll, beforeAll } from 'vitest'
import { type RedisOptions, type RunningRedis, startRedis } from './redis.ts'

/**
 * Shares one Redis among the tests of a file, each of which gets it empty, without clients and with default settings.
 * Tests that kill, pause or restart it or change its users start one of their own.
 */
export function reuseRedis(options: RedisOptions = {}): () => Promise<RunningRedis> {
  let redis: RunningRedis | undefined
  beforeAll(async () => {
    redis = await startRedis(options)
  })
  afterAll(() => redis?.stop())
  return async () => {
    if (!redis) throw new Error('this Redis is there for tests only')
    const { cli } = redis
    await Promise.all([
      cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
      cli('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'yes'),
      cli(
        'CONFIG',
        'SET',
        'maxmemory',
        '0',
        'maxmemory-policy',
        'noeviction',
        'maxclients',
        '1000',
      ),
      cli('CONFIG', 'RESETSTAT'),
      cli('FLUSHALL'),
    ])
    return redis
  }
}
