import { type DenyList, MAX_DENIED_TOKENS } from '../deny-list.ts'
import { milliseconds } from './milliseconds.ts'
import type { RedisPortOptions } from './options.ts'
import { readScoredTexts } from './replies.ts'
import { DENIED, DENY } from './scripts.ts'

/** Creates a deny list in one sorted set of digests, scored by expiry. */
export function createRedisDenyList(options: RedisPortOptions): DenyList {
  const { redis, prefix, channel, readTimeoutMs, writeTimeoutMs } = options
  const keys = [`${prefix}{denied}`]
  return {
    async add(token, ttlMs) {
      const message = options.writeMessage({ type: 'token-denied', token, ttlMs })
      const call = { keys, arguments: [milliseconds(ttlMs), token, channel, message] }
      await redis.write(call.keys[0], (client) => client.eval(DENY, call), writeTimeoutMs)
    },
    async list() {
      const call = { keys, arguments: [String(MAX_DENIED_TOKENS)] }
      const found = await redis.read(
        call.keys[0],
        (client) => client.eval(DENIED, call),
        readTimeoutMs,
      )
      return readScoredTexts(found).map(([token, leftMs]) => ({ token, leftMs }))
    },
  }
}
