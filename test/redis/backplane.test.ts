import { describe, expect, test } from 'vitest'
import type { MessageBody } from '../../src/replicas/message.ts'
import { infoOf, type RunningRedis, startRedis } from '../support/redis.ts'
import { type ObservedState, openState, until } from '../support/redis-state.ts'
import { reuseRedis } from '../support/reused-redis.ts'

const CHANNEL = 'vestibule:0:events'
const STORE_AWAY = expect.objectContaining({ code: 'store_unavailable' }) as Error

const isHealthy = ({ state }: ObservedState) => state.backplane.subscription !== undefined
const untilHealthy = (...states: readonly ObservedState[]) =>
  until('a backplane that is heard', () => states.every(isHealthy))
const heard = ({ messages }: ObservedState) => messages.filter(({ type }) => type !== 'self-test')

/** Messages of one channel come in order: once this one is there, what is not there by now was never sent. */
const last = { type: 'evict', session: 'last' } as const
const untilLast = async (redis: RunningRedis, ...states: readonly ObservedState[]) => {
  const isThere = (observed: ObservedState) =>
    heard(observed).some((message) => 'session' in message && message.session === last.session)
  await redis.cli('PUBLISH', CHANNEL, JSON.stringify({ v: 1, ...last }))
  await until('the last message', () => states.every(isThere))
}
const untilPublished = async (redis: RunningRedis, more: number, counted: string) => {
  const published = () => infoOf(redis, 'commandstats', `cmdstat_publish:(?:.*,)?${counted}=`)
  const before = await published()
  await until('heartbeats', async () => (await published()) >= before + more, 15_000)
}

const freshRedis = reuseRedis()

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
    { type: 'clear-all' },
  ])('%o arrives at the other and not at the sender', async (body) => {
    await using two = await startTwo()
    const { a, b } = two
    await a.state.backplane.publish(body)
    await until('the message', () => heard(b).length > 0)
    const sent = { from: expect.any(String) as string, at: expect.any(Number) as number }
    expect(heard(b)).toEqual([{ ...body, ...sent }])
    await b.state.backplane.publish(body)
    await until('the answer', () => heard(a).length > 0)
    expect([heard(a).length, heard(b).length]).toEqual([1, 1])
    expect(heard(a)[0]?.from).not.toBe(heard(b)[0]?.from)
  })

  test('what is not understood is told as such', async () => {
    await using two = await startTwo()
    const { redis, a, b } = two
    await redis.cli('PUBLISH', CHANNEL, '{"v":2,"type":"clear-all","from":"x","at":1}')
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
      const { redis, backplaneHealth } = each
      expect([heard(each), redis.fleet.findings, backplaneHealth]).toEqual([[last], [], [true]])
      expect([each.unknownMessages(), each.datasetChanges()]).toEqual([0, 0])
    }
    expect(later.examinations[0]?.findings).toEqual([])
  })

  test('while Redis is away it is told that nobody hears', async () => {
    await using redis = await startRedis()
    await using two = await startTwo(redis)
    const { a } = two
    await redis.kill()
    await expect(a.state.backplane.publish({ type: 'clear-all' })).rejects.toThrow(STORE_AWAY)
    await until('the loss', () => a.state.backplane.subscription === undefined)
    await expect(a.state.backplane.publish({ type: 'clear-all' })).rejects.toThrow(STORE_AWAY)
  })
})

describe('the health of the backplane', () => {
  test('is not there before there is a Redis', async () => {
    await using redis = await startRedis()
    await redis.kill()
    await using observed = openState(redis)
    await observed.state.firstAttempt
    expect([observed.state.backplane.subscription, observed.backplaneHealth]).toEqual([
      undefined,
      [],
    ])
    await redis.restart()
    await untilHealthy(observed)
    expect(observed.backplaneHealth).toEqual([true])
  })

  test('a subscription that was lost is another subscription when it is back', async () => {
    await using two = await startTwo()
    const { redis, a, b } = two
    const subscriptions = new Set([a.state.backplane.subscription])
    for (let count = 2; count <= 4; count += 1) {
      const before = a.state.backplane.subscription
      await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await until(
        'another subscription',
        () => isHealthy(a) && a.state.backplane.subscription !== before,
      )
      subscriptions.add(a.state.backplane.subscription)
      expect(subscriptions.size).toBe(count)
    }
    expect(a.backplaneHealth).toEqual([true, false, true, false, true, false, true])
    expect(a.disconnected).toEqual([])
    await untilHealthy(a, b)
    await b.state.backplane.publish({ type: 'clear-all' })
    await until('the message', () => heard(a).length === 1)
  })

  test('without a loss the subscription stays', async () => {
    await using two = await startTwo()
    const { redis, a } = two
    const { subscription } = a.state.backplane
    // Heartbeats of both replicas, one each second.
    await untilPublished(redis, 4, 'calls')
    expect(a.state.backplane.subscription).toBe(subscription)
    expect(a.backplaneHealth).toEqual([true])
  })

  test('is there only when a heartbeat of this very subscription has come back', async () => {
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
    expect([a.state.backplane.subscription, a.backplaneHealth]).toEqual([undefined, [true, false]])
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
