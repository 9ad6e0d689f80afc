import { type EventId, isEventId } from '../../core/event-id.ts'
import { unusableReply } from '../../redis/failure.ts'
import { type EventLog, LOGGED_MS, type LoggedEvent, MAX_LOGGED } from '../event-log.ts'
import { milliseconds } from './milliseconds.ts'
import type { RedisPortOptions } from './options.ts'
import { readTexts } from './replies.ts'
import { APPEND_EVENT, READ_EVENTS } from './scripts.ts'

/** Bounds a reply to some hundred kilobytes, because each delays the replies behind it. */
const READ_AT_ONCE = 100
/** Length above which a text is no sealed broadcast; the longest that an operator can send has 14 KiB. */
const MAX_TEXT_LENGTH = 16 * 1024
/** Identifiers that the script replaces; no other part of a message looks like them. */
const [ID, PREVIOUS] = ['<id>', '<previous>']
/** Largest identifier that `isEventId` accepts. */
const LAST_ID: EventId = '999999999999999-999999999999999'

/** Creates a log in a Redis stream, whose entries hold sealed broadcasts in base64url. */
export function createRedisEventLog(options: RedisPortOptions): EventLog {
  const { redis, prefix, channel, readTimeoutMs, writeTimeoutMs } = options
  const key = `${prefix}{events}`

  /** Reads the latest entries up to `to`, latest first. */
  async function readPage(to: EventId, from: EventId): Promise<readonly LoggedEvent[]> {
    const call = {
      keys: [key],
      arguments: [to, from, String(READ_AT_ONCE), String(MAX_TEXT_LENGTH)],
    }
    const read = redis.read(key, (client) => client.eval(READ_EVENTS, call), readTimeoutMs)
    const texts = readTexts(await read)
    return texts.flatMap((id, at) =>
      at % 2 === 0 ? [{ id: readId(id), sealed: bytesOf(texts[at + 1]) }] : [],
    )
  }

  return {
    async append(sealed, floor) {
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
          ...floor.split('-'),
        ],
      }
      const append = redis.writeOnce(
        key,
        (client) => client.eval(APPEND_EVENT, call),
        writeTimeoutMs,
      )
      const [id = '', previous = ''] = readTexts(await append)
      return { id: readId(id), previous: readId(previous) }
    },

    async readAfter(id) {
      const latestFirst: LoggedEvent[] = []
      let to = LAST_ID
      // Begins with the latest, because others may have written any number of entries (threat A91).
      while (latestFirst.length < MAX_LOGGED) {
        const page = await readPage(to, following(id))
        latestFirst.push(...page)
        const last = page.at(-1)
        if (!last || page.length < READ_AT_ONCE) break
        to = preceding(last.id)
      }
      return latestFirst.toReversed()
    },
  }
}

/** Returns the smallest identifier after this one, because an exclusive range needs Redis 6.2. */
function following(id: EventId): EventId {
  const [ms = 0, number = 0] = id.split('-').map(Number)
  return `${ms}-${number + 1}`
}

/** Returns the largest identifier before this one; one without a number stands for the largest of its millisecond. */
function preceding(id: EventId): string {
  const [ms = 0, number = 0] = id.split('-').map(Number)
  return number > 0 ? `${ms}-${number - 1}` : String(ms - 1)
}

function bytesOf(text = ''): Buffer {
  return Buffer.from(text, 'base64url')
}

function readId(text: string): EventId {
  if (isEventId(text)) return text
  throw unusableReply('the identifier of a stream entry has an unexpected form')
}
