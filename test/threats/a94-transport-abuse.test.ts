import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { readMetric } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import { forwardedNavigation } from '../support/request-pool.ts'
import { cookieHeader } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { startVestibuleProcess } from '../support/vestibule-process.ts'
import { FORWARDED_LINES, type RawReply, sendText } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

// A process of its own, because its resident memory is measured.
const party = useParty({}, {}, undefined, startVestibuleProcess)
let cookie: string
let internalPort: number
let publicPort: number

let slowRequests: Promise<readonly string[]>

beforeAll(async () => {
  cookie = cookieHeader((await party.attempt()).browser) ?? ''
  ;({ internalPort, publicPort } = party.vestibule)
  slowRequests = Promise.all([internalPort, publicPort].map(sendSlowly))
})

const CLOSE = 'Connection: close'
const POSTED = 'POST /auth HTTP/1.1'

function head(requestLine: string, ...lines: readonly (string | undefined)[]): string {
  return [requestLine, ...lines, '', ''].join('\r\n')
}

/** One check as text; with the session's cookie it is a 200. */
function checkText(further: readonly string[] = [], requestLine = 'GET /auth HTTP/1.1'): string {
  return head(requestLine, 'Host: v', ...FORWARDED_LINES, `Cookie: ${cookie}`, ...further)
}

function check(...further: readonly string[]): Promise<RawReply> {
  return sendText(internalPort, checkText(further))
}

function emptyHeaders(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `a${index}: `)
}

function chunked(bytes: number): string {
  const chunk = 'a'.repeat(1024)
  return `${`400\r\n${chunk}\r\n`.repeat(Math.ceil(bytes / 1024))}0\r\n\r\n`
}

function residentBytes() {
  return readMetric(party.vestibule, 'vestibule_process_resident_memory_bytes')
}

function expectNotStored({ text }: RawReply): void {
  expect(text.toLowerCase()).toContain('cache-control: no-store')
}

test('the plain request that the others are variations of passes', async () =>
  expect((await check()).statuses).toEqual([200]))

test('60 KiB of headers pass, and more than 64 KiB are 431 (A76, A87)', async () => {
  const padding = (kib: number) =>
    Array.from({ length: kib }, (_, index) => `X-Pad-${index}: ${'p'.repeat(1010)}`)
  for (const lines of [padding(60), [`Cookie2: ${'c'.repeat(60_000)}`]]) {
    expect((await check(...lines, CLOSE)).statuses).toEqual([200])
  }
  for (const port of [internalPort, publicPort]) {
    for (const lines of [padding(66), [`X-One: ${'p'.repeat(70_000)}`]]) {
      const answer = await sendText(port, checkText(lines))
      expect(answer.statuses).toEqual([431])
      expectNotStored(answer)
    }
  }
})

test.for([500, 900, 1100, 1900, 2100, 5000])(
  '%i headers in front of the cookie are refused or skipped, and sign nobody out',
  async (count) => {
    const first = ['Host: v', ...emptyHeaders(count), ...FORWARDED_LINES]
    const text = head('GET /auth HTTP/1.1', ...first, `Cookie: ${cookie}`, CLOSE)
    const answer = await sendText(internalPort, text)
    // A head that was read in part is refused, so that an unread cookie does not look like an absent one.
    expect([200, 400, 431]).toContain(answer.status)
    expect(answer.text).not.toContain('/oauth2/login')
  },
)

test.for([500, 900, 1100, 1900, 2100, 5000])('%i headers hide no other one', async (count) => {
  for (const lines of [
    ['X_Auth_Request_User: root'],
    ['X-HTTP-Method-Override: DELETE'],
    ['X-Forwarded-Host: www.example.com'],
    ['Sec-WebSocket-Key: a', 'Sec-WebSocket-Version: 13', 'Origin: https://evil.example'],
  ]) {
    const { status } = await check(...emptyHeaders(count), ...lines, CLOSE)
    expect(lines.length === 3 ? [400, 403, 431] : [400, 431], lines.join()).toContain(status)
  }
})

const host = 'Host: v'
const get = 'GET /auth HTTP/1.1'
const expectation = head(get, host, ...FORWARDED_LINES, 'Expect: foo')

test.for<[string, number?]>([
  [`${head(POSTED, host, 'Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
  [`${head(POSTED, host, 'Content-Length: 4', 'Content-Length: 5')}abcd`],
  ...words`4,\x204 -1 +4`.map((n): [string] => [
    `${head(POSTED, host, `Content-Length: ${n}`)}abcd`,
  ]),
  ...words`chunked,\x20identity xchunked`.map((coding): [string] => [
    `${head(POSTED, host, `Transfer-Encoding: ${coding}`)}0\r\n\r\n`,
  ]),
  [head(get, host, 'X-Folded: a\r\n b')],
  [head(get, host).replaceAll('\r', '')],
  ['GET /auth HTTP/1.1\rHost: v\r\r\n\r\n'],
  [head(get, 'Host : v')],
  [head(get, host, 'X-Nul: a\0b')],
  [head(get)],
  [head('GET /auth HTTP/1.0')],
  [head('FOO /auth HTTP/1.1', host)],
  [head('GET /auth HTTX/1.1', host)],
  [expectation, 417],
  ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
])('%j is refused with no-store, and nothing else is answered', async ([text, status = 400]) => {
  for (const port of [internalPort, publicPort]) {
    const answer = await sendText(port, text)
    expect(answer.statuses).toEqual([status])
    expectNotStored(answer)
    expect(answer.text).not.toMatch(/^(?:set-cookie|location|x-auth-request)/im)
  }
})

const ours = 'app.example.com'

test.for([
  [ours, ours],
  [ours, 'evil.example'],
  ['evil.example', ours],
  [ours, ''],
])('two hosts are one too many on the public port (A47): %s, %s', async ([first, second]) => {
  for (const path of ['/login?rd=/', '/logout', '/me', '/callback']) {
    const hosts = [`Host: ${first}`, `hOST: ${second}`]
    const text = head(`GET /oauth2${path} HTTP/1.1`, ...hosts, CLOSE)
    const answer = await sendText(publicPort, text)
    expect(answer.statuses).toEqual([400])
    expectNotStored(answer)
    expect(answer.text).not.toMatch(/^(?:set-cookie|location)/im)
  }
})

test.for(['GET', 'POST'])('a second request inside a %s is not answered', async (method) => {
  const hidden = checkText()
  const outer = checkText([`Content-Length: ${hidden.length}`], `${method} /auth HTTP/1.1`)
  expect((await sendText(internalPort, outer + hidden)).statuses).toEqual([200])
})

test('pipelined requests are answered in order, each for itself', async () => {
  const anonymous = head(get, host, ...FORWARDED_LINES)
  const all = checkText() + anonymous + head(get, host) + checkText([CLOSE])
  // The connection is closed behind the last answer, so the quiet time only bounds the wait.
  const { text, statuses } = await sendText(internalPort, all, 5000)
  expect(statuses).toEqual([200, 302, 400, 200])
  const names = text.split('HTTP/1.1 ').map((answer) => answer.includes('alice'))
  expect(names.slice(1, 3)).toEqual([true, false])
})

test.for<[string, () => string]>([
  ['GET with a length', () => checkText(['Content-Length: 40000']) + 'a'.repeat(40_000)],
  ['POST with a length', () => checkText(['Content-Length: 40000'], POSTED) + 'a'.repeat(40_000)],
  ['POST in chunks', () => checkText(['Transfer-Encoding: chunked'], POSTED) + chunked(40_000)],
])('a body on the check is not read: %s', async ([, make]) => {
  expect([[200], [413]]).toContainEqual((await sendText(internalPort, make())).statuses)
  const anonymous = make().replace(/Cookie: .*\r\n/, '')
  expect([302, 413]).toContain((await sendText(internalPort, anonymous)).status)
})

test('bodies without end on the check do not pile up in memory', async () => {
  const unending = checkText(['Content-Length: 100000000'], POSTED)
  const before = await residentBytes()
  await Promise.all(Array.from({ length: 8 }, () => flood(internalPort, unending)))
  // 400 MB were on offer; the sockets hold some of it until they are collected.
  expect((await residentBytes()) - before).toBeLessThan(150 * 1024 * 1024)
  expect((await check()).statuses).toEqual([200])
})

test.for(['GET', 'POST'])('a %s whose body does not end is cut off', async (method) => {
  const unending = checkText(['Content-Length: 100000000'], `${method} /auth HTTP/1.1`)
  // The sockets of both sides hold some megabytes before anybody has read them.
  expect(await flood(internalPort, unending)).toBeLessThan(20)
})

test.for<[string, readonly string[]]>([
  ['from anywhere', []],
  ['from our own page', ['Sec-Fetch-Site: same-origin']],
  ['from the origin', ['Origin: https://app.example.com']],
])('a form above 16 KiB at the sign-out is 413 %s', async ([, further]) => {
  const form = [...SIGN_OUT_FORM.slice(1), CLOSE, 'Accept: text/html', ...further]
  const post = (line: string, body: string) =>
    sendText(publicPort, head(SIGN_OUT_FORM[0], ...form, line) + body)
  const withLength = (bytes: number) => post(`Content-Length: ${bytes}`, 'a'.repeat(bytes))
  const tooLarge = await withLength(16 * 1024 + 1)
  for (const answer of [tooLarge, await post('Transfer-Encoding: chunked', chunked(20_000))]) {
    expect(answer.statuses).toEqual([413])
    expectNotStored(answer)
  }
  expect([200, 303]).toContain((await withLength(16 * 1024)).status)
})

test('the largest pages stay below what Traefik is told to accept, 16 KiB', async () => {
  const uri = `/${'p'.repeat(8000)}?${'&"<>'.replace(/["<>]/g, '%3C').repeat(20)}`
  for (const further of [{}, { Cookie: '__Host-vestibule=a; __Host-vestibule=b' }]) {
    const { status, body, location = '' } = await party.check({ uri }, further)
    expect([302, 400]).toContain(status)
    expect(Buffer.byteLength(body) + location.length).toBeLessThan(16 * 1024)
  }
})

test('an idle connection is kept for longer than Go keeps it', async () => {
  for (const port of [internalPort, publicPort]) {
    const { header } = await sendText(port, head('GET /healthz HTTP/1.1', 'Host: app.example.com'))
    expect(Number(/^timeout=(\d+)/.exec(header('keep-alive') ?? '')?.[1])).toBeGreaterThan(90)
    expect(header('connection')).toMatch(/^keep-alive/i)
  }
})

test('SIGTERM under steady load fails no request, and /readyz says so', async () => {
  await using leaving = await startVestibuleProcess({ DRAIN_SECONDS: '300' })
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  const outcomes: string[] = []
  const ended = new AbortController()
  const worker = async () => {
    while (!ended.signal.aborted) {
      outcomes.push(await askOnce(leaving.internalPort, agent))
      await wait(Math.random() * 4)
    }
  }
  const workers = Array.from({ length: 32 }, worker)
  await until('a steady load', () => outcomes.length > 100)
  const before = outcomes.length
  process.kill(leaving.pid, 'SIGTERM')
  await until('a replica that is not ready', async () => {
    const { status, headers } = await leaving.internal('/readyz')
    if (status !== 200) expect([status, headers.connection]).toEqual([503, 'close'])
    return status === 503
  })
  expect((await leaving.internal('/livez')).status).toBe(200)
  await until('a load that goes on', () => outcomes.length - before > 200)
  ended.abort()
  await Promise.all(workers)
  agent.destroy()
  expect(outcomes.filter((outcome) => outcome !== '302')).toEqual([])
  // A second signal comes from an operator who does not want to wait.
  expect(await leaving.stop('SIGTERM')).toBe(0)
})

test('a request head that comes in byte by byte is cut off', async () => {
  for (const answer of await slowRequests)
    expect(answer.match(/HTTP\/1\.1 \d{3} /g)).toEqual(['HTTP/1.1 408 '])
})

test('after all of this the service answers', async () =>
  expect(await party.userOf(cookie)).toBe('alice'))

const SIGN_OUT_FORM = [
  'POST /oauth2/logout HTTP/1.1',
  'Host: app.example.com',
  'Content-Type: application/x-www-form-urlencoded',
] as const

function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  const done = Promise.withResolvers<string>()
  socket
    .on('data', (chunk: Buffer) => chunks.push(chunk))
    .on('error', () => undefined)
    .on('close', () => done.resolve(Buffer.concat(chunks).toString('latin1')))
  return done.promise
}

/** Sends the head of a request, two bytes a second. */
async function sendSlowly(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /auth HTTP/1.1\r\nHost: vestibule\r\nX-Slow: ')
  const drip = setInterval(() => socket.write('x'), 500)
  return readAll(socket).finally(() => clearInterval(drip))
}

/** Sends up to 50 MB behind the head, or until the other side has had enough; returns how many it took. */
async function flood(port: number, first: string): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  const answered = readAll(socket)
  const block = Buffer.alloc(1024 * 1024, 'a')
  socket.write(first)
  for (let megabytes = 0; megabytes < 50 && socket.writable; megabytes += 1) {
    if (!socket.write(block)) {
      await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), wait(200)])
    }
  }

  const takenMb = (socket.bytesWritten - socket.writableLength) / 1024 / 1024
  socket.destroy()
  await answered
  return takenMb
}

function askOnce(port: number, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    request({ host: '127.0.0.1', port, path: '/auth', headers: forwardedNavigation, agent })
      .on('response', (answer) =>
        answer.resume().on('end', () => resolve(String(answer.statusCode))),
      )
      .on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      .end()
  })
}
