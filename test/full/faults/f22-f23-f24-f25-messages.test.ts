import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import * as hybrid from '../../support/hybrid-replicas.ts'
import * as outage from '../../support/outage.ts'
import { BUSY_MS, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import {
  describeWithRedis,
  HYBRID,
  PATIENT,
  startReplicas,
  untilStarted,
} from '../../support/replicas.ts'
import { addDirectly, readOf, storedSession } from '../../support/stored-session.ts'

/** Keeps entries so long that no session is refused because its entry is old, or allowed because Redis is slow. */
const SETTINGS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' }
const ROUNDS = 10
const BYPASSED = 'vestibule_l1_lookups_total{result="bypassed"}'
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
    const bypassedBefore = await outage.readMetric(first, BYPASSED)

    const unmuffle = network.muffle(hybrid.SUBSCRIBER, 'present and later')
    await dropSubscribers()
    await outage.untilEvent(first, 'backplane_broken')
    await hybrid.untilBackplaneHealthy(aside)
    expect((await outage.signOut(browser)).status).toBe(303)
    expect([await outage.statusAt(first, cookie), await outage.statusAt(first, staying)]).toEqual([
      302, 200,
    ])
    expect(await hybrid.isBackplaneHealthy(first)).toBe(false)
    expect(await outage.readMetric(first, BYPASSED)).toBeGreaterThan(bypassedBefore)
    expect(await outage.readHealth(first)).toMatchObject({
      status: 'degraded',
      cache: { redis: { connected: true } },
    })

    unmuffle()
    await hybrid.untilBackplaneHealthy(first)
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
      await hybrid.untilBackplaneHealthy(first)
    }
    expect(slowestMs).toBeLessThan(BUSY_MS)
    for (const replica of [first, aside]) {
      await hybrid.untilBackplaneHealthy(replica)
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
    await outage.expectStatus(200, first, cookie)
    const refusedMs = await hybrid.untilRefused(first, cookie)
    expect(refusedMs).toBeLessThan(BROKEN_WITHIN_MS + BUSY_MS)
    await outage.expectStatus(200, first, staying)
    await outage.untilEvent(first, 'backplane_broken')
    expect(outage.countEvents(first, 'backplane_broken')).toBe(1)
    expect(outage.countEvents(first, 'redis_disconnected')).toBe(0)

    await hybrid.untilBackplaneHealthy(first)
    await outage.expectStatus(302, first, cookie)
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
    await hybrid.untilBackplaneHealthy(first)
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
    // Leaves room for the replies to the self-test, which subscribes for a moment.
    await started.redis.cli('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 65536 65536 1')
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
    expect(refusedMs).toBeLessThan(BUSY_MS)
    for (const replica of [first, aside]) {
      await outage.untilEvent(replica, 'backplane_broken')
      await hybrid.untilBackplaneHealthy(replica)
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
    await hybrid.untilBackplaneHealthy(fresh)
    for (const replica of [first, fresh]) {
      await outage.expectStatus(302, replica, cookie)
      expect(outage.countEvents(replica, 'redis_disconnected')).toBe(0)
    }
  })
})

describeWithRedis('F25 a session changes while it is being read', () => {
  const replicas = prepared(async () => {
    const started = await startWithOneAside()
    await hybrid.untilBackplaneHealthy(started.first)
    return started
  })
  const cached = () => outage.readMetric(replicas().first, 'vestibule_l1_sessions')
  const received = () =>
    outage.readMetric(replicas().first, 'vestibule_backplane_delay_seconds_count')

  /** Holds back the reply to a check while `meanwhile` happens, until its message has arrived; returns the status. */
  async function checkAround(cookie: string, meanwhile?: () => Promise<unknown>): Promise<number> {
    const { first, network } = replicas()
    const held = network.holdAnswers(readOf(cookie))
    const asked = first.check({}, { Cookie: cookie })
    const letGo = await held
    const before = await received()
    await meanwhile?.()
    if (meanwhile) await until('the message', async () => (await received()) > before)
    letGo()
    return (await asked).status
  }

  test('ended meanwhile: the check is refused, and its reply is not cached', async () => {
    const { first, aside } = replicas()
    for (let round = 0; round < ROUNDS; round += 1) {
      const { browser, cookie } = await hybrid.signInAt(aside)
      const before = await cached()
      const end = async () => expect((await outage.signOut(browser)).status).toBe(303)
      expect(await checkAround(cookie, end)).toBe(302)
      expect(await cached()).toBe(before)
      await outage.expectStatus(302, first, cookie)
    }
  })

  test('changed meanwhile: its reply is not cached, and the next check reads anew', async () => {
    const { first, aside, redis } = replicas()
    for (let round = 0; round < ROUNDS; round += 1) {
      const { cookie } = await hybrid.signInAt(aside)
      const before = await cached()
      const session = storedSession(cookie).digest
      const message = { v: 1, type: 'evict', session, from: 'somebody', at: Date.now() }
      const evict = () => redis.cli('PUBLISH', 'vestibule:0:events', JSON.stringify(message))
      expect(await checkAround(cookie, evict)).toBe(200)
      expect(await cached()).toBe(before)
      await hybrid.keepInMemory(first, cookie)
      expect(await cached()).toBe(before + 1)
    }
  })

  test('not changed: its reply is cached', async () => {
    const { cookie } = await hybrid.signInAt(replicas().aside)
    const before = await cached()
    expect(await checkAround(cookie)).toBe(200)
    expect(await cached()).toBe(before + 1)
  })
})
