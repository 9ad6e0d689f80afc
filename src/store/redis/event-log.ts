import { type EventId, isEventId } from '../../core/event-id.ts'
import { unusableReply } from '../../redis/failure.ts'
import { type EventLog, LOGGED_MS, type LoggedEvent, MAX_LOGGED } from '../event-log.ts'
import { milliseconds } from './milliseconds.ts'
import type { RedisPortOptions } from './options.ts'
import { readTexts } from './replies.ts'
import { APPEND_EVENT } from './scripts.ts'

/** Field of an entry. */
const SEALED = 'e'
const READ_AT_ONCE = 100
/** Identifiers that the script replaces; no other part of a message looks like them. */
const [ID, PREVIOUS] = ['<id>', '<previous>']

/** Creates a log in a Redis stream, whose entries hold sealed broadcasts in base64url. */
export function createRedisEventLog(options: RedisPortOptions): EventLog {
  const { redis, prefix, channel, readTimeoutMs, writeTimeoutMs } = options
  const key = `${prefix}{events}`

  return {
    async append(sealed) {
      const text = sealed.toString('base64url')
      const message = options.writeMessage({
        type: 'broadcast',
        id: ID,
        previous: PREVIOUS,
        sealed: text,
      })
      const call = {
        keys: [key],
        arguments: [
          text,
          milliseconds(LOGGED_MS),
          channel,
          ...message.split(/<id>|<previous>/),
          String(MAX_LOGGED),
        ],
      }
      const reply = await redis.writeOnce(
        key,
        (client) => client.eval(APPEND_EVENT, call),
        writeTimeoutMs,
      )
      const [id = '', previous = ''] = readTexts(reply)
      return { id: readId(id), previous: readId(previous) }
    },

    async readAfter(id) {
      const found: LoggedEvent[] = []
      let from = after(id)
      for (;;) {
        const page = await redis.read(
          key,
          async (client) => (await client.xRange(key, from, '+', { COUNT: READ_AT_ONCE })) ?? [],
          readTimeoutMs,
        )
        for (const { id: each, message } of page) {
          const sealed = message[SEALED]
          if (sealed !== undefined)
            found.push({ id: readId(each), sealed: Buffer.from(sealed, 'base64url') })
        }
        const last = page.at(-1)
        if (!last || page.length < READ_AT_ONCE) return found
        from = after(last.id)
      }
    },
  }
}

/** Returns the smallest identifier after this one, because an exclusive range needs Redis 6.2. */
function after(id: EventId): EventId {
  const [ms = 0, number = 0] = id.split('-').map(Number)
  return `${ms}-${number + 1}`
}

function readId(text: string): EventId {
  if (isEventId(text)) return text
  throw unusableReply('the identifier of a stream entry has an unexpected form')
}
