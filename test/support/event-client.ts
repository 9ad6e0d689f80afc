import { type IncomingMessage, request as openPlain } from 'node:http'
import { request as openTls } from 'node:https'
import { until } from './own-lag.ts'
import { APP } from './relying-party.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { VisitHeaders } from './visitor.ts'

/** Event of a stream as an EventSource would dispatch it, and when it arrived. */
export interface SeenEvent {
  readonly name: string
  readonly data: string
  readonly id: string
  /** By `performance.now()`, with all else that arrived in the same piece. */
  readonly atMs: number
}

export interface EventClientOptions {
  /** Address of a gateway or of a replica: `http://127.0.0.1:4180`. */
  readonly origin: string
  readonly cookie?: string | undefined
  /** URL of the page at which the stream is opened. */
  readonly page?: string
  readonly path?: string
  readonly method?: string
  /** Further headers, as spelled; `undefined` takes one away. */
  readonly headers?: VisitHeaders
  /** Headers and body are awaited no longer than this takes. */
  readonly signal?: AbortSignal
}

/** End of an answer: as its server meant it, or cut off. */
export type StreamEnd = 'complete' | 'broken'

/** Client of `BASE_PATH/events`, which reads all that comes. */
export type EventClient = Awaited<ReturnType<typeof openEvents>>

/** Address of the public listener of a replica, for clients without a gateway. */
export function publicOrigin({ publicPort }: Pick<RunningVestibule, 'publicPort'>): string {
  return `http://127.0.0.1:${publicPort}`
}

/** Opens a stream. Resolves when its first block has arrived, or with the whole answer where that is no stream. */
export async function openEvents(options: EventClientOptions) {
  const { request, message } = await ask(options)
  const read = createReader()
  message.setEncoding('utf8')
  const first = Promise.withResolvers<void>()
  message.on('data', (text: string) => {
    read.take(text)
    if (read.seen.blocks > 0) first.resolve()
  })
  let end: StreamEnd | undefined
  const ending = Promise.withResolvers<StreamEnd>()
  message.on('error', () => undefined)
  message.once('close', () => {
    end = message.complete ? 'complete' : 'broken'
    first.resolve()
    ending.resolve(end)
  })
  const isStream = message.headers['content-type']?.startsWith('text/event-stream') === true
  await (isStream ? first.promise : ending.promise)
  const close = (): void => void request.destroy()
  return {
    status: message.statusCode ?? 0,
    headers: message.headers,
    /** All text so far, of an answer that is no stream too. */
    text: () => read.seen.text,
    events: read.seen.events as readonly SeenEvent[],
    /** Comments so far. */
    comments: () => read.seen.comments,
    /** Times after which the client was told to come back, in order. */
    retriesMs: read.seen.retriesMs as readonly number[],
    /** Position that the client would send as `Last-Event-ID`. */
    lastEventId: () => read.seen.lastEventId,
    isOpen: () => end === undefined,
    /** Resolves at the end of the answer, `broken` where it is cut off. */
    ended: ending.promise,
    /** Stops and continues to read, to be a slow reader. */
    pause: () => void message.pause(),
    resume: () => void message.resume(),
    close,
    [Symbol.dispose]: close,
  }
}

/** Waits until so many events of this name have arrived, and returns them. */
export async function untilEvents(
  client: Pick<EventClient, 'events'>,
  name: string,
  count = 1,
): Promise<readonly SeenEvent[]> {
  const named = () => client.events.filter((event) => event.name === name)
  await until(`${count} of ${name}`, () => named().length >= count)
  return named()
}

async function ask(options: EventClientOptions) {
  const { origin, cookie, page = `${APP}/`, path = '/oauth2/events', method = 'GET' } = options
  const { protocol, port } = new URL(origin)
  const headers = {
    Host: new URL(page).host,
    Accept: 'text/event-stream',
    Cookie: cookie,
    'Sec-Fetch-Site': 'same-origin',
    'Sec-Fetch-Mode': 'cors',
    'Sec-Fetch-Dest': 'empty',
    ...options.headers,
  }
  const open = protocol === 'https:' ? openTls : openPlain
  const request = open({
    host: '127.0.0.1',
    port,
    method,
    path,
    headers: Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [value].flat().flatMap((each) => [name, each]),
    ),
    servername: new URL(page).hostname,
    rejectUnauthorized: false,
    agent: false,
    ...(options.signal && { signal: options.signal }),
  })
  const answered = Promise.withResolvers<IncomingMessage>()
  // Stays for the errors of a connection that is closed later.
  request.on('response', answered.resolve).on('error', answered.reject).end()
  return { request, message: await answered.promise }
}

/** Parses by the rules of the HTML standard, but keeps the whole text. */
function createReader() {
  const seen = {
    text: '',
    blocks: 0,
    comments: 0,
    lastEventId: '',
    events: [] as SeenEvent[],
    retriesMs: [] as number[],
  }
  let rest = ''
  let name = ''
  let data: string[] = []
  const dispatch = (): void => {
    seen.blocks += 1
    if (data.length > 0) {
      const event = { name: name || 'message', data: data.join('\n'), id: seen.lastEventId }
      seen.events.push({ ...event, atMs: performance.now() })
    }
    name = ''
    data = []
  }
  const takeField = (field: string, value: string): void => {
    if (field === 'event') name = value
    else if (field === 'data') data.push(value)
    else if (field === 'id' && !value.includes('\0')) seen.lastEventId = value
    else if (field === 'retry' && /^\d+$/.test(value)) seen.retriesMs.push(Number(value))
  }
  const takeLine = (line: string): void => {
    if (line === '') return dispatch()
    const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
    if (line.startsWith(':')) seen.comments += 1
    else takeField(field, value)
  }
  return {
    seen,
    take: (text: string): void => {
      seen.text += text
      // A CR at the end may be the first half of a line end.
      const lines = (rest + text).split(/\r\n|\n|\r(?!$)/)
      rest = lines.pop() ?? ''
      for (const line of lines) takeLine(line)
    },
  }
}
