import { type Locks, lockValueOf, ownerPart } from '../locks.ts'
import { recordKey } from '../store.ts'
import { milliseconds } from './milliseconds.ts'
import type { RedisPortOptions } from './options.ts'
import { HOLD, LET_GO, TAKE_OVER } from './scripts.ts'
import { createSetIfAbsent } from './set-if-absent.ts'

/** Creates locks stored beside the session's records, so that ending the session deletes them too. */
export function createRedisLocks(options: RedisPortOptions): Locks {
  const { redis, prefix, writeTimeoutMs } = options
  const setIfAbsent = createSetIfAbsent(options)
  const nameOf = (digest: string) => recordKey(prefix, digest, 'lock')
  const run = (script: string, digest: string, ...given: readonly string[]) => {
    const call = { keys: [nameOf(digest)], arguments: [...given] }
    return redis.write(call.keys[0], (client) => client.eval(script, call), writeTimeoutMs)
  }
  return {
    async acquire(digest, lease) {
      const value = await setIfAbsent(nameOf(digest), lockValueOf(lease), lease.ttlMs)
      const isOurs = value === null || value.startsWith(ownerPart(lease.owner))
      return isOurs ? { isOurs } : { isOurs, value }
    },
    async takeOver(digest, lease, seenValue) {
      const given = [lockValueOf(lease), milliseconds(lease.ttlMs), seenValue]
      return (await run(TAKE_OVER, digest, ...given)) === 1
    },
    async hold(digest, lease, revive = false) {
      const given = [lockValueOf(lease), milliseconds(lease.ttlMs), revive ? '1' : '0']
      return (await run(HOLD, digest, ownerPart(lease.owner), ...given)) === 1
    },
    async release(digest, owner) {
      await run(LET_GO, digest, ownerPart(owner))
    },
  }
}
