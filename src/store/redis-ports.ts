import type { SharedPorts } from './open.ts'
import { createRedisSessionIndex, createRedisStore, type RedisStoreOptions } from './redis.ts'
import { createRedisDenyList } from './redis-deny-list.ts'
import { createRedisGenerations } from './redis-generations.ts'
import { createRedisLocks } from './redis-locks.ts'
import { createRedisOneTimeKeys } from './redis-marks.ts'

/** All that is kept in Redis, each behind its port. */
export function createRedisPorts(options: RedisStoreOptions): SharedPorts {
  return {
    store: createRedisStore(options),
    oneTimeKeys: createRedisOneTimeKeys(options),
    locks: createRedisLocks(options),
    sessionIndex: createRedisSessionIndex(options),
    generations: createRedisGenerations(options),
    denyList: createRedisDenyList(options),
  }
}
