import { randomBytes } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  expectBackplaneBack,
  isBackplaneHealthy,
  keepInMemory,
  signInAt,
  untilRefused,
} from '../../support/hybrid-replicas.ts'
import { countEvents, expectHealthy, signOut } from '../../support/outage.ts'
import { BUSY_MS } from '../../support/own-lag.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { HYBRID, PATIENT, startReplicas, untilStarted } from '../../support/replicas.ts'
import { startedForAll } from '../../support/started-for-all.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** Long, so that no session is refused merely because its entry is old, or let in merely because Redis is slow. */
const SETTINGS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' }
/** More than Redis passes on to a subscriber whose limit is a byte. */
const LARGE = 'x'.repeat(1024 * 1024)

describeWithRedis('F24 Redis cuts off a subscriber that is too slow for it', () => {
  const replicas = startedForAll(() => startReplicas({ count: 2, settings: SETTINGS }))
  let other: RunningVestibule
  beforeAll(async () => {
    other = replicas().all[1] as RunningVestibule
    await replicas().redis.cli('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 1 1 1')
  })

  test('cut off while a session ends elsewhere, it lets that session in no more, and hears again', async () => {
    const { first, redis, all } = replicas()
    const { browser, cookie } = await signInAt(other)
    const { cookie: staying } = await signInAt(other, 'bob')
    for (const each of [cookie, staying]) await keepInMemory(first, each)
    const [, { status }] = await Promise.all([
      redis.cli('PUBLISH', 'vestibule:0:events', LARGE),
      signOut(browser),
    ])
    expect(status).toBe(303)
    const refusedMs = await untilRefused(first, cookie)
    print(`F24 ended while cut off: refused after ${refusedMs.toFixed(0)} ms`)
    expect(refusedMs).toBeLessThan(BUSY_MS)
    for (const replica of all) {
      await until('the loss', () => countEvents(replica, 'backplane_broken') > 0)
      await expectBackplaneBack('F24 cut off', replica)
    }
    await keepInMemory(first, staying)
    await expectHealthy(first)
  })

  test('the connection for commands is no subscriber: large answers do not end it', async () => {
    const { first, redis } = replicas()
    const { cookie } = await signInAt(other)
    const key = storedSession(cookie).keyOf('identity')
    await redis.cli('SET', key, randomBytes(512 * 1024).toString('hex'), 'KEEPTTL')
    const fresh = await replicas().add(SETTINGS)
    await untilStarted(fresh)
    await until('a healthy backplane', () => isBackplaneHealthy(fresh))
    for (const replica of [first, fresh]) {
      expect((await replica.check({}, { Cookie: cookie })).status).toBe(302)
      expect(countEvents(replica, 'redis_disconnected')).toBe(0)
    }
  })
})
