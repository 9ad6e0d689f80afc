import { type Locks, markOf, ownerPart } from '../locks.ts'
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
    async acquire(digest, owner, note, ttlMs) {
      const mark = await setIfAbsent(nameOf(digest), markOf(owner, note), ttlMs)
      const isOurs = mark === null || mark.startsWith(ownerPart(owner))
      return isOurs ? { isOurs } : { isOurs, mark }
    },
    async takeOver(digest, owner, note, ttlMs, mark) {
      const given = [markOf(owner, note), milliseconds(ttlMs), mark]
      return (await run(TAKE_OVER, digest, ...given)) === 1
    },
    async hold(digest, owner, note, ttlMs, revive = false) {
      const given = [markOf(owner, note), milliseconds(ttlMs), revive ? '1' : '0']
      return (await run(HOLD, digest, ownerPart(owner), ...given)) === 1
    },
    async release(digest, owner) {
      await run(LET_GO, digest, ownerPart(owner))
    },
  }
}
