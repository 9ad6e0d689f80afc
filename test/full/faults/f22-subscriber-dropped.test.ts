import { beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  bypassed,
  expectBackplaneBack,
  isBackplaneHealthy,
  keepInMemory,
  SUBSCRIBER,
  signInAt,
  untilRefused,
} from '../../support/hybrid-replicas.ts'
import { countEvents, expectHealthy, readHealth, signOut } from '../../support/outage.ts'
import { BUSY_MS } from '../../support/own-lag.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import { startedForAll } from '../../support/started-for-all.ts'
import { addDirectly } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** Long, so that no session is refused merely because its entry is old, or let in merely because Redis is slow. */
const SETTINGS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' }
const ROUNDS = 10

describeWithRedis('F22 the subscriber is dropped', () => {
  const replicas = startedForAll(() => startReplicas({ settings: SETTINGS }))
  let aside: RunningVestibule
  beforeAll(async () => {
    aside = await addDirectly(replicas(), SETTINGS)
  })
  const dropSubscribers = () =>
    replicas().redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'yes')

  test('a session that is ended while nothing is heard is refused at once, since memory is passed by', async () => {
    const { first, network } = replicas()
    const { browser, cookie } = await signInAt(aside)
    const { cookie: staying } = await signInAt(aside, 'bob')
    for (const each of [cookie, staying]) await keepInMemory(first, each)
    const bypassedBefore = await bypassed(first)

    const hearAgain = network.muffle(SUBSCRIBER, 'present and later')
    await dropSubscribers()
    await until('the loss', () => countEvents(first, 'backplane_broken') > 0)
    await until('a replica aside that hears', () => isBackplaneHealthy(aside))
    expect((await signOut(browser)).status).toBe(303)
    const refused = await first.check({}, { Cookie: cookie })
    const allowed = await first.check({}, { Cookie: staying })
    expect([refused.status, allowed.status]).toEqual([302, 200])
    expect(await isBackplaneHealthy(first)).toBe(false)
    expect(await bypassed(first)).toBeGreaterThan(bypassedBefore)
    expect(await readHealth(first)).toMatchObject({
      status: 'degraded',
      cache: { redis: { connected: true } },
    })

    hearAgain()
    await expectBackplaneBack('F22 dropped and kept away', first)
    await expectHealthy(first)
    await keepInMemory(first, staying)
  })

  test('dropped again and again, it is back soon, and no session outlives its end', async () => {
    const { first } = replicas()
    let slowestMs = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const { browser, cookie } = await signInAt(aside)
      await keepInMemory(first, cookie)
      const [, { status }] = await Promise.all([dropSubscribers(), signOut(browser)])
      expect(status).toBe(303)
      slowestMs = Math.max(slowestMs, await untilRefused(first, cookie))
      await until('a healthy backplane', () => isBackplaneHealthy(first))
    }
    print(`F22 ended while dropped: refused after at most ${slowestMs.toFixed(0)} ms`)
    expect(slowestMs).toBeLessThan(BUSY_MS)
    for (const replica of [first, aside]) {
      await until('a healthy backplane', () => isBackplaneHealthy(replica))
      await expectHealthy(replica)
      expect(countEvents(replica, 'redis_disconnected')).toBe(0)
      expect(countEvents(replica, 'unhandled_rejection')).toBe(0)
    }
  })
})
