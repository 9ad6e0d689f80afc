import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type EventClient,
  type EventClientOptions,
  openEvents,
  publicOrigin,
  untilEvents,
} from '../support/event-client.ts'
import { ADMIN_TOKEN, askAdmin } from '../support/operator.ts'
import { readMetric, untilMetric } from '../support/outage.ts'
import { prepared } from '../support/prepared.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { startVestibuleProcess } from '../support/vestibule-process.ts'
import { sendLines, sendText } from '../support/wire-requests.ts'
import { labelled, words } from '../support/words.ts'

const OPEN = 'vestibule_event_streams'
const PER_SESSION = 10
/** Streams that a replica takes whatever the size of its heap. */
const MOST_STREAMS = 100

const world = prepared(async () => {
  await using stack = new AsyncDisposableStack()
  const party = stack.use(await startRelyingParty({ ADMIN_TOKEN }))
  const { vestibule } = party
  const [cookie, bystanderCookie] = [await vestibule.signIn('alice'), await vestibule.signIn('bob')]
  const origin = publicOrigin(vestibule)
  const kept = stack.move()
  return {
    vestibule,
    cookie,
    bystanderCookie,
    origin,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
})
const openStreams = () => readMetric(world().vestibule, OPEN)
const opened: EventClient[] = []
const sockets: Socket[] = []

/** Opens a stream of alice's that ends with its test. */
async function open(options: Partial<EventClientOptions> = {}): Promise<EventClient> {
  const { origin, cookie } = world()
  const client = await openEvents({ origin, cookie, ...options })
  opened.push(client)
  return client
}

function withHeaders(headers: EventClientOptions['headers']): Promise<EventClient> {
  return open({ headers: { ...headers } })
}

async function broadcast(data: unknown, to: object = {}): Promise<string> {
  const sent = { event: 'notice', data, ...to }
  const { status, body } = await askAdmin(world().vestibule, 'POST', 'broadcast', sent)
  expect(status).toBe(202)
  return (body as { id: string }).id
}

/** Head of a request for a stream of alice's, without its last line. */
function head(...lines: readonly string[]): string {
  const { cookie } = world()
  return [
    'GET /oauth2/events HTTP/1.1',
    'Host: app.example.com',
    `Cookie: ${cookie}`,
    ...lines,
    '',
  ].join('\r\n')
}

async function send(text: string): Promise<Socket> {
  const socket = connect({ port: world().vestibule.publicPort, host: '127.0.0.1' })
  sockets.push(socket.on('error', () => undefined))
  socket.write(text)
  await once(socket, 'data')
  return socket
}

afterEach(async () => {
  for (const client of opened.splice(0)) client.close()
  for (const socket of sockets.splice(0)) socket.destroy()
  await untilMetric(world().vestibule, OPEN, 0)
})

describe('the origin of a page', () => {
  test.for(
    labelled(words`
    https://evil.example https://evil-app.example.com https://app.example.com.evil.example
    https://app.example.comevil https://example.com https://sub.app.example.com http://app.example.com
    https://app.example.com:8443 https://app.example.com. https://app.example.com/ https://app.example.com@evil.example
    https://evil.example#app.example.com https://evil.example/https://app.example.com app.example.com //app.example.com
    https:app.example.com wss://app.example.com null NULL undefined * https://* https://app.example.com,https://evil.example
    https://app.example.com\x20https://evil.example https://xn--pp-ida.example.com https://app.example.com%00.evil.example
    file:// chrome-extension://abcdefgh ${'https://a.example.com'.repeat(500)}
  `),
  )('%s is refused, and no stream is opened', async ([, origin]) => {
    const { status, headers } = await withHeaders({ Origin: origin })
    expect([status, headers['access-control-allow-origin']]).toEqual([403, undefined])
    expect(headers['content-type']).not.toContain('event-stream')
    expect(await openStreams()).toBe(0)
  })

  test.for([
    ['twice, the second foreign', [APP, 'https://evil.example']],
    ['twice, the first foreign', ['https://evil.example', APP]],
    ['empty', ['']],
  ] as const)('that comes %s is refused', async ([, origins]) => {
    const { status } = await withHeaders({ Origin: [...origins] })
    expect([400, 403]).toContain(status)
    expect(await openStreams()).toBe(0)
  })

  test.for(words`https://evil.example null https://evil-app.example.com`)(
    '%s is refused in a preflight',
    async (origin) => {
      const asked = { Origin: origin, 'Access-Control-Request-Method': 'GET' }
      const { status, headers } = await open({ method: 'OPTIONS', headers: asked })
      expect([status, headers['access-control-allow-origin']]).toEqual([403, undefined])
    },
  )
})

describe('an identifier of the last event', () => {
  test.for(
    labelled(words`
    x - -1 -1--1 1 1- -0 1-1-1 0x10-0 1e3-0 NaN Infinity-0 null 1-0%0aevent:%20session-ended%0adata:%20{}
    1-0\x20 \x201-0 1-0,2-0 1.5-0 +1-0 ${'9'.repeat(60_000)} ${'1'.repeat(400)}-0 \xb9-0 ../1-0 {events} *
    99999999999999999999999-0 0-99999999999999999999999 $ >
  `),
  )('%s opens a stream in which nothing of it appears', async ([, id]) => {
    const { bystanderCookie } = world()
    const bystander = await open({ cookie: bystanderCookie })
    const odd = await withHeaders({ 'Last-Event-ID': id })
    expect(odd.status).toBe(200)
    expect(odd.text()).toMatch(/^retry: \d+\n(?:id: \d+-\d+\n)?session: [\w-]{16}\n\n/)
    const sent = await broadcast('for all')
    for (const client of [bystander, odd]) {
      await untilEvents(client, 'notice')
      expect(client.events.filter((event) => event.id === sent)).toHaveLength(1)
      expect(new Set(client.events.map(({ name }) => name))).toEqual(new Set(['notice']))
    }
  })

  test('far ahead of all others keeps nothing from anybody but its sender', async () => {
    const ahead = await withHeaders({ 'Last-Event-ID': '999999999999999-0' })
    const bystander = await open({ cookie: world().bystanderCookie })
    const behind = await withHeaders({ 'Last-Event-ID': '0-0' })
    expect(ahead.status).toBe(200)
    const id = await broadcast('for all')
    for (const client of [bystander, behind]) {
      await untilEvents(client, 'notice')
      await expect.poll(() => client.events.filter((each) => each.id === id)).toHaveLength(1)
    }
  })

  test('that came twice, or with more bytes than headers may have, harms nobody', async () => {
    const doubled = await withHeaders({ 'Last-Event-ID': ['1-0', '2-0'] })
    expect([200, 400]).toContain(doubled.status)
    const long = await withHeaders({ 'Last-Event-ID': '1'.repeat(70_000) })
    expect(long.status).toBe(431)
  })

  test("of another user's event brings nothing of that user's", async () => {
    const { bystanderCookie } = world()
    const before = await broadcast('for all')
    await broadcast('for alice', { user: 'alice' })
    const id = await broadcast('for bob', { user: 'bob' })
    await broadcast('for alice again', { user: 'alice' })
    for (const [cookie, last, expected] of [
      [bystanderCookie, before, ['for bob']],
      [world().cookie, before, ['for alice', 'for alice again']],
      [world().cookie, id, ['for alice again']],
    ] as const) {
      const client = await open({ cookie, headers: { 'Last-Event-ID': last } })
      await broadcast('end')
      await expect.poll(() => client.events.at(-1)?.data).toBe('"end"')
      const datas = client.events.slice(0, expected.length).map(({ data }) => data)
      expect(datas).toEqual(expected.map((data) => JSON.stringify(data)))
    }
  })
})

describe('a request', () => {
  test.for(words`POST PUT DELETE PATCH PROPFIND`)('by %s opens no stream', async (method) => {
    const { status, text } = await open({ method })
    expect([404, 405]).toContain(status)
    expect(text()).not.toContain('retry:')
    expect(await openStreams()).toBe(0)
  })

  test.for([
    ['of a length', 'Content-Length: 5\r\n', 'hello'],
    ['in chunks', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'],
    ['that never comes', 'Content-Length: 1000000\r\n', ''],
    ['in chunks that never end', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n'],
  ])('with a body %s is refused', async ([, line, body]) => {
    const { publicPort } = world().vestibule
    const { status } = await sendText(publicPort, `${head()}${line}\r\n${body}`)
    expect(status).toBe(400)
    expect(await openStreams()).toBe(0)
  })

  test.for(
    labelled([
      undefined,
      '',
      '*/*',
      'text/html',
      'application/json',
      'text/event-stream;q=0',
      'x'.repeat(9000),
    ]),
  )('with Accept %s opens a stream', async ([, accept]) => {
    const { status, headers } = await withHeaders({ Accept: accept })
    expect([status, headers['content-type']]).toEqual([
      200,
      expect.stringMatching(/^text\/event-stream/),
    ])
  })

  test('with Accept-Encoding is answered without an encoding', async () => {
    const { headers } = await withHeaders({ 'Accept-Encoding': 'gzip, br, zstd' })
    expect(headers['content-encoding']).toBeUndefined()
    expect(headers['cache-control']).toContain('no-store')
  })

  test('to the internal listener is no way to a stream', async () => {
    const { vestibule, cookie } = world()
    const { status } = await openEvents({
      origin: `http://127.0.0.1:${vestibule.internalPort}`,
      cookie,
    })
    expect(status).toBe(404)
  })

  test.for([
    ['a foreign host', 'Host: evil.example'],
    ['two hosts', 'Host: app.example.com\r\nHost: other.example.com'],
  ])('for %s is refused', async ([, hosts = '']) => {
    const { vestibule, cookie } = world()
    const line = 'GET /oauth2/events HTTP/1.1'
    const { status } = await sendLines(vestibule.publicPort, line, hosts, `Cookie: ${cookie}`)
    expect(status).toBe(400)
  })
})

describe('a session cookie', () => {
  const cookieOf = () => world().cookie.slice(`${SESSION_COOKIE}=`.length)
  const secretOf = (cookie: string) => cookie.split('.').at(-1) as string

  test.for([
    ['none', (): string | undefined => undefined],
    ['that nobody was given', () => `v1.${'A'.repeat(43)}.${'A'.repeat(43)}`],
    ['with a wrong secret', () => cookieOf().replace(secretOf(cookieOf()), 'A'.repeat(43))],
    [
      "with another session's secret",
      () => cookieOf().replace(secretOf(cookieOf()), secretOf(world().bystanderCookie)),
    ],
    ['cut short', () => cookieOf().slice(0, -1)],
    ['twice, with different values', () => `${cookieOf()}; ${world().bystanderCookie}`],
  ] as const)('%s opens no stream, and counts as none', async ([, valueOf]) => {
    const value = valueOf()
    const streams = await Promise.all(Array.from({ length: PER_SESSION }, () => open()))
    for (let asked = 0; asked < 3; asked += 1) {
      const cookie = value === undefined ? undefined : `${SESSION_COOKIE}=${value}`
      const { status, headers, text } = await open({ cookie })
      expect([400, 401]).toContain(status)
      expect(headers['content-type']).toMatch(/^application\/json/)
      expect(headers['set-cookie']).toBeUndefined()
      expect(text()).not.toContain('retry:')
    }
    expect(await openStreams()).toBe(PER_SESSION)
    expect(streams.every(({ isOpen }) => isOpen())).toBe(true)
  })

  test('that came twice with the same value opens one stream', async () => {
    const { cookie } = world()
    expect((await open({ cookie: `${cookie}; ${cookie}` })).status).toBe(200)
    expect(await openStreams()).toBe(1)
  })
})

describe('a client', () => {
  test('that opens eleven streams loses the oldest, and nobody else loses one', async () => {
    const { bystanderCookie, vestibule } = world()
    const bystander = await open({ cookie: bystanderCookie })
    const streams: EventClient[] = []
    for (let count = 0; count < PER_SESSION + 2; count += 1) streams.push(await open())
    expect(await Promise.all([streams[0]?.ended, streams[1]?.ended])).toEqual([
      'complete',
      'complete',
    ])
    expect(streams.map(({ isOpen }) => isOpen())).toEqual([
      false,
      false,
      ...streams.slice(2).map(() => true),
    ])
    expect(bystander.isOpen()).toBe(true)
    expect(await openStreams()).toBe(PER_SESSION + 1)
    expect(Number(streams[0]?.retriesMs.at(-1))).toBeGreaterThan(
      Number(streams[2]?.retriesMs.at(-1)),
    )
    await untilMetric(vestibule, 'vestibule_event_streams_closed_total{reason="surplus"}', 2)
    await broadcast('for all')
    for (const client of [bystander, ...streams.slice(2)]) await untilEvents(client, 'notice')
    expect(streams[0]?.events).toEqual([])
  })

  test('that reads at once is not taken for a slow one, however many broadcasts come together', async () => {
    const streams = await Promise.all(Array.from({ length: PER_SESSION }, () => open()))
    const filler = 'x'.repeat(4000)
    const together = Array.from({ length: 200 }, (_, at) => broadcast({ at, filler }))
    const ids = await Promise.all(together)
    for (const { events, isOpen } of streams) {
      await expect.poll(() => events.length).toBe(ids.length)
      expect(isOpen()).toBe(true)
    }
  })

  test('that asks for many streams over one connection has at most ten, and they end with it', async () => {
    const bystander = await open({ cookie: world().bystanderCookie })
    const socket = await send(`${head()}\r\n`.repeat(50))
    expect(await openStreams()).toBeLessThanOrEqual(PER_SESSION + 1)
    await broadcast('for all')
    await untilEvents(bystander, 'notice')
    socket.destroy()
    await untilMetric(world().vestibule, OPEN, 1)
  })

  test('that asks for something behind its stream gets no answer within it', async () => {
    const socket = await send(`${head()}\r\n`)
    const chunks: string[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk.toString()))
    socket.write(
      `GET /oauth2/me HTTP/1.1\r\nHost: app.example.com\r\nCookie: ${world().cookie}\r\n\r\n`,
    )
    await broadcast('behind it')
    await expect.poll(() => chunks.join('')).toContain('behind it')
    expect(chunks.join('')).not.toContain('HTTP/1.1')
  })

  test('that closes its side, or its whole connection, is forgotten', async () => {
    const half = await send(`${head()}\r\n`)
    half.end()
    const reset = await send(`${head()}\r\n`)
    reset.resetAndDestroy()
    const closed = await send(`${head('Connection: close')}\r\n`)
    closed.destroy()
    await broadcast('for nobody')
    half.destroy()
    await untilMetric(world().vestibule, OPEN, 0)
  })

  test('that opens and resets streams without a pause leaves none behind', async () => {
    const { publicPort } = world().vestibule
    const bystander = await open({ cookie: world().bystanderCookie })
    for (let storm = 0; storm < 300; storm += 1) {
      const socket = connect({ port: publicPort, host: '127.0.0.1' })
      socket.on('error', () => undefined)
      socket.write(`${head()}\r\n`)
      // Some are gone before they are asked for, some while, and some after.
      if (storm % 3 === 0) await once(socket, 'data')
      else if (storm % 3 === 1) await once(socket, 'connect')
      socket.resetAndDestroy()
    }
    await untilMetric(world().vestibule, OPEN, 1)
    await broadcast('for all')
    await untilEvents(bystander, 'notice')
  })
})

test('a replica that has as many streams as its heap has room for refuses one more, and nobody loses one', async () => {
  // Leaves room for the least number of streams that a replica takes.
  const small = {
    NODE_OPTIONS: '--max-old-space-size=64 --max-semi-space-size=1',
    DRAIN_SECONDS: '0',
  }
  await using party = await startRelyingParty(small, {}, undefined, startVestibuleProcess)
  const { vestibule } = party
  const origin = publicOrigin(vestibule)
  const people = MOST_STREAMS / PER_SESSION
  const streams: EventClient[] = []
  for (let person = 0; person < people; person += 1) {
    const cookie = await vestibule.signIn('alice')
    for (let own = 0; own < PER_SESSION; own += 1)
      streams.push(await openEvents({ origin, cookie }))
  }
  const cookie = await vestibule.signIn('bob')
  for (let asked = 1; asked <= 2; asked += 1) {
    const refused = await openEvents({ origin, cookie })
    expect(refused.status).toBe(503)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(await readMetric(vestibule, 'vestibule_event_streams_refused_total')).toBe(asked)
  }
  expect(streams.every(({ isOpen }) => isOpen())).toBe(true)
  expect(JSON.parse((await vestibule.internal('/health')).body)).toMatchObject({
    events: { streams: MOST_STREAMS, findings: [{ code: 'streams_refused' }] },
  })
  streams[0]?.close()
  await untilMetric(vestibule, OPEN, MOST_STREAMS - 1)
  streams.push(await openEvents({ origin, cookie }))
  expect([streams.at(-1)?.status, await readMetric(vestibule, OPEN)]).toEqual([200, MOST_STREAMS])
  for (const stream of streams) stream.close()
})
