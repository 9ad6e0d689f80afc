import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { queryObjects } from 'node:v8'
import { expect, test } from 'vitest'
import { HANDSHAKES } from '../../src/listener/limits.ts'
import { openHttp2 } from '../support/http2-client.ts'
import { sharedTlsFiles } from '../support/internal-tls.ts'
import { prepared } from '../support/prepared.ts'
import { startVestibule } from '../support/vestibule.ts'

const vestibule = prepared(async () => startVestibule((await sharedTlsFiles()).settings))

/** First bytes of a ClientHello that does not go on. */
const HALF_A_HELLO = Buffer.from('16030100c8010000c40303', 'hex')

async function openHalf(): Promise<Socket> {
  const socket = connect(vestibule().internalPort, '127.0.0.1')
  socket.on('error', () => undefined).resume()
  await once(socket, 'connect')
  socket.write(HALF_A_HELLO)
  return socket
}

test('C63: more half handshakes than run together keep nobody from a new connection, and are told in a line', async () => {
  const { internalPort, log } = vestibule()
  await using open = await openHttp2(internalPort)
  const halves = await Promise.all(Array.from({ length: 2 * HANDSHAKES.together }, openHalf))
  expect((await open.ask('/livez')).status).toBe(200)
  await using late = await openHttp2(internalPort)
  expect((await late.ask('/livez')).status).toBe(200)
  const told = () => log().find(({ code }) => code === 'handshakes')
  await expect.poll(told).toMatchObject({ event: 'connection_refused', peer: '127.0.0.1' })
  expect(told()?.['count']).toBeLessThanOrEqual(HANDSHAKES.together)
  expect(halves.some(({ closed }) => !closed)).toBe(true)
  for (const each of halves) each.destroy()
})

test('C63: a client that leaves while its handshake waits gives up its place', async () => {
  const { internalPort } = vestibule()
  const halves = await Promise.all(Array.from({ length: HANDSHAKES.together }, openHalf))
  const leaving = await Promise.all(Array.from({ length: 50 }, openHalf))
  for (const each of [...leaving, ...halves]) each.resetAndDestroy()
  await using late = await openHttp2(internalPort)
  expect((await late.ask('/livez')).status).toBe(200)
})

test('C63: more connections are kept than handshakes run together', async () => {
  const open = () => openHttp2(vestibule().internalPort)
  const clients = await Promise.all(Array.from({ length: HANDSHAKES.together + 10 }, open))
  const answers = await Promise.all(clients.map(({ ask }) => ask('/livez')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  for (const { session } of clients) session.destroy()
})

test('C63: connections that are closed leave nothing in memory', async () => {
  const count = () => queryObjects(TLSSocket, { format: 'count' })
  for (let opened = 0; opened < 20; opened += 1) {
    await using client = await openHttp2(vestibule().internalPort)
    await client.ask('/livez')
  }
  await expect.poll(count).toBe(0)
})
