import { once } from 'node:events'
import { connect, Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { queryObjects } from 'node:v8'
import { Hono } from 'hono'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createHandshakeQueue } from '../../src/listener/handshake-queue.ts'
import { HANDSHAKES, LEAVING } from '../../src/listener/limits.ts'
import { listen } from '../../src/listener/listen.ts'
import { openHttp2 } from '../support/http2-client.ts'
import { sharedCredentials, sharedTlsFiles } from '../support/internal-tls.ts'
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

describe('C63: a connection whose handshake waits', () => {
  const { together, waiting, lookMs, undisturbedLooks } = HANDSHAKES
  function start(count: number, prepare: (raws: readonly Socket[]) => unknown = () => undefined) {
    const [started, dropped]: [Socket[], Socket[]] = [[], []]
    const { add, end } = createHandshakeQueue(
      (raw) => void started.push(raw),
      (raws) => void dropped.push(...raws),
    )
    const raws = Array.from({ length: count }, () => new Socket())
    prepare(raws)
    raws.forEach(add)
    const placesOf = (some: readonly Socket[]) => some.map((raw) => raws.indexOf(raw))
    return { raws, end, started: () => placesOf(started), dropped: () => placesOf(dropped) }
  }
  afterEach(() => {
    vi.restoreAllMocks()
    vi.useRealTimers()
  })

  test('gives up its place when its client leaves, and an error ends nothing else', () => {
    const { raws, end, started } = start(together + 2)
    raws[together]?.emit('error', new Error('reset'))
    raws[together]?.emit('close')
    end(raws[0] as Socket)
    expect(started().slice(together - 1)).toEqual([together - 1, together + 1])
  })

  test('gives up its place when it is closed, before that is told', () => {
    const { raws, end, started } = start(together + 2)
    raws[together]?.destroy()
    end(raws[0] as Socket)
    expect(started().slice(together)).toEqual([together + 1])
  })

  test('is closed when it has sent more than a ClientHello', () => {
    vi.useFakeTimers()
    const { dropped } = start(together + 2, (raws) =>
      raws.forEach((raw, at) => Object.defineProperty(raw, 'bytesRead', { value: 16_383 + at })),
    )
    vi.advanceTimersByTime(lookMs)
    expect(dropped()).toEqual([together, together + 1])
  })

  test('makes a handshake overdue that began ten looks before, however long a look came late', () => {
    vi.useFakeTimers()
    const { dropped } = start(together + 1)
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000)
    vi.advanceTimersByTime(undisturbedLooks * lookMs)
    expect(dropped()).toEqual([])
    vi.advanceTimersByTime(lookMs)
    expect(dropped()).toEqual([0])
  })

  test('is closed where too many wait, those first that came first', () => {
    vi.useFakeTimers()
    const { dropped } = start(together + waiting + 2)
    vi.advanceTimersByTime(lookMs)
    expect(dropped()).toEqual([together, together + 1])
  })
})

test('C63: more connections are kept than handshakes run together', async () => {
  const open = () => openHttp2(vestibule().internalPort)
  const clients = await Promise.all(Array.from({ length: HANDSHAKES.together + 10 }, open))
  const answers = await Promise.all(clients.map(({ ask }) => ask('/livez')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  for (const { session } of clients) session.destroy()
})

describe('C63: connections in memory', () => {
  const count = () => queryObjects(TLSSocket, { format: 'count' })

  test('are let go of when they were told to end', async () => {
    const credentials = await sharedCredentials()
    const options = { host: '127.0.0.1', port: 0, credentials, maxAgeMs: 1 }
    const listener = await listen(new Hono() as never, options)
    const endOne = async () => once((await openHttp2(listener.port)).session, 'close')
    await Promise.all(Array.from({ length: 20 }, endOne))
    // Sooner than a client that ignores the farewell loses its connection.
    await expect.poll(count, { timeout: LEAVING.withinMs / 2 }).toBe(0)
    await listener.close(0)
  })

  test('are let go of when they are closed', async () => {
    for (let opened = 0; opened < 20; opened += 1) {
      await using client = await openHttp2(vestibule().internalPort)
      await client.ask('/livez')
    }
    await expect.poll(count).toBe(0)
  })
})
