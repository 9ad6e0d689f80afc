import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { MessageBody } from '../../src/store/backplane-message.ts'
import { startRedis } from '../support/redis.ts'
import { type ObservedState, openState, until } from '../support/redis-state.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const CHANNEL = 'vestibule:0:events'
/** What a subscriber to the channel has sent, and nobody else. */
const SUBSCRIBER = /\r\nsubscribe\r\n\$\d+\r\nvestibule:0:events\r\n/i
const STORE_AWAY = expect.objectContaining({ code: 'store_unavailable' }) as Error

const isHealthy = ({ state }: ObservedState) => state.backplane.epoch !== undefined
/** When it was still healthy the last time that somebody looked; nobody looks while this process is kept waiting. */
const untilSilent = async (observed: ObservedState): Promise<number> => {
  const sinceMs = performance.now()
  let lastMs = 0
  await until('the silence', () => {
    const atMs = performance.now() - sinceMs
    if (!isHealthy(observed)) return true
    lastMs = atMs
    return false
  })
  return lastMs
}
/** After the last heartbeat that came back. */
const BROKEN_AFTER_MS = 3000
const untilHealthy = (...states: readonly ObservedState[]) =>
  until('a backplane that is heard', () => states.every(isHealthy))
/** What came, but for what is sent to see whether it may be sent. */
const heard = ({ messages }: ObservedState) => messages.filter(({ type }) => type !== 'self-test')

/** Two replicas at one Redis, which hear each other. */
const startTwo = async () => {
  const stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis())
  const [a, b] = [stack.use(openState(redis)), stack.use(openState(redis))]
  await untilHealthy(a, b)
  // What they try is a subscription, too, over the connection for commands.
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
    await wait(50)
    expect(heard(a)).toEqual([])
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
    await wait(50)
    for (const each of [a, b, later]) {
      expect(heard(each)).toEqual([])
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
    // What comes next, comes after what might have come before.
    const last = '{"v":1,"type":"evict","session":"last"}'
    for (const channel of [CHANNEL, 'other:0:events', 'vestibule:1:events']) {
      await redis.cli('PUBLISH', channel, last)
    }
    const all = [a, b, other, second]
    await until('the last message', () =>
      all.every((each) => heard(each).some(({ type }) => type === 'evict')),
    )
    expect(heard(b)).toMatchObject([{ type: 'clear-all' }, { type: 'evict' }])
    for (const each of [other, second, a]) expect(heard(each)).toMatchObject([{ type: 'evict' }])
  })

  test('while Redis is away it is told that nobody hears', async () => {
    await using two = await startTwo()
    const { redis, a } = two
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
    const { a } = two
    const { epoch } = a.state.backplane
    await wait(2500)
    expect(a.state.backplane.epoch).toBe(epoch)
    expect(a.backplaneHealth).toEqual([true])
  })

  test('it is there only when a heartbeat of this very subscription has come back', async () => {
    await using two = await startTwo()
    const { redis, a } = two
    // From now on subscribing works and publishing does not.
    await redis.cli('ACL', 'SETUSER', 'default', '-publish')
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await until('the loss', () => !isHealthy(a))
    const subscribers = () => redis.cli('PUBSUB', 'NUMSUB', CHANNEL)
    await until('the next subscriptions', async () => (await subscribers()) === `${CHANNEL}\n2`)
    const sinceMs = performance.now()
    while (performance.now() - sinceMs < 500) {
      expect(a.state.backplane.epoch).toBeUndefined()
      await wait(5)
    }
    expect(a.backplaneHealth).toEqual([true, false])
    await redis.cli('ACL', 'SETUSER', 'default', '+publish')
    await untilHealthy(a)
  })

  test('without heartbeats it ends within 3 s, though the connection stands', async () => {
    await using two = await startTwo()
    const { redis, a } = two
    const before = a.state.backplane.epoch
    await redis.cli('ACL', 'SETUSER', 'default', '-publish')
    const tookMs = await untilSilent(a)
    process.stdout.write(`heartbeats refused: noticed after ${tookMs.toFixed(0)} ms\n`)
    expect(tookMs).toBeLessThanOrEqual(BROKEN_AFTER_MS)
    await redis.cli('ACL', 'SETUSER', 'default', '+publish')
    await untilHealthy(a)
    // Nothing was lost on the way, since the subscription was there all the time.
    expect(a.state.backplane.epoch).toBe(before)
  })

  test('a subscriber to whom nothing comes any more is noticed within 3 s, and healed', async () => {
    await using redis = await startRedis()
    await using network = await startTcpProxy(redis.port)
    await using a = openState(network)
    await using b = openState(redis)
    await untilHealthy(a, b)
    const before = a.state.backplane.epoch
    const flow = network.muffle(SUBSCRIBER)
    const sinceMs = performance.now()
    const [noticedMs] = await Promise.all([
      untilSilent(a),
      b.state.backplane.publish({ type: 'evict', session: 'missed' }),
    ])
    await until('the next subscription', () => isHealthy(a))
    const healedMs = performance.now() - sinceMs
    process.stdout.write(
      `half-open subscriber: noticed after ${noticedMs.toFixed(0)} ms, healed after ${healedMs.toFixed(0)} ms\n`,
    )
    expect(noticedMs).toBeLessThanOrEqual(BROKEN_AFTER_MS)
    expect(healedMs).toBeLessThan(5000)
    expect(a.state.backplane.epoch).not.toBe(before)
    expect(a.disconnected).toEqual([])
    expect(heard(a)).toEqual([])
    await b.state.backplane.publish({ type: 'evict', session: 'heard' })
    await until('a message', () => heard(a).length > 0)
    flow()
    await wait(100)
    expect(heard(a)).toMatchObject([{ session: 'heard' }])
    expect(isHealthy(a)).toBe(true)
  })

  test('commands go on meanwhile, since they have a connection of their own', async () => {
    await using redis = await startRedis()
    await using network = await startTcpProxy(redis.port)
    await using a = openState(network, { timeoutMs: 500 })
    await untilHealthy(a)
    network.muffle(SUBSCRIBER, 'present and later')
    await until('the silence', () => !isHealthy(a))
    for (let count = 0; count < 20; count += 1) {
      expect(await a.state.store.read('nobody', ['s'])).toEqual({ s: undefined })
    }
    expect(a.disconnected).toEqual([])
    expect(a.breakerChanges).toEqual([])
    expect(a.redis).toMatchObject({ isConnected: true, isBackplaneHealthy: false })
  })

  test('after its end it is silent', async () => {
    await using redis = await startRedis()
    await using b = openState(redis)
    const a = openState(redis)
    await untilHealthy(a, b)
    await a.state.close()
    const before = a.messages.length
    await b.state.backplane.publish({ type: 'clear-all' })
    await wait(1500)
    expect(a.messages).toHaveLength(before)
    expect(await redis.cli('PUBSUB', 'NUMSUB', CHANNEL)).toBe(`${CHANNEL}\n1`)
  })
})
