import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

export interface PageOptions {
  readonly port: number
  readonly cookie?: string | undefined
  /** Further headers; `Host` names the address, which is app.example.com where they do not. */
  readonly headers?: Readonly<Record<string, string>>
  /** Comes back as `EventSource` does: after `retry`, with the last identifier; an answer other than 200 ends it for good. */
  readonly comesBack?: boolean
}

export interface ReceivedEvent {
  readonly name: string
  readonly data: string
  readonly id: string
  readonly atMs: number
}

/** End of a stream for whose page it goes on: when it was told to come back, and when it did. */
export interface Return {
  readonly endedAtMs: number
  readonly retryMs: number
  readonly openedAtMs: number
}

/** Page that follows events, which keeps little, because there may be thousands in a process. */
export interface EventPage {
  /** Status of the latest answer. */
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly isOpen: boolean
  readonly received: readonly ReceivedEvent[]
  readonly returns: readonly Return[]
  readonly lastEventId: string
  /** Milliseconds that the latest `retry` named. */
  readonly retryMs: number
  /** Leaves by closing the connection, or by a reset. */
  readonly leave: (isReset?: boolean) => void
}

/** Without a bound, because each stream keeps its connection. */
const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY })
/** Browsers wait some seconds where no `retry` came. */
const USUAL_RETRY_MS = 3000

/** Opens a stream; resolves with the first block of it, or with the answer that is none. */
export async function openPage(options: PageOptions): Promise<EventPage> {
  const page = createPage(options)
  await page.open()
  return page.state
}

function createPage({ port, cookie, headers = {}, comesBack = false }: PageOptions) {
  const received: ReceivedEvent[] = []
  const returns: Return[] = []
  let sent: ClientRequest | undefined
  let hasLeft = false
  const state = {
    status: 0,
    headers: {} as IncomingMessage['headers'],
    isOpen: false,
    received,
    returns,
    lastEventId: headers['Last-Event-ID'] ?? '',
    retryMs: USUAL_RETRY_MS,
    leave: (isReset = false) => {
      hasLeft = true
      if (isReset) sent?.socket?.resetAndDestroy()
      else sent?.destroy()
    },
  }

  function read(block: string): void {
    let [name, data] = ['message', undefined as string | undefined]
    for (const line of block.split('\n')) {
      const [, field, value = ''] = /^(\w+)(?:: ?(.*))?$/.exec(line) ?? []
      if (field === 'retry') state.retryMs = Number(value)
      else if (field === 'id') state.lastEventId = value
      else if (field === 'event') name = value
      else if (field === 'data') data = data === undefined ? value : `${data}\n${value}`
    }
    if (data !== undefined) received.push({ name, data, id: state.lastEventId, atMs: Date.now() })
  }

  function open(): Promise<void> {
    const begun = Promise.withResolvers<void>()
    const idHeader = state.lastEventId === '' ? {} : { 'Last-Event-ID': state.lastEventId }
    const ended = () => {
      state.isOpen = false
      begun.resolve()
      if (comesBack && !hasLeft) void comeBack()
    }
    sent = request({
      host: '127.0.0.1',
      port,
      agent,
      path: '/oauth2/events',
      headers: {
        Host: 'app.example.com',
        Accept: 'text/event-stream',
        ...(cookie !== undefined && { Cookie: cookie }),
        ...headers,
        ...idHeader,
      },
    })
      .on('error', ended)
      .on('response', (answer) => {
        state.status = answer.statusCode ?? 0
        state.headers = answer.headers
        state.isOpen = state.status === 200
        // An answer that is no stream ends the page for good, as in browsers.
        if (!state.isOpen) hasLeft = true
        readBlocks(answer, (block) => {
          read(block)
          begun.resolve()
        })
        answer.on('error', () => undefined).on('close', ended)
      })
    sent.end()
    return begun.promise
  }

  async function comeBack(): Promise<void> {
    const [endedAtMs, { retryMs }] = [Date.now(), state]
    await wait(retryMs)
    if (hasLeft) return
    await open()
    if (state.isOpen) returns.push({ endedAtMs, retryMs, openedAtMs: Date.now() })
  }

  return { state: state as EventPage, open }
}

function readBlocks(answer: IncomingMessage, onBlock: (block: string) => void): void {
  let rest = ''
  answer.setEncoding('utf8').on('data', (text: string) => {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) onBlock(block)
  })
}

/** Opens a stream for each of these cookies, so many at a time. */
export async function openPages(
  options: Omit<PageOptions, 'cookie'>,
  cookies: readonly string[],
  together = 100,
): Promise<readonly EventPage[]> {
  const pages: EventPage[] = []
  for (let at = 0; at < cookies.length; at += together) {
    const next = cookies.slice(at, at + together)
    pages.push(...(await Promise.all(next.map((cookie) => openPage({ ...options, cookie })))))
  }
  return pages
}
