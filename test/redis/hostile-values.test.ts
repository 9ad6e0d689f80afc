import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createSessionCodec } from '../../src/session/records.ts'
import { type RecordPart, recordKey } from '../../src/store/store.ts'
import type { RunningRedis } from '../support/redis.ts'
import { openState, RECORDS, until, untilDataKnown } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const PREFIX = 'vestibule:'
const PARTS = ['identity', 'tokens', 'metadata'] as const

const freshRedis = reuseRedis()
const hostileTest = test
  .extend('redis', () => freshRedis())
  .extend('observed', async ({ redis }, { onCleanup }) => {
    const observed = openState(redis, { prefix: PREFIX })
    onCleanup(() => observed.state.close())
    // Waits for the queries of its start, which have little time and would queue behind large values.
    await until('its examination', () => observed.examinations.length === 1)
    await until('a backplane', () => observed.redis.isBackplaneHealthy)
    await untilDataKnown(observed.redis)
    return observed
  })
  .extend('store', ({ observed }) => observed.state.store)
const codec = createSessionCodec({
  ring: createKeyRing([randomBytes(32)]),
  keyPrefix: PREFIX,
  onIntegrityFailure: () => undefined,
})
const opens = (part: (typeof PARTS)[number], sealed: Buffer | undefined) =>
  codec.open('digest', part, sealed, { secret: 'tombstone', realm: 'app.example.com' }) !==
  undefined

const keyOf = (part: RecordPart) => recordKey(PREFIX, 'digest', part)
const IDENTITY = keyOf('identity')
const makeLarge = ({ cli }: RunningRedis, bytes: number) =>
  cli('EVAL', "redis.call('SET', KEYS[1], string.rep('x', ARGV[1]))", '1', IDENTITY, `${bytes}`)

hostileTest.for([
  ['a list', ['RPUSH', IDENTITY, 'x']],
  ['a hash', ['HSET', IDENTITY, 'a', 'b']],
  ['a set', ['SADD', IDENTITY, 'x']],
  ['a stream', ['XADD', IDENTITY, '*', 'a', 'b']],
  ['an empty text', ['SET', IDENTITY, '']],
  ['a text', ['SET', IDENTITY, 'v1.not-sealed']],
  ['a number', ['SET', IDENTITY, '42']],
] as const)(
  '%s in place of a record is opened by no key, and is no failure of Redis',
  async ([, command], { redis, observed, store, expect }) => {
    await redis.cli(...command)
    const { identity } = await store.read('digest', ['identity'])
    expect(identity).toBeInstanceOf(Buffer)
    expect(opens('identity', identity)).toBe(false)
    const all = await store.read('digest', PARTS)
    expect(opens('identity', all.identity)).toBe(false)
    expect(all.tokens).toBeUndefined()
    await store.end('digest', 1000)
    expect((await store.read('digest', ['identity'])).identity).toBeUndefined()
    expect(observed.failures).toEqual([])
  },
)

hostileTest('a session is created over values of another type', async ({ redis, store }) => {
  for (const part of PARTS) await redis.cli('RPUSH', keyOf(part), 'x')
  await store.create('digest', RECORDS, 10_000)
  expect(await store.read('digest', PARTS)).toEqual(RECORDS)
})

hostileTest('a record may have two megabytes and not a byte more', async ({ redis, store }) => {
  const maxBytes = 2 * 1024 * 1024
  await makeLarge(redis, maxBytes)
  expect((await store.read('digest', ['identity'])).identity).toHaveLength(maxBytes)
  await makeLarge(redis, maxBytes + 1)
  const { identity } = await store.read('digest', ['identity'])
  expect(identity).toHaveLength(0)
  expect(opens('identity', identity)).toBe(false)
})

hostileTest('one of many reads is sent an oversized record', async ({ redis, observed, store }) => {
  const bytes = 8_000_000
  await makeLarge(redis, bytes)
  const sent = async () =>
    Number(/total_net_output_bytes:(\d+)/.exec(await redis.cli('INFO', 'stats'))?.[1])
  const before = await sent()
  for (let round = 0; round < 5; round += 1) {
    const reads = Array.from({ length: 20 }, () => store.read('digest', ['identity'], 20_000))
    for (const { identity } of await Promise.all(reads)) {
      expect(opens('identity', identity)).toBe(false)
    }
  }
  expect((await sent()) - before).toBeLessThan(1.5 * bytes)
  expect(observed.failures).toEqual([])
})
