import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'vitest'
import {
  expectAllowedOrDeferred,
  expectInTime,
  expectUndisturbed,
  startCheckLoad,
  startCheckLoads,
} from '../../support/check-load.ts'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { signInAt } from '../../support/hybrid-replicas.ts'
import * as outage from '../../support/outage.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { startReplicas } from '../../support/replicas.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const FLAPS = 6
const HALF_MS = 1000

const modes = [
  // Short, so that active users are asked about again and again.
  ['hybrid', { REDIS_CACHE_MODE: 'hybrid', REDIS_HYBRID_L1_TTL: '1' }, 0],
  ['redis', { REDIS_CACHE_MODE: 'redis' }, 1],
] as const

describeWithRedis('F26 Redis comes and goes', () => {
  test.for(modes)(
    'once a second, in %s mode: active users notice nothing, and no breaker flaps',
    async ([mode, settings, minOpened], { expect }) => {
      await using replicas = await startReplicas({ count: 2, settings })
      const { all, first, redis, provider } = replicas
      /** Lets nobody in whom Redis does not confirm, so that it shows what Redis is like. */
      const strict = await replicas.add(outage.WITHOUT_GRACE)
      const { cookie } = await signInAt(first)
      await expectStatus(200, all, cookie)
      const load = { perSecond: 100, connections: 4 }
      const active = startCheckLoads(all, cookie, load)
      const exposed = startCheckLoad(strict.internalPort, cookie, load)
      await wait(300)
      provider.forgetRequests()
      for (let flap = 0; flap < FLAPS; flap += 1) {
        await redis.pause()
        await wait(HALF_MS)
        await redis.resume()
        await wait(HALF_MS)
      }
      const back = all.map((replica) =>
        outage.expectRecovery(`F26 flapping, ${mode} mode`, replica, cookie),
      )
      await Promise.all([
        ...back,
        until('closed breakers', async () => areClosed([...all, strict]), 10_000),
      ])
      await outage.expectRecovery(`F26 flapping, ${mode} mode without a grace`, strict, cookie)
      await exposed.stop()
      await expectUndisturbed(active)
      for (const each of active) expectInTime(each)
      expectAllowedOrDeferred(exposed)
      expect(provider.count('token')).toBe(0)
      for (const replica of [...all, strict]) {
        for (const breaker of ['read', 'write']) {
          const [opened, tried, closed] = await changesOf(replica, breaker)
          print(
            `F26 ${mode} mode, ${breaker} breaker: opened ${opened}, tried ${tried}, closed ${closed}`,
          )
          if (breaker === 'read') expect(opened).toBeGreaterThanOrEqual(minOpened)
          expect(opened).toBeLessThanOrEqual(FLAPS)
          expect(closed).toBeLessThanOrEqual(FLAPS)
        }
        expect(outage.countEvents(replica, 'circuit_breaker_open')).toBeLessThanOrEqual(2 * FLAPS)
        expect(outage.countEvents(replica, 'unhandled_rejection')).toBe(0)
        await outage.untilHealthy(`F26 ${mode} mode`, replica)
        await outage.expectHealthy(replica)
      }
    },
  )
})

function changesOf(replica: RunningVestibule, breaker: string) {
  return Promise.all(
    ['open', 'half-open', 'closed'].map((state) =>
      outage.readMetric(
        replica,
        `vestibule_circuit_breaker_changes_total{breaker="${breaker}",state="${state}"}`,
      ),
    ),
  )
}

async function areClosed(replicas: readonly RunningVestibule[]): Promise<boolean> {
  const states = await Promise.all(
    replicas.flatMap((replica) =>
      ['read', 'write'].map((breaker) =>
        outage.readMetric(replica, `vestibule_circuit_breaker_state{breaker="${breaker}"}`),
      ),
    ),
  )
  return states.every((state) => state === 0)
}
