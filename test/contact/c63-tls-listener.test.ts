import { once } from 'node:events'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPlainServer, type ServerReports } from '../../src/listener/limited-server.ts'
import { LIMITS, MAX_CONNECTIONS } from '../../src/listener/limits.ts'
import { type Listener, listen } from '../../src/listener/listen.ts'
import { createTlsServer } from '../../src/listener/tls-server.ts'
import { type Certificate, createAuthority } from '../../stand-ins/certificates.ts'
import { openHttp2 } from '../support/http2-client.ts'
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  openRawSession,
  repeated,
  requestBlock,
} from '../support/http2-frames.ts'
import { makeTlsFiles, sharedCredentials, sharedTlsFiles } from '../support/internal-tls.ts'
import { countEvents } from '../support/outage.ts'
import { prepared } from '../support/prepared.ts'
import { useParty } from '../support/used-party.ts'
import { startVestibule } from '../support/vestibule.ts'
import { FORWARDED } from '../support/wire-requests.ts'
import { words } from '../support/words.ts'

const PROTOCOLS = ['plain', 'TLS'] as const
type Protocol = (typeof PROTOCOLS)[number]

/** Sends text over HTTP/1.1 and reads until the other side closes. */
async function speak(protocol: Protocol, port: number, text: string): Promise<string> {
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false }
  const socket: Socket = protocol === 'plain' ? connectPlain(options) : connectTls(options)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined)
  socket.write(text, 'latin1')
  await once(socket, 'close')
  return Buffer.concat(chunks).toString('latin1')
}

const HEAD = 'GET /auth HTTP/1.1\r\nHost: v\r\n'

describe.for(PROTOCOLS)('C63: the limits of HTTP/1.1 hold over %s', (protocol) => {
  let listener: Listener

  beforeAll(async () => {
    const app = new Hono().all('/auth', () => new Response('fine'))
    const tls = protocol === 'TLS' ? { credentials: await sharedCredentials() } : {}
    listener = await listen(app as never, { host: '127.0.0.1', port: 0, ...tls })
  })
  afterAll(() => listener.close(0))

  test('the server has every limit', async () => {
    const reports: ServerReports = { onUnwritten: () => undefined, onRefused: () => undefined }
    const made =
      protocol === 'plain'
        ? createPlainServer(() => undefined, reports)
        : createTlsServer(() => undefined, reports, await sharedCredentials())
    // Node keeps this one under a symbol.
    const { optimizeEmptyRequests, ...named } = LIMITS
    expect(made.server).toMatchObject({ ...named, maxConnections: MAX_CONNECTIONS })
    const symbol = Object.getOwnPropertySymbols(made.server).find(
      ({ description = '' }) => description === 'OptimizeEmptyRequestsOption',
    )
    expect(symbol && Reflect.get(made.server, symbol)).toBe(optimizeEmptyRequests)
    made.server.emit('close')
  })

  test.for([
    ['a head that is too large', 431, `${HEAD}X-A: ${'a'.repeat(70_000)}\r\n\r\n`],
    ['a malformed head', 400, 'GET /auth HTTP/1.1\r\nHost : v\r\n\r\n'],
    ['no Host', 400, 'GET /auth HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['a foreign expectation', 417, `${HEAD}Expect: foo\r\n\r\n`],
    ['two lengths', 400, `${HEAD}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd`],
  ] as const)('%s is %i with no-store', async ([, status, text]) => {
    const answer = await speak(protocol, listener.port, text)
    expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, each]) => Number(each))).toEqual([
      status,
    ])
    expect(answer.toLowerCase()).toContain('cache-control: no-store')
  })

  test('an idle connection is kept for longer than Go keeps it', async () => {
    const last = `${HEAD}Connection: close\r\n\r\n`
    const answer = await speak(protocol, listener.port, `${HEAD}\r\n${last}`)
    expect(answer).toMatch(/keep-alive: timeout=95/i)
  })

  test('a long body closes its connection after the answer', async () => {
    const long = `${HEAD}Content-Length: 40000\r\n\r\n${'a'.repeat(40_000)}`
    expect(await speak(protocol, listener.port, long)).toMatch(
      /^HTTP\/1\.1 200 .*connection: close/is,
    )
  })
})

const COOKIES = ['a=1; __Host-vestibule=v1.a.b', 'b=2']

/** Names and values in turn, by what is odd about them; the other protocol has to answer the same. */
const ASKED: readonly (readonly [string, readonly string[]])[] = [
  ['nothing', []],
  ['a page', ['Accept', 'text/html']],
  ['a script', ['Sec-Fetch-Mode', 'cors']],
  ['a public path', ['X-Forwarded-Uri', '/public/a']],
  ...words`X-Forwarded-Host X-Forwarded-Uri X-Forwarded-Proto Authorization Origin`.map(
    (name) => [`${name} twice`, [name, 'a', name, 'b']] as const,
  ),
  ...words`X_Auth_Request_User x.forwarded.host X-HTTP-Method-Override X-Auth-Request-User`.map(
    (name) => [`${name} of the client`, [name, 'a']] as const,
  ),
  ['cookies in two fields', COOKIES.flatMap((cookie) => ['Cookie', cookie])],
  ['our cookie twice in one field', ['Cookie', '__Host-vestibule=a; __Host-vestibule=b']],
  ['our cookie in two fields', ['Cookie', '__Host-vestibule=a', 'Cookie', '__Host-vestibule=b']],
  ['bytes beyond ASCII', ['X-Forwarded-Uri', '/caf\u00c3\u00a9', 'Cookie', 'a=\u00e9']],
  ['a body', ['Content-Length', '0']],
]

/** The forwarded request with these headers instead of its own. */
function headersWith(changes: readonly string[]): readonly string[] {
  const names = new Set(changes.filter((_, at) => at % 2 === 0).map((each) => each.toLowerCase()))
  const kept = Object.entries(FORWARDED).filter(([name]) => !names.has(name.toLowerCase()))
  return ['X-Request-Id', 'one-for-all', ...kept.flat(), ...changes]
}

/** Headers that belong to a connection over HTTP/1.1. */
const HOP = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length'])

describe('C63: HTTP/2 answers what HTTP/1.1 answers', () => {
  const plain = useParty({ PUBLIC_PATHS: '/public/**' })
  const secure = useParty({ PUBLIC_PATHS: '/public/**' }, {}, undefined, async (settings) =>
    startVestibule({ ...settings, ...(await sharedTlsFiles()).settings }),
  )
  const described = (status: number, headers: object, body: string) => ({
    status,
    body,
    headers: Object.fromEntries(
      Object.entries(headers).filter(([name]) => !name.startsWith(':') && !HOP.has(name)),
    ),
  })

  test.for(ASKED)('to a check with %s', async ([, changes]) => {
    const lines = headersWith(changes)
    const text = lines.flatMap((name, at) =>
      at % 2 ? [] : [`${name.toLowerCase()}: ${lines[at + 1]}\r\n`],
    )
    const last = `${HEAD}${text.join('')}Connection: close\r\n\r\n`
    const answer = await speak('plain', plain.vestibule.internalPort, last)
    const [head = '', sent = ''] = answer.split(/\r\n\r\n(.*)/s)
    const body = /^transfer-encoding/im.test(head) ? sent.replace('0\r\n\r\n', '') : sent
    const fields = head
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(/: (.*)/s))
    const headers = Object.fromEntries(
      fields.map(([name = '', value]) => [name.toLowerCase(), value]),
    )
    await using client = await openHttp2(secure.vestibule.internalPort)
    const got = await client.ask('/auth', lines)
    const setCookie = got.headers['set-cookie']?.at(-1)
    const flat = { ...got.headers, ...(setCookie !== undefined && { 'set-cookie': setCookie }) }
    expect(described(got.status, flat, got.body)).toEqual(
      described(Number(head.slice(9, 12)), headers, body),
    )
  })

  test.for([1, 1200])(
    'a signed-in person passes by %i cookies in fields of their own, as Go sends them',
    async (count) => {
      const cookie = await secure.vestibule.signIn('alice')
      await using client = await openHttp2(secure.vestibule.internalPort)
      const others = Array.from({ length: count }, (_, at) => `c${at}=1`)
      const fields = [...others, ...cookie.split('; '), 'b=2'].flatMap((each) => ['cookie', each])
      const { status, headers } = await client.ask('/auth', headersWith(fields))
      expect([status, headers['x-auth-request-user'], headers['cookie']]).toEqual([
        200,
        'alice',
        [...others, 'b=2'].join('; '),
      ])
    },
  )

  test('many checks share one connection, and each is counted', async () => {
    await using client = await openHttp2(secure.vestibule.internalPort)
    const asked = Array.from({ length: 200 }, () => client.ask('/auth', headersWith([])))
    expect(new Set((await Promise.all(asked)).map(({ status }) => status))).toEqual(new Set([401]))
    const { body } = await client.ask('/metrics')
    const [, count] = /checks_total\{outcome="unauthenticated".*\} (\d+)/.exec(body) ?? []
    expect(Number(count)).toBeGreaterThanOrEqual(200)
    expect(body).toMatch(/^vestibule_internal_tls_certificate_not_after_seconds 1\.?\d+/m)
  })

  test('a peer that is not trusted is refused, and named', async () => {
    const { settings } = await sharedTlsFiles()
    await using vestibule = await startVestibule({ ...settings, TRUSTED_PROXIES: '192.0.2.0/24' })
    expect((await vestibule.check()).status).toBe(403)
    const line = vestibule.log().find(({ event }) => event === 'refused')
    expect(line).toMatchObject({ code: 'untrusted_peer', peer: '127.0.0.1' })
  })
})

describe('C63: bad input costs its client its connection, is told once and harms nobody else', () => {
  const secure = useParty({}, {}, undefined, async (settings) =>
    startVestibule({ ...settings, ...(await sharedTlsFiles()).settings }),
  )
  const plain = useParty()
  const client = { ALPNProtocols: ['h2'], rejectUnauthorized: false, host: '127.0.0.1' }

  test.for([
    ['HTTP to TLS', 'plain_to_tls', 'GET /auth HTTP/1.1\r\nHost: v\r\n\r\n', /^HTTP\/1\.1 400/],
    ['a DELETE to TLS', 'plain_to_tls', 'DELETE / HTTP/1.1\r\nHost: v\r\n\r\n', /^HTTP\/1\.1 400/],
    [
      'HTTP/2 without TLS to TLS',
      'plain_to_tls',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      /^HTTP\/1\.1/,
    ],
    ['a broken handshake', 'handshake', '\x16\x03\x01\x00\x05hello', /./s],
  ] as const)('%s', async ([, code, text, expected]) => {
    const { internalPort } = secure.vestibule
    const before = countEvents(secure.vestibule, 'connection_refused')
    await using other = await openHttp2(internalPort)
    const answer = await speak('plain', internalPort, text)
    expect(answer).toMatch(expected)
    await expect.poll(() => countEvents(secure.vestibule, 'connection_refused')).toBe(before + 1)
    const line = secure.vestibule.log().findLast(({ event }) => event === 'connection_refused')
    const setting = 'INTERNAL_TLS_CERT_FILE'
    expect(line).toMatchObject({ code, peer: '127.0.0.1', listener: 'INTERNAL_PORT', setting })
    expect((await other.ask('/livez')).status).toBe(200)
  })

  test.for([
    ['TLS', 'tls_to_plain', 'INTERNAL_PORT', 'INTERNAL_TLS_CERT_FILE'],
    ['TLS', 'tls_to_plain', 'PORT', 'PORT'],
    ['HTTP/2', 'http2_to_plain', 'INTERNAL_PORT', 'INTERNAL_TLS_CERT_FILE'],
    ['HTTP/2', 'http2_to_plain', 'PORT', 'PORT'],
  ] as const)('%s to a plain port is %s at %s', async ([what, code, listener, setting]) => {
    const { internalPort, publicPort } = plain.vestibule
    const port = listener === 'PORT' ? publicPort : internalPort
    if (what === 'TLS') await once(connectTls({ ...client, port }), 'error')
    else await speak('plain', port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')
    const told = () =>
      plain.vestibule.log().filter((line) => line['code'] === code && line['listener'] === listener)
    await expect.poll(() => told().length).toBe(1)
    expect(told()[0]).toMatchObject({ peer: '127.0.0.1', setting })
    expect((await plain.check()).status).toBe(302)
  })

  test('a connection that ends without a word is a probe, and not told', async () => {
    const { internalPort } = secure.vestibule
    const before = countEvents(secure.vestibule, 'connection_refused')
    const socket = connectPlain(internalPort, '127.0.0.1', () => socket.end())
    await once(socket.resume(), 'close')
    expect((await secure.check()).status).toBe(302)
    expect(countEvents(secure.vestibule, 'connection_refused')).toBe(before)
  })

  test('CONNECT is refused with no-store', async () => {
    await using http2 = await openHttp2(secure.vestibule.internalPort)
    const stream = http2.session.request({ ':method': 'CONNECT', ':authority': 'v' })
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    expect(headers).toMatchObject({ ':status': 405, 'cache-control': 'no-store' })
    expect((await secure.check()).status).toBe(302)
  })
})

describe('C63: client certificates', () => {
  const ADMIN_TOKEN = 'a'.repeat(32)
  const started = prepared(async () => {
    const files = await makeTlsFiles()
    const vestibule = await startVestibule({ ...files.mutual, ADMIN_TOKEN })
    const [TRAEFIK, OTHER] = [['traefik'], createAuthority()] as const
    const certificates: Readonly<Record<string, Certificate | undefined>> = {
      good: await files.authority.issue(TRAEFIK),
      none: undefined,
      strange: await (await OTHER).issue(TRAEFIK),
      expired: await files.authority.issue(TRAEFIK, -1000),
    }
    return {
      vestibule,
      openWith: (kind: string) => {
        const certificate = certificates[kind]
        return openHttp2(vestibule.internalPort, certificate && files.clientWith(certificate))
      },
      [Symbol.asyncDispose]: async () => {
        await vestibule.stop()
        files[Symbol.dispose]()
      },
    }
  })

  test.for([
    ['good', undefined],
    ['none', 'none was presented'],
    ['strange', 'it is not signed by an authority of INTERNAL_TLS_CLIENT_CA_FILE'],
    ['expired', 'it has expired'],
  ] as const)(
    '%s: checks, metrics and operators need one, probes do not',
    async ([kind, fault]) => {
      const { openWith, vestibule } = started()
      const before = vestibule.log().length
      await using client = await openWith(kind)
      const open = words`/livez /readyz /startupz /health`
      // Three of each kind, because ten lines a second are written.
      const closed = words`/auth /metrics /admin/sessions`
      for (const path of [...open, ...closed]) {
        const { status, headers } = await client.ask(path, Object.entries(FORWARDED).flat())
        const isRefused = fault !== undefined && closed.includes(path)
        expect([path, status === 403]).toEqual([path, isRefused])
        if (isRefused) expect(headers['cache-control']).toBe('no-store')
      }
      const lines = vestibule
        .log()
        .slice(before)
        .filter(({ event }) => event === 'refused')
      expect(lines.length > 0).toBe(fault !== undefined)
      for (const line of lines) {
        expect(line).toMatchObject({
          code: 'client_certificate',
          reason: `the client certificate is refused: ${fault}`,
          peer: '127.0.0.1',
          setting: 'INTERNAL_TLS_CLIENT_CA_FILE',
        })
      }
    },
  )

  test.for(['TLSv1.2', 'TLSv1.3'] as const)('no session of %s is resumed', async (maxVersion) => {
    using files = await makeTlsFiles()
    await using vestibule = await startVestibule(files.mutual)
    const good = files.clientWith(await files.authority.issue(['traefik']))
    const asked = `GET /metrics HTTP/1.1\r\nHost: v\r\nConnection: close\r\n\r\n`
    const ask = async (session: Buffer | undefined, certificate: object) => {
      const options = { port: vestibule.internalPort, host: '127.0.0.1', maxVersion }
      const socket = connectTls({
        ...options,
        ...certificate,
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
        ...(session && { session }),
      })
      let text = ''
      let next: Buffer | undefined
      socket.on('session', (given: Buffer) => {
        next = given
      })
      await once(socket, 'secureConnect')
      const isReused = socket.isSessionReused()
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      socket.write(asked)
      await once(socket, 'close')
      return { status: text.slice(9, 12), isReused, session: next ?? socket.getSession() }
    }
    const first = await ask(undefined, good)
    expect(first.status).toBe('200')
    expect(await ask(first.session, {})).toMatchObject({ status: '403', isReused: false })
    const anonymous = await ask(undefined, {})
    expect(await ask(anonymous.session, {})).toMatchObject({ status: '403', isReused: false })
  })
})

/** Listener whose checks wait until they are released. */
async function startHeld(maxAgeMs?: number) {
  const held = Promise.withResolvers<void>()
  const app = new Hono().get('/auth', async () => {
    await held.promise
    return new Response('done')
  })
  const listener = await listen(app as never, {
    host: '127.0.0.1',
    port: 0,
    credentials: await sharedCredentials(),
    ...(maxAgeMs !== undefined && { maxAgeMs }),
  })
  return { listener, release: held.resolve }
}

const request = (id: number) => frame(FRAME.headers, END_HEADERS | END_STREAM, id, requestBlock())
const isGoaway = ({ type }: { type: number }) => type === FRAME.goaway
const CANCEL = Buffer.from([0, 0, 0, 8])

describe('C63: a listener that drains', () => {
  test('answers streams under way, says goodbye to each connection and ends with them', async () => {
    const { listener, release } = await startHeld()
    await using idle = await openRawSession(listener.port)
    await using busy = await openRawSession(listener.port)
    await busy.send(request(1))
    await expect.poll(() => busy.frames().length).toBeGreaterThan(1)
    await idle.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))
    await expect.poll(() => idle.frames().some(({ type }) => type === FRAME.ping)).toBe(true)
    listener.startDraining()
    await expect.poll(() => [idle, busy].every((each) => each.frames().some(isGoaway))).toBe(true)
    const goaway = busy.frames().find(isGoaway)
    expect([goaway?.payload.readUInt32BE(0), goaway?.payload.readUInt32BE(4)]).toEqual([1, 0])
    await idle.closed
    await using late = await openRawSession(listener.port)
    await late.send(request(1))
    await expect.poll(() => late.frames().some(isGoaway)).toBe(true)
    const closed = listener.close(60_000)
    release()
    await busy.closed
    expect(busy.frames().some(({ type, stream }) => type === FRAME.data && stream === 1)).toBe(true)
    await late.closed
    await closed
  })
})

describe('C63: an HTTP/2 connection ends with its streams under way', () => {
  const withReset = (id: number) => Buffer.concat([request(id), frame(FRAME.reset, 0, id, CANCEL)])
  const padding = Array.from({ length: 66 }, (_, at) => [`x-${at}`, 'p'.repeat(1000)] as const)
  const tooLarge = (id: number) => {
    const bytes = requestBlock('/auth', padding)
    const rest = [1, 2, 3, 4].map((at) =>
      frame(
        FRAME.continuation,
        at === 4 ? END_HEADERS : 0,
        id,
        bytes.subarray(at * 16_000, (at + 1) * 16_000),
      ),
    )
    return Buffer.concat([frame(FRAME.headers, END_STREAM, id, bytes.subarray(0, 16_000)), ...rest])
  }

  test.for([
    ['before it is older than it may be', 50, 0, request],
    ['when its client resets more streams than visitors leave', undefined, 6000, withReset],
    ['when its client sends too large headers again and again', undefined, 100, tooLarge],
  ] as const)('%s', async ([, maxAgeMs, count, further]) => {
    const { listener, release } = await startHeld(maxAgeMs)
    await using session = await openRawSession(listener.port)
    await session.send(request(1))
    for (let at = 0; at < count; at += 100) {
      await session.send(repeated(100, (each) => further(3 + 2 * (at + each))))
    }
    await expect.poll(() => session.frames().some(isGoaway), { timeout: 5000 }).toBe(true)
    expect(session.frames().find(isGoaway)?.payload.readUInt32BE(4)).toBe(0)
    release()
    await session.closed
    const isAnswer = ({ type, stream }: { type: number; stream: number }) =>
      type === FRAME.data && stream === 1
    expect(session.frames().some(isAnswer)).toBe(true)
    await listener.close(0)
  })

  test('and does not before, when a thousand visitors leave at once', async () => {
    const { listener, release } = await startHeld()
    await using session = await openRawSession(listener.port)
    await session.send(request(1))
    await session.send(repeated(1000, (at) => withReset(3 + 2 * at)))
    await session.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))
    await expect.poll(() => session.frames().some(({ type }) => type === FRAME.ping)).toBe(true)
    release()
    await expect.poll(() => session.frames().some(({ type }) => type === FRAME.data)).toBe(true)
    expect(session.frames().some(isGoaway)).toBe(false)
    await listener.close(0)
  })
})
