import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { expectStatus, statusAt } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import * as hybrid from '../../support/hybrid-replicas.ts'
import * as outage from '../../support/outage.ts'
import { BUSY_MS } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { HYBRID, PATIENT, startReplicas, untilStarted } from '../../support/replicas.ts'
import { addDirectly, storedSession } from '../../support/stored-session.ts'

/** Keeps entries so long that no session is refused because its entry is old, or allowed because Redis is slow. */
const SETTINGS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' }
const ROUNDS = 10
const BROKEN_WITHIN_MS = 3000
/** More bytes than Redis passes on to a subscriber whose limit is one byte. */
const LARGE = 'x'.repeat(1024 * 1024)

/** Starts a replica whose subscription is disturbed, and one aside that reaches Redis directly. */
async function startWithOneAside() {
  const replicas = await startReplicas({ settings: SETTINGS })
  return Object.assign(replicas, { aside: await addDirectly(replicas, SETTINGS) })
}

/** Signs in aside a session that is to end and one that is to go on, both in the memory of the first replica. */
async function signInBoth({ aside, first }: Awaited<ReturnType<typeof startWithOneAside>>) {
  const ending = await hybrid.signInAt(aside)
  const { cookie: staying } = await hybrid.signInAt(aside, 'bob')
  for (const cookie of [ending.cookie, staying]) await hybrid.keepInMemory(first, cookie)
  return { ...ending, staying }
}

describeWithRedis('F22 the subscriber is dropped', () => {
  const replicas = prepared(startWithOneAside)
  const dropSubscribers = () =>
    replicas().redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'yes')

  test('a session that ends meanwhile is refused at once, because memory is bypassed', async () => {
    const { first, aside, network } = replicas()
    const { browser, cookie, staying } = await signInBoth(replicas())
    const bypassedBefore = await hybrid.bypassed(first)

    const unmuffle = network.muffle(hybrid.SUBSCRIBER, 'present and later')
    await dropSubscribers()
    await outage.untilEvent(first, 'backplane_broken')
    await until('a subscription aside', () => hybrid.isBackplaneHealthy(aside))
    expect((await outage.signOut(browser)).status).toBe(303)
    expect([await statusAt(first, cookie), await statusAt(first, staying)]).toEqual([302, 200])
    expect(await hybrid.isBackplaneHealthy(first)).toBe(false)
    expect(await hybrid.bypassed(first)).toBeGreaterThan(bypassedBefore)
    expect(await outage.readHealth(first)).toMatchObject({
      status: 'degraded',
      cache: { redis: { connected: true } },
    })

    unmuffle()
    await hybrid.expectBackplaneBack('F22 dropped and kept away', first)
    await outage.expectHealthy(first)
    await hybrid.keepInMemory(first, staying)
  })

  test('dropped again and again, it is back soon, and no session outlives its end', async () => {
    const { first, aside } = replicas()
    let slowestMs = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const { browser, cookie } = await hybrid.signInAt(aside)
      await hybrid.keepInMemory(first, cookie)
      const [, { status }] = await Promise.all([dropSubscribers(), outage.signOut(browser)])
      expect(status).toBe(303)
      slowestMs = Math.max(slowestMs, await hybrid.untilRefused(first, cookie))
      await until('a healthy backplane', () => hybrid.isBackplaneHealthy(first))
    }
    print(`F22 ended while dropped: refused after at most ${slowestMs.toFixed(0)} ms`)
    expect(slowestMs).toBeLessThan(BUSY_MS)
    for (const replica of [first, aside]) {
      await until('a healthy backplane', () => hybrid.isBackplaneHealthy(replica))
      await outage.expectHealthy(replica)
      expect(outage.countEvents(replica, 'redis_disconnected')).toBe(0)
      expect(outage.countEvents(replica, 'unhandled_rejection')).toBe(0)
    }
  })
})

describeWithRedis('F23 the subscriber’s connection is half open', () => {
  const replicas = prepared(startWithOneAside)

  test('a session that ends elsewhere is refused within 3 s, because heartbeats are missing', async () => {
    const { first, network } = replicas()
    const { browser, cookie, staying } = await signInBoth(replicas())
    const flow = network.muffle(hybrid.SUBSCRIBER)
    expect((await outage.signOut(browser)).status).toBe(303)
    await expectStatus(200, first, cookie)
    const refusedMs = await hybrid.untilRefused(first, cookie)
    print(`F23 ended while nothing arrives: refused after ${refusedMs.toFixed(0)} ms`)
    expect(refusedMs).toBeLessThan(BROKEN_WITHIN_MS + BUSY_MS)
    await expectStatus(200, first, staying)
    await outage.untilEvent(first, 'backplane_broken')
    expect(outage.countEvents(first, 'backplane_broken')).toBe(1)
    expect(outage.countEvents(first, 'redis_disconnected')).toBe(0)

    await hybrid.expectBackplaneBack('F23 a new subscription', first)
    await hybrid.keepInMemory(first, staying)
    await outage.expectHealthy(first)
    flow()
  })

  test('messages that arrive later over the dead connection are ignored', async () => {
    const { first, aside, network } = replicas()
    const { cookie } = await hybrid.signInAt(aside, 'bob')
    await hybrid.keepInMemory(first, cookie)
    const flow = network.muffle(hybrid.SUBSCRIBER)
    await until('the loss', async () => !(await hybrid.isBackplaneHealthy(first)))
    await until('a new subscription', () => hybrid.isBackplaneHealthy(first))
    const brokenBefore = outage.countEvents(first, 'backplane_broken')
    flow()
    await hybrid.keepInMemory(first, cookie)
    expect(outage.countEvents(first, 'backplane_broken')).toBe(brokenBefore)
    await outage.expectHealthy(first)
  })
})

describeWithRedis('F24 Redis cuts off a subscriber that is too slow for it', () => {
  const replicas = prepared(async () => {
    const started = await startWithOneAside()
    await started.redis.cli('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 1 1 1')
    return started
  })

  test('cut off while a session ends elsewhere, it refuses that session, and subscribes again', async () => {
    const { first, aside, redis } = replicas()
    const { browser, cookie, staying } = await signInBoth(replicas())
    const [, { status }] = await Promise.all([
      redis.cli('PUBLISH', 'vestibule:0:events', LARGE),
      outage.signOut(browser),
    ])
    expect(status).toBe(303)
    const refusedMs = await hybrid.untilRefused(first, cookie)
    print(`F24 ended while cut off: refused after ${refusedMs.toFixed(0)} ms`)
    expect(refusedMs).toBeLessThan(BUSY_MS)
    for (const replica of [first, aside]) {
      await outage.untilEvent(replica, 'backplane_broken')
      await hybrid.expectBackplaneBack('F24 cut off', replica)
    }
    await hybrid.keepInMemory(first, staying)
    await outage.expectHealthy(first)
  })

  test('the connection for commands is no subscriber: large replies do not end it', async () => {
    const { first, aside, redis } = replicas()
    const { cookie } = await hybrid.signInAt(aside)
    const key = storedSession(cookie).keyOf('identity')
    await redis.cli('SET', key, randomBytes(512 * 1024).toString('hex'), 'KEEPTTL')
    const fresh = await replicas().add(SETTINGS)
    await untilStarted(fresh)
    await until('a healthy backplane', () => hybrid.isBackplaneHealthy(fresh))
    for (const replica of [first, fresh]) {
      await expectStatus(302, replica, cookie)
      expect(outage.countEvents(replica, 'redis_disconnected')).toBe(0)
    }
  })
})
