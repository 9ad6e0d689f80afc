import { connect, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { ADMIN_TOKEN } from '../support/operator.ts'
import { prepared } from '../support/prepared.ts'
import { readCounter } from '../support/refusal.ts'
import { startVestibule } from '../support/vestibule.ts'
import { FORWARDED_LINES, sendLines } from '../support/wire-requests.ts'

function startHere() {
  return startVestibule({ ADMIN_TOKEN, LOG_LEVEL: 'debug' })
}

const FORM = 'Content-Type: application/x-www-form-urlencoded'
const ENDPOINTS = [
  ['publicPort', 'POST /oauth2/logout', [FORM]],
  ['publicPort', 'POST /oauth2/backchannel-logout', [FORM]],
  [
    'internalPort',
    'POST /admin/denied-tokens',
    ['Content-Type: application/json', `Authorization: Bearer ${ADMIN_TOKEN}`],
  ],
] as const
const BODIES = [
  ['Content-Length: 1000', 'a=1'],
  ['Transfer-Encoding: chunked', 'a\r\n0123'],
] as const
const WAYS: Readonly<Record<string, (socket: Socket) => unknown>> = {
  'closes its half': (socket) => socket.end(),
  'closes the connection': (socket) => socket.destroy(),
  'resets the connection': (socket) => socket.resetAndDestroy(),
  'sends what is no chunk': (socket) => socket.write('456789\r\nzz\r\n'),
}

/** Sends a request whose body is not complete. */
function begin(port: number, lines: readonly string[]): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined)
  return new Promise((resolve) => {
    socket.resume().write(lines.join('\r\n'), () => resolve(socket))
  })
}

const rows = BODIES.flatMap(([framing, body]) =>
  Object.keys(WAYS)
    .filter((way) => framing.startsWith('T') || !way.includes('chunk'))
    .map((way) => [way, framing, body] as const),
)

// Each endpoint has a service of its own, because more than ten lines a second are left out.
describe.for(ENDPOINTS)('C46: a client of %s at %s', ([port, line, headers]) => {
  const vestibule = prepared(startHere)

  test.for(rows)('that %s after %s is a debug line', async ([way, framing, body]) => {
    const lines = [`${line} HTTP/1.1`, 'Host: app.example.com', ...headers, framing, '', body]
    const before = vestibule().log().length
    const socket = await begin(vestibule()[port], lines)
    // The head has been read by the time that a later connection is answered.
    await sendLines(vestibule()[port], 'GET / HTTP/1.1', 'Host: app.example.com')
    WAYS[way]?.(socket)
    const said = () =>
      vestibule()
        .log()
        .slice(before)
        .filter(({ event }) => event !== 'provider_discovery_failed')
    await expect.poll(said).not.toEqual([])
    socket.destroy()
    expect(said()).toMatchObject([{ level: 'debug', event: 'client_left' }])
  })
})

test('C46: a check whose client leaves in the middle of a body is counted as answered', async () => {
  await using vestibule = await startHere()
  const count = () => readCounter(vestibule, 'checks')
  await vestibule.check()
  const before = await count()
  const lines = ['POST /auth HTTP/1.1', 'Host: a', ...FORWARDED_LINES, 'Content-Length: 9', '', 'a']
  const socket = await begin(vestibule.internalPort, lines)
  socket.resetAndDestroy()
  await expect.poll(count).toBeGreaterThan(before)
  const { body } = await vestibule.internal('/metrics')
  expect(body).not.toMatch(/vestibule_checks_total\{outcome="unavailable".* [1-9]/)
  expect(vestibule.log().filter(({ level }) => level === 'error')).toEqual([])
})

test('C46: a check whose client has left before it is read is no refusal, because no peer is known', async () => {
  await using vestibule = await startHere()
  const head = ['GET /auth HTTP/1.1', 'Host: a', ...FORWARDED_LINES, '', ''].join('\r\n')
  const said = () => vestibule.log().map(({ event }) => event)
  // Whether the reset or the reading comes first is up to the kernel.
  await expect
    .poll(() => {
      const socket = connect(vestibule.internalPort, '127.0.0.1').on('error', () => undefined)
      socket.on('connect', () => {
        socket.write(head)
        socket.resetAndDestroy()
      })
      return said()
    })
    .toContain('client_left')
  expect(said()).not.toContain('refused')
})

test('C46: clients that leave before or while they are answered cause no error', async () => {
  await using vestibule = await startHere()
  const requests = [
    ['publicPort', 'GET /oauth2/logout', []],
    ['publicPort', 'GET /oauth2/login', []],
    ['publicPort', 'POST /oauth2/logout', [FORM, 'Content-Length: 3', '', 'a=1']],
    ['internalPort', 'GET /auth', FORWARDED_LINES],
    ['internalPort', 'GET /metrics', []],
    ['internalPort', 'GET /admin/sessions', [`Authorization: Bearer ${ADMIN_TOKEN}`]],
  ] as const
  for (const [port, line, lines] of requests) {
    const head = [`${line} HTTP/1.1`, 'Host: app.example.com', ...lines, '', '']
    for (const leave of Object.values(WAYS).slice(0, 3)) leave(await begin(vestibule[port], head))
    await sendLines(vestibule[port], 'GET / HTTP/1.1', 'Host: app.example.com')
  }
  expect(vestibule.log().filter(({ level }) => level === 'error')).toEqual([])
})
