import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { expectUnnoticed, startFleetLoad } from '../../support/fleet-load.ts'
import { isBackplaneHealthy, untilBackplaneHealthy } from '../../support/hybrid-replicas.ts'
import { makeSessions } from '../../support/made-sessions.ts'
import { expectHealthy, readMetric } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { infoOf } from '../../support/redis.ts'
import { APP } from '../../support/relying-party.ts'
import { describeWithRedis, HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'
import { createVisitor } from '../../support/visitor.ts'

/** `F27_USERS=5000 F27_OUTAGE_MS=60000` is the full measure. */
const USERS = Number(process.env['F27_USERS'] ?? 300)
const OUTAGE_MS = Number(process.env['F27_OUTAGE_MS'] ?? 4000)
const REPLICAS = 2

/** Time within which all users have asked everywhere. */
const ROUND_WITHIN_MS = 60_000 + 10 * USERS

/** Each replica asks for the name of the data, and may have asked for a few sessions when Redis stopped. */
const MORE_PER_REPLICA = 50

const timeout = OUTAGE_MS + 3 * ROUND_WITHIN_MS

describeWithRedis('F27 everybody comes back at once', () => {
  test('after an outage Redis is read once for each user and replica, and the provider is not asked', {
    timeout,
  }, async () => {
    const L1 = { REDIS_HYBRID_L1_TTL: '30', REDIS_HYBRID_L1_MEMORY_MB: '100' }
    const settings = { ...HYBRID, ...PATIENT, ...L1, REDIS_HYBRID_L1_SIZE: `${USERS + 10}` }
    await using replicas = await startReplicas({ count: REPLICAS, settings })
    const { all, redis, provider } = replicas
    const people = (await makeSessions(redis, USERS)).map(({ sub, cookie }) => {
      const browser = createVisitor()
      browser.cookies.set(`${cookie}; Path=/; Secure; HttpOnly`, new URL(APP))
      return { user: sub, browser }
    })
    await Promise.all(all.map(untilBackplaneHealthy))
    const load = await startFleetLoad(all, people, { perSecond: 1000 })
    for (const replica of all) {
      const inMemory = () => readMetric(replica, 'vestibule_l1_sessions')
      await until('all in memory', async () => (await inMemory()) >= USERS, ROUND_WITHIN_MS)
    }
    await load.warm()
    provider.forgetRequests()
    const reads = () => infoOf(redis, 'commandstats', 'cmdstat_get:calls=')
    const readsBefore = await reads()
    await redis.pause()
    await wait(OUTAGE_MS)
    await redis.resume()
    const lookups = () => Promise.all(all.map(bypassedOrMissed))
    const areRemembered = async () => {
      const before = await lookups()
      await load.more(2 * USERS)
      const [after, healthy] = [await lookups(), await Promise.all(all.map(isBackplaneHealthy))]
      return healthy.every(Boolean) && after.every((count, at) => count === before[at])
    }
    await until('F27 everybody out of memory again', areRemembered, ROUND_WITHIN_MS)
    const asked = (await reads()) - readsBefore
    expectUnnoticed(await load.stop())
    expect(asked).toBeGreaterThanOrEqual(USERS)
    expect(asked).toBeLessThanOrEqual(REPLICAS * (USERS + MORE_PER_REPLICA))
    for (const endpoint of ['authorization', 'token', 'userinfo'] as const) {
      expect(provider.count(endpoint)).toBe(0)
    }
    for (const replica of all) await expectHealthy(replica)
  })
})

async function bypassedOrMissed(replica: RunningVestibule): Promise<number> {
  const counts = await Promise.all(
    ['bypassed', 'miss'].map((result) =>
      readMetric(replica, `vestibule_l1_lookups_total{result="${result}"}`),
    ),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}
