import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { MAX_LOGGED } from '../../src/store/event-log.ts'
import { openExamined, openState, unavailable, until } from '../support/redis-state.ts'
import { redisTest } from '../support/redis-test.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const KEY = 'vestibule:{events}'
const HOUR_MS = 3_600_000
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
  const [, calls] = /cmdstat_xrange:calls=(\d+)/.exec(await world.cli('INFO', 'commandstats')) ?? []
  expect(calls).toBe('11')
})
