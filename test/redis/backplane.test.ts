import { describe, expect, test } from 'vitest'
import type { MessageBody } from '../../src/replicas/message.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type ObservedState, openState, until } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const CHANNEL = 'vestibule:0:events'
const STORE_AWAY = expect.objectContaining({ code: 'store_unavailable' }) as Error

const isHealthy = ({ state }: ObservedState) => state.backplane.epoch !== undefined
const untilHealthy = (...states: readonly ObservedState[]) =>
  until('a backplane that is heard', () => states.every(isHealthy))
/** Returns the messages received, without those of the self-test. */
const heard = ({ messages }: ObservedState) => messages.filter(({ type }) => type !== 'self-test')

/** Messages of one channel come in order: once this one is there, what is not there by now was never sent. */
const last = { type: 'evict', session: 'last' } as const
const untilLast = async (redis: RunningRedis, ...states: readonly ObservedState[]) => {
  const isThere = (observed: ObservedState) =>
    heard(observed).some(
      (message) => message.type === last.type && message.session === last.session,
    )
  await redis.cli('PUBLISH', CHANNEL, JSON.stringify({ v: 1, ...last }))
  await until('the last message', () => states.every(isThere))
}
/** How often somebody has published, and whether it was let. */
const published = async (redis: RunningRedis, counted: 'calls' | 'rejected_calls') => {
  const line = /cmdstat_publish:(.*)/.exec(await redis.cli('INFO', 'commandstats'))?.[1] ?? ''
  return Number(new RegExp(`(?:^|,)${counted}=(\\d+)`).exec(line)?.[1] ?? 0)
}
const untilPublished = async (
  redis: RunningRedis,
  more: number,
  counted: 'calls' | 'rejected_calls',
) => {
  const before = await published(redis, counted)
  await until('heartbeats', async () => (await published(redis, counted)) >= before + more, 15_000)
}

const freshRedis = reuseRedis()

/** Two replicas at one Redis, which hear each other. */
const startTwo = async (given?: RunningRedis) => {
  const stack = new AsyncDisposableStack()
  const redis = given ?? (await freshRedis())
  const [a, b] = [stack.use(openState(redis)), stack.use(openState(redis))]
  await untilHealthy(a, b)
  // The examination also tries a subscription over the connection for commands.
  await until('their examinations', () => [a, b].every((each) => each.examinations.length === 1))
  return { redis, a, b, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

describe('messages', () => {
  test.for<MessageBody>([
    { type: 'session-ended', session: 'd'.repeat(43) },
    { type: 'evict', session: 'd'.repeat(43) },
    { type: 'clear', region: 'sessions' },
    { type: 'clear', region: 'tokens' },
    { type: 'clear-all' },
  ])('%o arrives at the other and not at the sender', async (body, { expect }) => {
    await using two = await startTwo()
    const { a, b } = two
    await a.state.backplane.publish(body)
    await until('the message', () => heard(b).length > 0)
    expect(heard(b)).toEqual([
      { ...body, from: expect.any(String) as string, at: expect.any(Number) as number },
    ])
    await b.state.backplane.publish(body)
    await until('the answer', () => heard(a).length > 0)
    expect(heard(a)).toHaveLength(1)
    expect(heard(b)).toHaveLength(1)
    expect(heard(a)[0]?.from).not.toBe(heard(b)[0]?.from)
  })

  test('the end of a session arrives together with its tombstone', async () => {
    await using two = await startTwo()
    const { redis, a, b } = two
    await a.state.store.end('digest', 60_000)
    await until('the message', () => heard(b).length > 0)
    expect(await redis.cli('EXISTS', 'vestibule:{digest}:x')).toBe('1')
    expect(heard(b)).toMatchObject([{ type: 'session-ended', session: 'digest' }])
    await untilLast(redis, a)
    expect(heard(a)).toEqual([last])
  })

  test('they come in order, however many', async () => {
    await using two = await startTwo()
    const { a, b } = two
    const sessions = Array.from({ length: 1000 }, (_, index) => `d${index}`)
    await Promise.all(
      sessions.map((session) => a.state.backplane.publish({ type: 'evict', session })),
    )
    await until('all of them', () => heard(b).length === 1000)
    expect(heard(b).map((message) => 'session' in message && message.session)).toEqual(sessions)
  })

  test.for([
    ['a later version', '{"v":2,"type":"clear-all","from":"x","at":1}'],
    ['an unknown type', '{"v":1,"type":"reload","from":"x","at":1}'],
    ['an unknown region', '{"v":1,"type":"clear","region":"keys","from":"x","at":1}'],
    ['noise', 'noise'],
    ['nothing', ''],
  ] as const)('what is not understood is told as such: %s', async ([, text], { expect }) => {
    await using two = await startTwo()
    const { redis, a, b } = two
    await redis.cli('PUBLISH', CHANNEL, text)
    await until('both to hear it', () => a.unknownMessages() === 1 && b.unknownMessages() === 1)
    expect([...heard(a), ...heard(b)]).toEqual([])
    await a.state.backplane.publish({ type: 'clear-all' })
    await until('the next message', () => heard(b).length === 1)
  })

  test('one without a sender is for everybody', async () => {
    await using two = await startTwo()
    const { redis, a, b } = two
    await redis.cli('PUBLISH', CHANNEL, '{"v":1,"type":"clear-all"}')
    await until('both to hear it', () => heard(a).length === 1 && heard(b).length === 1)
    expect(heard(a)).toEqual([{ type: 'clear-all' }])
  })

  test('what an examination sends disturbs nobody', async () => {
    await using two = await startTwo()
    const { redis, a, b } = two
    const tests = () =>
      [a, b].map(({ messages }) => messages.filter(({ type }) => type === 'self-test').length)
    const before = tests()
    await using later = openState(redis)
    await untilHealthy(later)
    await until('its examination', () => later.examinations.length === 1)
    await until('its message', () => tests().every((count, at) => count > (before[at] ?? 0)))
    await untilLast(redis, a, b, later)
    for (const each of [a, b, later]) {
      expect(heard(each)).toEqual([last])
      expect(each.unknownMessages()).toBe(0)
      expect(each.redis.fleet.findings).toEqual([])
      expect(each.datasetChanges()).toBe(0)
      expect(each.backplaneHealth).toEqual([true])
    }
    expect(later.examinations[0]?.findings).toEqual([])
  })

  test('another prefix or another database does not hear', async () => {
    await using two = await startTwo()
    const { redis, a, b } = two
    await using other = openState(redis, { prefix: 'other:' })
    await using second = openState({ port: redis.port, database: 1 })
    await untilHealthy(other, second)
    await a.state.backplane.publish({ type: 'clear-all' })
    await second.state.backplane.publish({ type: 'clear', region: 'tokens' })
    await until('the message', () => heard(b).length === 1)
    // Pub/sub keeps the order, so the next message proves that no earlier one is to come.
    for (const channel of ['other:0:events', 'vestibule:1:events']) {
      await redis.cli('PUBLISH', channel, JSON.stringify({ v: 1, ...last }))
    }
    await untilLast(redis, a, b, other, second)
    expect(heard(b)).toMatchObject([{ type: 'clear-all' }, { type: 'evict' }])
    for (const each of [other, second, a]) expect(heard(each)).toMatchObject([{ type: 'evict' }])
  })

  test('while Redis is away it is told that nobody hears', async () => {
    await using redis = await startRedis()
    await using two = await startTwo(redis)
    const { a } = two
    await redis.kill()
    await expect(a.state.backplane.publish({ type: 'clear-all' })).rejects.toThrow(STORE_AWAY)
    await until('the loss', () => a.state.backplane.epoch === undefined)
    await expect(a.state.backplane.publish({ type: 'clear-all' })).rejects.toThrow(STORE_AWAY)
  })
})

describe('the health of the backplane', () => {
  test('is not there before there is a Redis', async () => {
    await using redis = await startRedis()
    await redis.kill()
    await using observed = openState(redis)
    await observed.state.firstAttempt
    expect(observed.state.backplane.epoch).toBeUndefined()
    expect(observed.backplaneHealth).toEqual([])
    await redis.restart()
    await untilHealthy(observed)
    expect(observed.backplaneHealth).toEqual([true])
  })

  test('a subscription that was lost is another epoch when it is back', async () => {
    await using two = await startTwo()
    const { redis, a, b } = two
    const epochs = new Set([a.state.backplane.epoch])
    for (let count = 2; count <= 4; count += 1) {
      const before = a.state.backplane.epoch
      await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await until('another epoch', () => isHealthy(a) && a.state.backplane.epoch !== before)
      epochs.add(a.state.backplane.epoch)
      expect(epochs.size).toBe(count)
    }
    expect(a.backplaneHealth).toEqual([true, false, true, false, true, false, true])
    expect(a.disconnected).toEqual([])
    await untilHealthy(a, b)
    await b.state.backplane.publish({ type: 'clear-all' })
    await until('the message', () => heard(a).length === 1)
  })

  test('without a loss the epoch stays', async () => {
    await using two = await startTwo()
    const { redis, a } = two
    const { epoch } = a.state.backplane
    // Heartbeats of both replicas, one each second.
    await untilPublished(redis, 4, 'calls')
    expect(a.state.backplane.epoch).toBe(epoch)
    expect(a.backplaneHealth).toEqual([true])
  })

  test('it is there only when a heartbeat of this very subscription has come back', async () => {
    await using redis = await startRedis()
    await using two = await startTwo(redis)
    const { a } = two
    // From now on subscribing works and publishing does not.
    await redis.cli('ACL', 'SETUSER', 'default', '-publish')
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await until('the loss', () => !isHealthy(a))
    const subscribers = () => redis.cli('PUBSUB', 'NUMSUB', CHANNEL)
    await until('the next subscriptions', async () => (await subscribers()) === `${CHANNEL}\n2`)
    await untilPublished(redis, 2, 'rejected_calls')
    expect(a.state.backplane.epoch).toBeUndefined()
    expect(a.backplaneHealth).toEqual([true, false])
    await redis.cli('ACL', 'SETUSER', 'default', '+publish')
    await untilHealthy(a)
  })

  test('after its end it is silent', async () => {
    const redis = await freshRedis()
    await using b = openState(redis)
    const a = openState(redis)
    await untilHealthy(a, b)
    await a.state.close()
    const before = a.messages.length
    await b.state.backplane.publish({ type: 'clear-all' })
    await untilLast(redis, b)
    expect(a.messages).toHaveLength(before)
    const clients = async () =>
      [...(await redis.cli('CLIENT', 'LIST')).matchAll(/ name=vestibule/g)].length
    await until('the connections of the other alone', async () => (await clients()) === 2)
  })
})
