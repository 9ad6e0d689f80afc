import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createSessionCodec } from '../../src/session/records.ts'
import { type RecordPart, recordKey } from '../../src/store/store.ts'
import type { RunningRedis } from '../support/redis.ts'
import { openState, until, untilDataKnown } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const PREFIX = 'vestibule:'
const PARTS = ['identity', 'tokens', 'metadata'] as const

const freshRedis = reuseRedis()
const start = async () => {
  const redis = await freshRedis()
  const observed = openState(redis, { prefix: PREFIX })
  // What a replica asks at its start has little time, and would wait behind what is large.
  await until('its examination', () => observed.examinations.length === 1)
  await until('a backplane', () => observed.redis.isBackplaneHealthy)
  await untilDataKnown(observed.redis)
  return {
    redis,
    observed,
    store: observed.state.store,
    [Symbol.asyncDispose]: () => observed.state.close(),
  }
}
const codec = createSessionCodec({
  ring: createKeyRing([randomBytes(32)]),
  keyPrefix: PREFIX,
  onIntegrityFailure: () => undefined,
})
const opens = (part: (typeof PARTS)[number], sealed: Buffer | undefined) =>
  codec.open('digest', part, sealed, { secret: 'tombstone', realm: 'app.example.com' }) !==
  undefined

const keyOf = (part: RecordPart) => recordKey(PREFIX, 'digest', part)
const large = (redis: RunningRedis, part: RecordPart, bytes: number) =>
  redis.cli(
    'EVAL',
    "redis.call('SET', KEYS[1], string.rep('x', ARGV[1]))",
    '1',
    keyOf(part),
    `${bytes}`,
  )

test.for([
  ['a list', ['RPUSH', keyOf('identity'), 'x']],
  ['a hash', ['HSET', keyOf('identity'), 'a', 'b']],
  ['a set', ['SADD', keyOf('identity'), 'x']],
  ['a stream', ['XADD', keyOf('identity'), '*', 'a', 'b']],
  ['an empty text', ['SET', keyOf('identity'), '']],
  ['a text', ['SET', keyOf('identity'), 'v1.not-sealed']],
  ['a number', ['SET', keyOf('identity'), '42']],
] as const)(
  '%s in the place of a record is what no key opens, and no failure of Redis',
  async ([, command], { expect }) => {
    await using made = await start()
    await made.redis.cli(...command)
    const { identity } = await made.store.read('digest', ['identity'])
    expect(identity).toBeInstanceOf(Buffer)
    expect(opens('identity', identity)).toBe(false)
    const all = await made.store.read('digest', PARTS)
    expect(opens('identity', all.identity)).toBe(false)
    expect(all.tokens).toBeUndefined()
    await made.store.end('digest', 1000)
    expect((await made.store.read('digest', ['identity'])).identity).toBeUndefined()
    expect(made.observed.failures).toEqual([])
  },
)

test('a session can be ended and made where the values are of another kind', async () => {
  await using made = await start()
  for (const part of PARTS) await made.redis.cli('RPUSH', keyOf(part), 'x')
  const records = { identity: Buffer.of(1), tokens: Buffer.of(2), metadata: Buffer.of(3) }
  await made.store.create('digest', records, 10_000)
  expect(await made.store.read('digest', PARTS)).toEqual(records)
})

test('two megabytes are a record, and a byte more is none', async () => {
  await using made = await start()
  await large(made.redis, 'identity', 2 * 1024 * 1024)
  expect((await made.store.read('digest', ['identity'])).identity).toHaveLength(2 * 1024 * 1024)
  await large(made.redis, 'identity', 2 * 1024 * 1024 + 1)
  const { identity } = await made.store.read('digest', ['identity'])
  expect(identity).toHaveLength(0)
  expect(opens('identity', identity)).toBe(false)
})

test('of many who ask for what is far too large, once and again, one is sent it', async () => {
  await using made = await start()
  const bytes = 8_000_000
  await large(made.redis, 'identity', bytes)
  const sent = async () =>
    Number(/total_net_output_bytes:(\d+)/.exec(await made.redis.cli('INFO', 'stats'))?.[1])
  const before = await sent()
  for (let round = 0; round < 5; round += 1) {
    const found = await Promise.all(
      Array.from({ length: 20 }, () => made.store.read('digest', ['identity'], 20_000)),
    )
    for (const { identity } of found) expect(opens('identity', identity)).toBe(false)
  }
  expect((await sent()) - before).toBeLessThan(1.5 * bytes)
  expect(made.observed.failures).toEqual([])
})
