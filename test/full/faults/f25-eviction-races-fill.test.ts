import { beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { isBackplaneHealthy, keepInMemory, signInAt } from '../../support/hybrid-replicas.ts'
import { readMetric, signOut } from '../../support/outage.ts'
import { until } from '../../support/redis-state.ts'
import { HYBRID, startReplicas } from '../../support/replicas.ts'
import { startedForAll } from '../../support/started-for-all.ts'
import { addDirectly, readOf, storedSession } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** Long enough for an answer that is held back, and for an entry that must not be there. */
const SETTINGS = { ...HYBRID, REDIS_HYBRID_L1_TTL: '30', CHECK_STORE_TIMEOUT_MS: '1000' }
const ROUNDS = 10

describeWithRedis('F25 a session changes while it is being read', () => {
  const replicas = startedForAll(() => startReplicas({ settings: SETTINGS }))
  let aside: RunningVestibule
  beforeAll(async () => {
    aside = await addDirectly(replicas(), SETTINGS)
    await until('a healthy backplane', () => isBackplaneHealthy(replicas().first))
  })

  /** A check whose answer from Redis is on its way when `meanwhile` happens. */
  const checkAround = async (cookie: string, meanwhile: () => Promise<unknown>) => {
    const { first, network } = replicas()
    const held = network.holdAnswers(readOf(cookie))
    const asked = first.check({}, { Cookie: cookie })
    const letGo = await held
    await meanwhile()
    letGo()
    return asked
  }
  const kept = () => readMetric(replicas().first, 'vestibule_l1_sessions')
  const heard = () => readMetric(replicas().first, 'vestibule_backplane_delay_seconds_count')

  test('ended meanwhile, it is not let in with what was read before, and nothing is kept of it', async () => {
    const { first } = replicas()
    for (let round = 0; round < ROUNDS; round += 1) {
      const { browser, cookie } = await signInAt(aside)
      const keptBefore = await kept()
      const heardBefore = await heard()
      const { status } = await checkAround(cookie, async () => {
        expect((await signOut(browser)).status).toBe(303)
        await until('the message', async () => (await heard()) > heardBefore)
      })
      expect(status).toBe(302)
      expect(await kept()).toBe(keptBefore)
      expect((await first.check({}, { Cookie: cookie })).status).toBe(302)
    }
  })

  test('changed meanwhile, what was read before is not kept, and the next check reads anew', async () => {
    const { first, redis } = replicas()
    for (let round = 0; round < ROUNDS; round += 1) {
      const { cookie } = await signInAt(aside)
      const { digest } = storedSession(cookie)
      const keptBefore = await kept()
      const message = { v: 1, type: 'evict', session: digest, from: 'somebody', at: Date.now() }
      const heardBefore = await heard()
      const { status } = await checkAround(cookie, async () => {
        await redis.cli('PUBLISH', 'vestibule:0:events', JSON.stringify(message))
        await until('the message', async () => (await heard()) > heardBefore)
      })
      expect(status).toBe(200)
      expect(await kept()).toBe(keptBefore)
      await keepInMemory(first, cookie)
      expect(await kept()).toBe(keptBefore + 1)
    }
  })

  test('without a change, what was read is kept', async () => {
    const { cookie } = await signInAt(aside)
    const keptBefore = await kept()
    const { status } = await checkAround(cookie, async () => undefined)
    expect(status).toBe(200)
    expect(await kept()).toBe(keptBefore + 1)
  })
})
