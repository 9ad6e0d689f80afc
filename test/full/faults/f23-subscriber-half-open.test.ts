import { beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  expectBackplaneBack,
  isBackplaneHealthy,
  keepInMemory,
  SUBSCRIBER,
  signInAt,
  untilRefused,
} from '../../support/hybrid-replicas.ts'
import { countEvents, expectHealthy, signOut } from '../../support/outage.ts'
import { BUSY_MS } from '../../support/own-lag.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import { startedForAll } from '../../support/started-for-all.ts'
import { addDirectly } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** Long, so that the missing heartbeat and not the entry's age ends it, and a slow Redis is not taken for an outage. */
const SETTINGS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' }
const BROKEN_WITHIN_MS = 3000

describeWithRedis('F23 the subscriber’s connection is half open', () => {
  const replicas = startedForAll(() => startReplicas({ settings: SETTINGS }))
  let aside: RunningVestibule
  beforeAll(async () => {
    aside = await addDirectly(replicas(), SETTINGS)
  })

  test('a session that is ended elsewhere is refused within 3 s, by the heartbeat that does not come', async () => {
    const { first, network } = replicas()
    const { browser, cookie } = await signInAt(aside)
    const { cookie: staying } = await signInAt(aside, 'bob')
    for (const each of [cookie, staying]) await keepInMemory(first, each)

    const flow = network.muffle(SUBSCRIBER)
    expect((await signOut(browser)).status).toBe(303)
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    const refusedMs = await untilRefused(first, cookie)
    print(`F23 ended while nothing is heard: refused after ${refusedMs.toFixed(0)} ms`)
    expect(refusedMs).toBeLessThan(BROKEN_WITHIN_MS + BUSY_MS)
    expect((await first.check({}, { Cookie: staying })).status).toBe(200)
    await until('the line about it', () => countEvents(first, 'backplane_broken') === 1)
    expect(countEvents(first, 'redis_disconnected')).toBe(0)

    await expectBackplaneBack('F23 a new subscription', first)
    await keepInMemory(first, staying)
    await expectHealthy(first)
    flow()
  })

  test('what is said over the dead connection later on is not heard', async () => {
    const { first, network } = replicas()
    const { cookie } = await signInAt(aside, 'bob')
    await keepInMemory(first, cookie)
    const flow = network.muffle(SUBSCRIBER)
    await until('the loss', async () => !(await isBackplaneHealthy(first)))
    await until('a new subscription', () => isBackplaneHealthy(first))
    const brokenBefore = countEvents(first, 'backplane_broken')
    flow()
    await keepInMemory(first, cookie)
    expect(countEvents(first, 'backplane_broken')).toBe(brokenBefore)
    await expectHealthy(first)
  })
})
