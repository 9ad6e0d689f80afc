import type { ConsumptionAttempt, OneTimeKeys } from '../one-time-keys.ts'
import { milliseconds } from './milliseconds.ts'
import type { RedisPortOptions } from './options.ts'
import { EXTEND_OWN, RELEASE_OWN } from './scripts.ts'
import { createSetIfAbsent } from './set-if-absent.ts'

/** Creates one-time keys in Redis without any cache, because a replay on another replica has to be seen. */
export function createRedisOneTimeKeys(options: RedisPortOptions): OneTimeKeys {
  const { redis, prefix, writeTimeoutMs } = options
  const setIfAbsent = createSetIfAbsent(options)
  const nameOf = ({ kind, key }: ConsumptionAttempt) => `${prefix}j:${kind}:{${key}}`
  return {
    async consume(attempt, ttlMs, timeoutMs) {
      const before = await setIfAbsent(nameOf(attempt), attempt.attemptId, ttlMs, timeoutMs)
      return before === null || before === attempt.attemptId
    },
    async extend(attempt, ttlMs) {
      const name = nameOf(attempt)
      const call = { keys: [name], arguments: [attempt.attemptId, milliseconds(ttlMs)] }
      const extended = await redis.write(
        name,
        (client) => client.eval(EXTEND_OWN, call),
        writeTimeoutMs,
      )
      return extended === 1
    },
    async release(attempt) {
      const name = nameOf(attempt)
      const call = { keys: [name], arguments: [attempt.attemptId] }
      await redis.write(name, (client) => client.eval(RELEASE_OWN, call), writeTimeoutMs)
    },
  }
}
