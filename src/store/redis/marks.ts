import { readReplyError } from '../../redis/reply-errors.ts'
import type { OneTimeKeys } from '../one-time-keys.ts'
import { CONSUME, EXTEND, RELEASE } from './scripts.ts'
import type { RedisStoreOptions } from './store.ts'

/** Consumption marks in Redis, which alone decides; no cache stands in front of them. */
export function createRedisOneTimeKeys(options: RedisStoreOptions): OneTimeKeys {
  const marks = createMarks(options)
  const nameOf = (kind: string, key: string) => `${options.prefix}j:${kind}:{${key}}`
  return {
    consume: (kind, key, attemptId, ttlMs, timeoutMs) =>
      marks.set(nameOf(kind, key), attemptId, ttlMs, timeoutMs),
    extend: (kind, key, attemptId, ttlMs) => marks.extend(nameOf(kind, key), attemptId, ttlMs),
    release: (kind, key, attemptId) => marks.release(nameOf(kind, key), attemptId),
  }
}

/** Keys that belong to who sets them first, until they end. */
export function createMarks({ redis, writeTimeoutMs }: RedisStoreOptions) {
  let understandsNxGet = true

  /** The owner that was there before; null when the mark is new. */
  async function mark(
    name: string,
    owner: string,
    ttlMs: number,
    timeoutMs = writeTimeoutMs,
  ): Promise<string | null> {
    const ttl = milliseconds(ttlMs)
    const script = { keys: [name], arguments: [owner, ttl] }
    const set = {
      condition: 'NX',
      GET: true,
      expiration: { type: 'PX', value: Number(ttl) },
    } as const
    const consume = async () =>
      textOf(
        await redis.write(
          name,
          (client) => client.eval(CONSUME, script).catch(asOthers),
          timeoutMs,
        ),
      )
    if (!understandsNxGet) return consume()
    const before = await redis.write(
      name,
      (client) => client.set(name, owner, set).catch(unlessSyntax).catch(asOthers),
      timeoutMs,
    )
    if (before !== SYNTAX_ERROR) return before
    understandsNxGet = false
    return consume()
  }

  return {
    mark,
    async set(name: string, owner: string, ttlMs: number, timeoutMs = writeTimeoutMs) {
      const before = await mark(name, owner, ttlMs, timeoutMs)
      return before === null || before === owner
    },
    async extend(name: string, owner: string, ttlMs: number) {
      const script = { keys: [name], arguments: [owner, milliseconds(ttlMs)] }
      const extended = await redis.write(
        name,
        (client) => client.eval(EXTEND, script),
        writeTimeoutMs,
      )
      return extended === 1
    },
    async release(name: string, owner: string) {
      const script = { keys: [name], arguments: [owner] }
      await redis.write(name, (client) => client.eval(RELEASE, script), writeTimeoutMs)
    },
  }
}

/** Narrows the reply of a script, which node-redis leaves untyped. */
function textOf(answer: unknown): string | null {
  return typeof answer === 'string' ? answer : null
}

const SYNTAX_ERROR = Symbol('syntax error')

/** Tells a Redis before 7.0, which refuses `NX` together with `GET`. */
function unlessSyntax(error: unknown): typeof SYNTAX_ERROR {
  if (readReplyError(error)?.kind === 'syntax-error') return SYNTAX_ERROR
  throw error
}

/** Counts another kind of value in the place of a mark as somebody else's mark. */
function asOthers(error: unknown): string {
  if (readReplyError(error)?.failure === 'data') return ''
  throw error
}

/** Redis takes whole milliseconds of at least one. */
export function milliseconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms)))
}
