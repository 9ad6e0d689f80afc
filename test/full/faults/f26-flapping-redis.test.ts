import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import * as checkLoad from '../../support/check-load.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { signInAt } from '../../support/hybrid-replicas.ts'
import * as outage from '../../support/outage.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const FLAPS = 6
const HALF_MS = 1000

const modes = [
  // Short, so that active users are asked about again and again.
  ['hybrid', { REDIS_CACHE_MODE: 'hybrid', REDIS_HYBRID_L1_TTL: '1' }, 0],
  ['redis', { REDIS_CACHE_MODE: 'redis' }, 1],
] as const

describeWithRedis('F26 Redis comes and goes', () => {
  test.for(modes)('in %s mode active users notice nothing', async ([, settings, minOpened]) => {
    await using replicas = await startReplicas({ count: 2, settings })
    const { all, first, redis, provider } = replicas
    /** Lets nobody in whom Redis does not confirm, so that it shows what Redis is like. */
    const strict = await replicas.add(outage.WITHOUT_GRACE)
    const { cookie } = await signInAt(first)
    await outage.expectStatus(200, all, cookie)
    const load = { perSecond: 100, connections: 4 }
    const active = checkLoad.startCheckLoads(all, cookie, load)
    const exposed = checkLoad.startCheckLoad(strict.internalPort, cookie, load)
    await wait(300)
    provider.forgetRequests()
    for (let flap = 0; flap < FLAPS; flap += 1) {
      await redis.pause()
      await wait(HALF_MS)
      await redis.resume()
      await wait(HALF_MS)
    }
    await Promise.all([
      ...all.map((replica) => outage.expectRecovery(replica, cookie)),
      untilWhole([...all, strict], 10_000),
    ])
    await outage.expectRecovery(strict, cookie)
    await exposed.stop()
    await checkLoad.expectUndisturbed(active)
    for (const each of active) checkLoad.expectInTime(each)
    checkLoad.expectAllowedOrDeferred(exposed)
    expect(provider.count('token')).toBe(0)
    for (const replica of [...all, strict]) {
      for (const breaker of ['read', 'write']) {
        const [opened, closed] = await changesOf(replica, breaker)
        if (breaker === 'read') expect(opened).toBeGreaterThanOrEqual(minOpened)
        expect(opened).toBeLessThanOrEqual(FLAPS)
        expect(closed).toBeLessThanOrEqual(FLAPS)
      }
      expect(outage.countEvents(replica, 'circuit_breaker_open')).toBeLessThanOrEqual(2 * FLAPS)
      expect(outage.countEvents(replica, 'unhandled_rejection')).toBe(0)
      await outage.untilHealthy(replica)
      await outage.expectHealthy(replica)
    }
  })
})

function changesOf(replica: RunningVestibule, breaker: string) {
  return Promise.all(
    ['open', 'closed'].map((state) =>
      outage.readMetric(
        replica,
        `vestibule_circuit_breaker_changes_total{breaker="${breaker}",state="${state}"}`,
      ),
    ),
  )
}
