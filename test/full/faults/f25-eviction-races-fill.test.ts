import { expect, test } from 'vitest'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { isBackplaneHealthy, keepInMemory, signInAt } from '../../support/hybrid-replicas.ts'
import { readMetric, signOut } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { until } from '../../support/redis-state.ts'
import { HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import { addDirectly, readOf, storedSession } from '../../support/stored-session.ts'

/** Leaves time for a reply that is held back, and for an entry that must not exist. */
const SETTINGS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' }
const ROUNDS = 10

describeWithRedis('F25 a session changes while it is being read', () => {
  const replicas = prepared(async () => {
    const started = await startReplicas({ settings: SETTINGS })
    const aside = await addDirectly(started, SETTINGS)
    await until('a healthy backplane', () => isBackplaneHealthy(started.first))
    return Object.assign(started, { aside })
  })
  const cached = () => readMetric(replicas().first, 'vestibule_l1_sessions')
  const received = () => readMetric(replicas().first, 'vestibule_backplane_delay_seconds_count')

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
      const { browser, cookie } = await signInAt(aside)
      const before = await cached()
      const end = async () => expect((await signOut(browser)).status).toBe(303)
      expect(await checkAround(cookie, end)).toBe(302)
      expect(await cached()).toBe(before)
      await expectStatus(302, first, cookie)
    }
  })

  test('changed meanwhile: its reply is not cached, and the next check reads anew', async () => {
    const { first, aside, redis } = replicas()
    for (let round = 0; round < ROUNDS; round += 1) {
      const { cookie } = await signInAt(aside)
      const before = await cached()
      const session = storedSession(cookie).digest
      const message = { v: 1, type: 'evict', session, from: 'somebody', at: Date.now() }
      const evict = () => redis.cli('PUBLISH', 'vestibule:0:events', JSON.stringify(message))
      expect(await checkAround(cookie, evict)).toBe(200)
      expect(await cached()).toBe(before)
      await keepInMemory(first, cookie)
      expect(await cached()).toBe(before + 1)
    }
  })

  test('not changed: its reply is cached', async () => {
    const { cookie } = await signInAt(replicas().aside)
    const before = await cached()
    expect(await checkAround(cookie)).toBe(200)
    expect(await cached()).toBe(before + 1)
  })
})
