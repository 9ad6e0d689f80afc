import { type EndReason, readEndReason } from '../../core/end-reason.ts'
import { type KeyPart, recordKey, type SessionLife, type Store } from '../store.ts'
import type { RedisPortOptions } from './options.ts'
import { readTextOrNil, readWholeNumber } from './replies.ts'
import { TOMBSTONE } from './scripts.ts'

/** Bounds the commands in flight of one look at many sessions, because checks use the same connection. */
const AT_ONCE = 100
/** Answers of PTTL for a key that does not exist, and for one without a lifetime. */
const ABSENT = -2
const ENDLESS = -1

/** Creates the read of the lives of sessions: one `PTTL` for each, and the tombstones of those that are gone. */
export function createLifeReads(options: RedisPortOptions): Store['readLives'] {
  const { redis, prefix, readTimeoutMs } = options
  const keysOf = (digests: readonly string[], part: KeyPart) =>
    digests.map((digest) => recordKey(prefix, digest, part))

  async function readPortion(digests: readonly string[]): Promise<readonly SessionLife[]> {
    const replies = await redis.readEach(
      keysOf(digests, 'identity'),
      (client, key) => client.pTTL(key),
      readTimeoutMs,
    )
    const leftMs = replies.map(readWholeNumber)
    const reasons = await readReasons(digests.filter((_, at) => leftMs[at] === ABSENT))
    return leftMs.map((left, at): SessionLife => {
      if (left === ABSENT) return { kind: 'ended', reason: reasons.get(digests[at] as string) }
      return { kind: 'alive', leftMs: left === ENDLESS ? Number.POSITIVE_INFINITY : left }
    })
  }

  /** Reads tombstones after the sessions, because an end puts the one in the place of the other at once. */
  async function readReasons(
    gone: readonly string[],
  ): Promise<ReadonlyMap<string, EndReason | undefined>> {
    if (gone.length === 0) return new Map()
    const replies = await redis.readEach(
      keysOf(gone, 'tombstone'),
      (client, key) => client.eval(TOMBSTONE, { keys: [key] }),
      readTimeoutMs,
    )
    return new Map(gone.map((digest, at) => [digest, reasonIn(replies[at])]))
  }

  return async (digests) => {
    const lives: SessionLife[] = []
    for (let at = 0; at < digests.length; at += AT_ONCE) {
      lives.push(...(await readPortion(digests.slice(at, at + AT_ONCE))))
    }
    return lives
  }
}

function reasonIn(reply: unknown): EndReason | undefined {
  const name = readTextOrNil(reply)
  return name === null ? undefined : readEndReason(name)
}
