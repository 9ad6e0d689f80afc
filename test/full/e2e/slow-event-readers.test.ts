import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { type EventClient, openEvents, publicOrigin } from '../../support/event-client.ts'
import { makeSessions } from '../../support/made-sessions.ts'
import { ADMIN_TOKEN, askAdmin } from '../../support/operator.ts'
import { readMetric, untilMetric } from '../../support/outage.ts'
import { print, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, HYBRID, startReplicas } from '../../support/replicas.ts'
import { COLLECTING, settledMemory } from '../../support/resident.ts'

const OPEN = 'vestibule_event_streams'
const SLOW = 'vestibule_event_streams_closed_total{reason="slow"}'
const SESSIONS = 100
/** Broadcasts that the log of an hour holds at most, and the size of their data at most. */
const LOGGED = 1000
const DATA_BYTES = 4096
/** Live events, of which systems keep some megabytes for a reader before they tell the service that it does not read. */
const MOST_LIVE = 4000
const MIB = 1024 * 1024
const KIB = 1024
const STORM = 10_000
const TOGETHER = 50
const timeout = 600_000

const sockets: Socket[] = []

describeWithRedis('event streams of slow and restless readers', () => {
  const world = prepared(async () => {
    await using stack = new AsyncDisposableStack()
    const settings = { ...HYBRID, ADMIN_TOKEN, NODE_OPTIONS: COLLECTING }
    const replicas = stack.use(await startReplicas({ settings }))
    const people = await makeSessions(replicas.redis, SESSIONS)
    const cookies = people.map(({ cookie }) => cookie)
    const kept = stack.move()
    return { ...replicas, cookies, [Symbol.asyncDispose]: () => kept.disposeAsync() }
  })

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await untilMetric(world().first, OPEN, 0)
  })

  test.for([
    ['never read', 0],
    ['read a byte a second', 1],
  ] as const)(
    'readers that %s are closed as slow, and others hear everything',
    { timeout },
    async ([, bytesPerSecond]) => {
      const { first, cookies } = world()
      const slowBefore = await readMetric(first, SLOW)
      const [cookie, ...others] = cookies.slice(0, 11)
      using reader = await openEvents({ origin: publicOrigin(first), cookie })
      const before = await settledMemory(first)
      for (const other of others) await openUnread(other, bytesPerSecond)
      const areClosed = async () => (await readMetric(first, SLOW)) - slowBefore === others.length
      let sent = 0
      let peak = 0
      while (!(await areClosed()) && sent < MOST_LIVE) {
        for (let more = 0; more < 100; more += 1) await broadcast(sent++)
        peak = Math.max(peak, await readMetric(first, 'vestibule_nodejs_external_memory_bytes'))
      }
      print(`closed as slow by ${sent} broadcasts of 4 KiB`)
      expect(await areClosed()).toBe(true)
      expect(await readMetric(first, OPEN)).toBe(1)
      await until('all broadcasts', () => reader.events.length >= sent)
      expectAllOnce(reader, sent)
      const after = await settledMemory(first)
      // The mirror of the log holds a thousand of them, sealed and as sent.
      expect((after.heap - before.heap) / MIB).toBeLessThan(24)
      expect(peak / MIB).toBeLessThan(64)
    },
  )

  test('a replay of an hour is paced by those who read it, and kept for nobody', {
    timeout,
  }, async () => {
    const { first, cookies } = world()
    await fillLog()
    const slowBefore = await readMetric(first, SLOW)
    const before = await settledMemory(first)
    for (const cookie of cookies) await openUnread(cookie, 0, ['Last-Event-ID: 0-0'])
    await untilMetric(first, OPEN, SESSIONS)
    const after = await settledMemory(first)
    const grownKib = (after.resident - before.resident) / SESSIONS / KIB
    print(
      `a replay of ${LOGGED} broadcasts that is not read: ${grownKib.toFixed(0)} KiB resident each`,
    )
    expect(grownKib).toBeLessThan(512)
    expect(await readMetric(first, SLOW)).toBe(slowBefore)
  })

  test('a reader that rests within a replay gets all of it, and what came meanwhile, once', {
    timeout,
  }, async () => {
    const { first, cookies } = world()
    await fillLog()
    const origin = publicOrigin(first)
    using reader = await openEvents({
      origin,
      cookie: cookies[0],
      headers: { 'Last-Event-ID': '0-0' },
    })
    reader.pause()
    using heard = await openEvents({ origin, cookie: cookies[1] })
    for (let count = 0; count < 10; count += 1) await broadcast('meanwhile')
    await until('what came meanwhile', () => heard.events.length === 10)
    reader.resume()
    const last = heard.events.at(-1)?.id
    // It rests while live events come where the system has kept the whole log for it, and may then be closed as slow.
    await until('the whole log', () => reader.lastEventId() === last || !reader.isOpen())
    const headers = { 'Last-Event-ID': reader.lastEventId() }
    using rest = await openEvents({ origin, cookie: cookies[0], headers })
    const ids = () => [...reader.events, ...rest.events].map(({ id }) => id)
    await until('the rest', () => ids().at(-1) === last)
    expect(new Set(ids()).size).toBe(ids().length)
    expect(ids().length).toBeGreaterThanOrEqual(LOGGED)
    expect(ids().slice(-10)).toEqual(heard.events.map(({ id }) => id))
  })

  test(`${STORM} streams that are opened and reset leave no stream and no memory`, {
    timeout,
  }, async () => {
    const { first } = world()
    await storm(STORM / 10)
    await untilMetric(first, OPEN, 0)
    const before = await settledMemory(first)
    await storm(STORM)
    await untilMetric(first, OPEN, 0)
    const after = await settledMemory(first)
    print(`${STORM} resets: ${((after.heap - before.heap) / KIB).toFixed(0)} KiB of heap`)
    expect(after.heap - before.heap).toBeLessThan(MIB + 30 * STORM)
    expect((after.resident - before.resident) / MIB).toBeLessThan(32)
  })

  function headOf(cookie: string, lines: readonly string[] = []): string {
    const head = ['GET /oauth2/events HTTP/1.1', 'Host: app.example.com', `Cookie: ${cookie}`]
    return [...head, ...lines, '', ''].join('\r\n')
  }

  /** Opens a stream of which so many bytes a second are read. */
  async function openUnread(cookie: string, bytesPerSecond: number, lines?: readonly string[]) {
    const socket = connect({ port: world().first.publicPort, host: '127.0.0.1' })
    sockets.push(socket.on('error', () => undefined).pause())
    socket.write(headOf(cookie, lines))
    await once(socket, 'readable')
    if (bytesPerSecond === 0) return
    const timer = setInterval(() => void socket.read(bytesPerSecond), 1000)
    socket.on('close', () => clearInterval(timer))
  }

  async function broadcast(data: unknown): Promise<void> {
    const filler = 'x'.repeat(DATA_BYTES - 64)
    const sent = { event: 'notice', data: { data, filler } }
    expect((await askAdmin(world().first, 'POST', 'broadcast', sent)).status).toBe(202)
  }

  async function fillLog(): Promise<void> {
    for (let at = 0; at < LOGGED; at += TOGETHER)
      await Promise.all(Array.from({ length: TOGETHER }, (_, of) => broadcast(at + of)))
  }

  async function storm(count: number): Promise<void> {
    const { first, cookies } = world()
    async function one(at: number): Promise<void> {
      const socket = connect({ port: first.publicPort, host: '127.0.0.1' })
      // Some ask several times at once, and most are gone before they are answered.
      const head = headOf(String(cookies[at % SESSIONS])).repeat(1 + (at % 2))
      socket.on('error', () => undefined).write(head)
      await once(socket, at % 3 === 0 ? 'data' : 'connect').catch(() => undefined)
      socket.resetAndDestroy()
    }
    for (let at = 0; at < count; at += TOGETHER)
      await Promise.all(Array.from({ length: TOGETHER }, (_, of) => one(at + of)))
  }
})

function expectAllOnce(reader: EventClient, count: number): void {
  const numbers = reader.events.map(({ data }) => (JSON.parse(data) as { data: number }).data)
  expect(numbers).toEqual(Array.from({ length: count }, (_, at) => at))
}
