import { readReplyError } from '../../redis/reply-errors.ts'
import { milliseconds } from './milliseconds.ts'
import type { RedisPortOptions } from './options.ts'
import { readTextOrNil } from './replies.ts'
import { SET_IF_ABSENT } from './scripts.ts'

/** Sets an absent key. Resolves with the value of a present one, or with `null` when the key was set. */
export type SetIfAbsent = (
  key: string,
  value: string,
  ttlMs: number,
  timeoutMs?: number,
) => Promise<string | null>

/** Creates the command, which uses a script once Redis has refused `SET NX GET`. */
export function createSetIfAbsent({ redis, writeTimeoutMs }: RedisPortOptions): SetIfAbsent {
  let understandsNxGet = true
  return async (key, value, ttlMs, timeoutMs = writeTimeoutMs) => {
    const ttl = milliseconds(ttlMs)
    const runScript = async () => {
      const call = { keys: [key], arguments: [value, ttl] }
      const reply = await redis.write(
        key,
        (client) => client.eval(SET_IF_ABSENT, call).catch(asOthers),
        timeoutMs,
      )
      return readTextOrNil(reply)
    }
    if (!understandsNxGet) return runScript()
    const ifAbsent = {
      condition: 'NX',
      GET: true,
      expiration: { type: 'PX', value: Number(ttl) },
    } as const
    const before = await redis.write(
      key,
      (client) => client.set(key, value, ifAbsent).catch(unlessSyntax).catch(asOthers),
      timeoutMs,
    )
    if (before !== SYNTAX_ERROR) return before
    understandsNxGet = false
    return runScript()
  }
}

const SYNTAX_ERROR = Symbol('syntax error')

/** Tells a Redis before 7.0, which refuses `NX` together with `GET`. */
function unlessSyntax(error: unknown): typeof SYNTAX_ERROR {
  if (readReplyError(error)?.kind === 'syntax-error') return SYNTAX_ERROR
  throw error
}

/** Returns another owner's value for a key of another type, so that the caller fails closed. */
function asOthers(error: unknown): string {
  if (readReplyError(error)?.failure === 'data') return ''
  throw error
}
