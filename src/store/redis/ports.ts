import type { SharedPorts } from '../shared-state.ts'
import { createRedisDenyList } from './deny-list.ts'
import { createRedisEventLog } from './event-log.ts'
import { createRedisGenerations } from './generations.ts'
import { createRedisLocks } from './locks.ts'
import { createRedisOneTimeKeys } from './one-time-keys.ts'
import type { RedisPortOptions } from './options.ts'
import { createRedisSessionsByOwner } from './sessions-by-owner.ts'
import { createRedisStore } from './store.ts'

export function createRedisPorts(options: RedisPortOptions): SharedPorts {
  return {
    store: createRedisStore(options),
    oneTimeKeys: createRedisOneTimeKeys(options),
    locks: createRedisLocks(options),
    sessionsByOwner: createRedisSessionsByOwner(options),
    generations: createRedisGenerations(options),
    denyList: createRedisDenyList(options),
    eventLog: createRedisEventLog(options),
  }
}
