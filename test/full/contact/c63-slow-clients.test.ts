import { once } from 'node:events'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { expect, test } from 'vitest'
import { openHttp2 } from '../../support/http2-client.ts'
import { openRawSession } from '../../support/http2-frames.ts'
import { sharedTlsFiles } from '../../support/internal-tls.ts'
import { prepared } from '../../support/prepared.ts'
import { startVestibule } from '../../support/vestibule.ts'

const ADMIN_TOKEN = 'a'.repeat(32)
const vestibule = prepared(async () => {
  const { settings } = await sharedTlsFiles()
  return startVestibule({ ...settings, ADMIN_TOKEN })
})

/** Writes the beginning of a request, then a letter every half a second until the other side closes; returns the answer. */
async function drip(socket: Socket, beginning: string): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined)
  socket.write(beginning, 'latin1')
  const more = setInterval(() => socket.writable && socket.write('a'), 500)
  await once(socket, 'close')
  clearInterval(more)
  return Buffer.concat(chunks).toString('latin1')
}

const HEAD = 'GET /auth HTTP/1.1\r\nHost: v\r\nX-Slow: '
const BODY = `POST /admin/denied-tokens HTTP/1.1\r\nHost: v\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`

// Each waits for a limit of its own, all at the same time.
test.concurrent.for([
  ['a head over plain HTTP', 'publicPort', HEAD],
  ['a head over TLS', 'internalPort', HEAD],
  ['a body over TLS', 'internalPort', BODY],
] as const)('C63: %s that comes slowly is cut off', async ([, key, text]) => {
  const options = { port: vestibule()[key], host: '127.0.0.1', rejectUnauthorized: false }
  const socket = key === 'publicPort' ? connectPlain(options) : connectTls(options)
  expect(await drip(socket, text)).toMatch(/^HTTP\/1\.1 408 /)
})

test.concurrent('C63: a body over HTTP/2 that comes slowly loses its stream, and no other one', async () => {
  await using client = await openHttp2(vestibule().internalPort)
  const { session, ask } = client
  const stream = session.request({
    ':method': 'POST',
    ':path': '/admin/denied-tokens',
    authorization: `Bearer ${ADMIN_TOKEN}`,
    'content-type': 'application/json',
  })
  const more = setInterval(() => stream.write('a'), 500)
  stream.on('error', () => undefined).resume()
  await once(stream, 'close')
  clearInterval(more)
  expect((await ask('/livez')).status).toBe(200)
})

test.concurrent('C63: half a handshake is given up and told, and nobody waits for it', async () => {
  const { internalPort } = vestibule()
  const socket = connectPlain(internalPort, '127.0.0.1')
  socket.on('error', () => undefined).write(Buffer.from([0x16, 3, 1, 2, 0, 1]))
  await using other = await openHttp2(internalPort)
  expect((await other.ask('/livez')).status).toBe(200)
  await once(socket.resume(), 'close')
  const told = () =>
    vestibule()
      .log()
      .find(({ code }) => code === 'handshake')
  await expect.poll(told).toMatchObject({
    event: 'connection_refused',
    cause: 'ERR_TLS_HANDSHAKE_TIMEOUT',
    peer: '127.0.0.1',
    setting: 'INTERNAL_TLS_CERT_FILE',
  })
})

test.concurrent('C63: a client that does not acknowledge our settings loses its connection', async () => {
  await using session = await openRawSession(vestibule().internalPort, false)
  await session.closed
  expect(
    vestibule()
      .log()
      .some(({ cause }) => cause === 'no SETTINGS acknowledgement'),
  ).toBe(true)
})
