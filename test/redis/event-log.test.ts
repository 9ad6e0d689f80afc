import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createBroadcastCodec } from '../../src/events/broadcast-codec.ts'
import { MAX_LOGGED } from '../../src/store/event-log.ts'
import { openExamined, openState, unavailable, until } from '../support/redis-state.ts'
import { redisTest } from '../support/redis-test.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const KEY = 'vestibule:{events}'
const HOUR_MS = 3_600_000
/** Sealed broadcast with as much data and the longest user and host that `POST /admin/broadcast` takes. */
const LONGEST_BROADCAST = createBroadcastCodec(
  createKeyRing([Buffer.alloc(32, 1)]),
  'vestibule:',
).seal({
  broadcast: {
    event: `a${'b'.repeat(31)}`,
    data: 'a'.repeat(4094),
    user: '\x01'.repeat(1024),
    host: `${'a'.repeat(253)}:65535`,
  },
  sentAt: 1_800_000_000_000,
})
const freshRedis = reuseRedis()
const freshTest = redisTest.extend('redis', () => freshRedis())

async function open() {
  const redis = await freshRedis()
  const [a, b] = [openState(redis), openState(redis)]
  await until('backplanes', () => [a, b].every(({ redis }) => redis.isBackplaneHealthy))
  return {
    ...redis,
    log: a.state.eventLog,
    heard: () => b.messages.filter(({ type }) => type === 'broadcast'),
    heardBySender: a.messages,
    addEntry: (id: string, ...fields: readonly string[]) => redis.cli('XADD', KEY, id, ...fields),
    async [Symbol.asyncDispose]() {
      await Promise.all([a, b].map((each) => each[Symbol.asyncDispose]()))
    },
  }
}

test('each entry is published to the other replicas with its identifier and the one before it', async () => {
  await using world = await open()
  const sealed = [randomBytes(5600), Buffer.from('<id>"<previous>"')]
  const appended = []
  for (const each of sealed) appended.push(await world.log.append(each, '0-0'))
  await until('both messages', () => world.heard().length === 2)
  expect(world.heard()).toMatchObject(
    appended.map((each, at) => ({ ...each, sealed: sealed[at]?.toString('base64url') })),
  )
  expect(appended[1]?.previous).toBe(appended[0]?.id)
  expect(world.heardBySender.filter(({ type }) => type === 'broadcast')).toEqual([])
})

test('an entry of more than an hour ago goes with the next one, and the whole after an hour', async () => {
  await using world = await open()
  const now = Date.now()
  for (const ms of [1, now - HOUR_MS - 60_000, now - HOUR_MS + 60_000])
    await world.addEntry(`${ms}-0`, 'e', 'AA')
  const { id } = await world.log.append(Buffer.of(1), '0-0')
  const ids = (await world.log.readAfter('0-0')).map((each) => each.id)
  expect(ids).toEqual([`${now - HOUR_MS + 60_000}-0`, id])
  const leftMs = Number(await world.cli('PTTL', KEY))
  expect(leftMs).toBeGreaterThan(HOUR_MS - 60_000)
  expect(leftMs).toBeLessThanOrEqual(HOUR_MS)
})

test.for([
  ['before the clock', -60_000, false],
  ['within the second of the clock', 500, true],
  ['ahead of the clock', 60_000, true],
] as const)('a floor %s is passed', async ([, aheadMs, isAtFloor]) => {
  await using world = await open()
  const floorMs = Date.now() + aheadMs
  const { id, previous } = await world.log.append(Buffer.of(1), `${floorMs}-3`)
  expect(id === `${floorMs}-4`).toBe(isAtFloor)
  expect(previous).toBe('0-0')
  const next = await world.log.append(Buffer.of(2), '0-0')
  expect(next.previous).toBe(id)
  expect((await world.log.readAfter('0-0')).map((each) => each.id)).toEqual([id, next.id])
})

test('what others wrote there is passed over: another type, field or identifier', async () => {
  await using world = await open()
  await world.cli('SET', KEY, 'text')
  expect(await world.log.readAfter('0-0')).toEqual([])
  const { id } = await world.log.append(Buffer.of(1), '0-0')
  expect(await world.log.readAfter('0-0')).toEqual([{ id, sealed: Buffer.of(1) }])
  await world.addEntry('*', 'field', 'value', 'e', 'AA')
  const last = await world.addEntry('18446744073709551615-1', 'e', 'AA')
  expect(last).toMatch(/^\d{20}-1$/)
  const read = await world.log.readAfter('0-0')
  expect(read).toMatchObject([{ sealed: Buffer.of(1) }, { sealed: Buffer.of() }])
})

test.for([
  '18446744073709551615-18446744073709551615',
  '18446744073709551615-1',
  '1000000000000000-0',
  '1800000000000-1000000000000000',
])('a foreign entry %s keeps no broadcast from being sent and read', async (foreign) => {
  await using world = await open()
  await world.addEntry(foreign, 'e', 'AA')
  const { id, previous } = await world.log.append(Buffer.of(1), '0-0')
  expect(previous).toBe('0-0')
  expect(await world.log.readAfter('0-0')).toEqual([{ id, sealed: Buffer.of(1) }])
  await until('a message', () => world.heard().length > 0)
  expect(world.heard()).toMatchObject([{ id, previous }])
})

test('of many foreign entries only the latest are read, as many as a log can have', async () => {
  await using world = await open()
  const addMany = "for i = 1, 20000 do redis.call('XADD', KEYS[1], '*', 'e', 'AA') end"
  await world.cli('EVAL', addMany, '1', KEY)
  const last = await world.addEntry('*', 'e', 'AA')
  const read = await world.log.readAfter('0-0')
  expect([read.length, read.at(-1)?.id]).toEqual([MAX_LOGGED, last])
  const { id } = await world.log.append(Buffer.of(1), '0-0')
  expect(await world.log.readAfter(last)).toEqual([{ id, sealed: Buffer.of(1) }])
})

test('an oversized foreign entry is not sent to this process, and the longest broadcast is', async () => {
  await using world = await open()
  const addLong = "redis.call('XADD', KEYS[1], '*', 'e', string.rep('A', 8388608))"
  await world.cli('EVAL', addLong, '1', KEY)
  await world.log.append(LONGEST_BROADCAST, '0-0')
  await world.cli('CONFIG', 'RESETSTAT')
  const read = await world.log.readAfter('0-0')
  expect(read.map(({ sealed }) => sealed.length)).toEqual([0, LONGEST_BROADCAST.length])
  const [, bytes] = /total_net_output_bytes:(\d+)/.exec(await world.cli('INFO', 'stats')) ?? []
  expect(Number(bytes)).toBeLessThan(1024 * 1024)
})

test('a full Redis takes no entry, tells nobody, and takes the next one when it has room', async () => {
  await using world = await open()
  await world.cli('CONFIG', 'SET', 'maxmemory', '1')
  await expect(world.log.append(Buffer.of(1), '0-0')).rejects.toMatchObject(unavailable('full'))
  expect(await world.log.readAfter('0-0')).toEqual([])
  await world.cli('CONFIG', 'SET', 'maxmemory', '0')
  await world.log.append(Buffer.of(2), '0-0')
  await until('a message', () => world.heard().length > 0)
  expect(world.heard()).toMatchObject([{ previous: '0-0' }])
})

freshTest(
  'an entry whose answer is lost is there once, and its sender is told',
  async ({ redis, proxy }) => {
    await using observed = await openExamined(proxy)
    const cut = proxy.cutAfterRequest(KEY)
    const appending = observed.state.eventLog.append(Buffer.of(1), '0-0')
    await expect(appending).rejects.toMatchObject(unavailable('connection'))
    await cut
    expect(await redis.cli('XLEN', KEY)).toBe('1')
  },
)

test('the longest log is read in replies of a hundred entries', async () => {
  await using world = await open()
  const sealed = randomBytes(5600)
  await Promise.all(Array.from({ length: MAX_LOGGED + 1 }, () => world.log.append(sealed, '0-0')))
  await world.cli('CONFIG', 'RESETSTAT')
  expect(await world.log.readAfter('0-0')).toHaveLength(MAX_LOGGED)
  const [, calls] =
    /cmdstat_xrevrange:calls=(\d+)/.exec(await world.cli('INFO', 'commandstats')) ?? []
  expect(calls).toBe('10')
})
