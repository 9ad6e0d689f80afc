import { afterAll, beforeAll } from 'vitest'
import { type RedisOptions, type RunningRedis, startRedis } from './redis.ts'

/**
 * One Redis for the tests of a file, which take it one after the other: empty, without clients and with its settings of
 * the start. What kills, pauses, restarts it or changes its users needs one of its own.
 */
export const reuseRedis = (options: RedisOptions = {}): (() => Promise<RunningRedis>) => {
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
