import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  expectAllowedOrDeferred,
  expectInTime,
  expectUndisturbed,
  startCheckLoad,
  startCheckLoads,
} from '../../support/check-load.ts'
import { statusAt } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import * as outage from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { prepareReplicas } from '../../support/prepared-replicas.ts'
import { until } from '../../support/redis-state.ts'
import { expectGoesOn } from '../../support/refreshing-replicas.ts'
import { startReplicas } from '../../support/replicas.ts'

const USERS = Array.from({ length: 5 }, (_, at) => `user-${at}`)

/** Silence after which a connection is given up. */
const STALLED_AFTER_MS = 2000

const freezes = [
  ['for longer than a connection may be silent', 3000],
  ['for less than a connection may be silent', 1000],
] as const

describeWithRedis('F05 Redis is frozen and continues', () => {
  const replicas = prepared(() => {
    const provider = { users: USERS.map((sub) => ({ sub })) }
    return startReplicas({ count: 2, settings: outage.WITHOUT_GRACE, provider })
  })

  test.for(freezes)(
    '%s (%i ms): no reply is given to another user, and all go on with their cookies',
    async ([what, ms]) => {
      const { redis, all, first } = replicas()
      const people = await Promise.all(
        USERS.map(async (user) => ({ user, ...(await replicas().signedIn(user)) })),
      )
      const [user = '', cookie = ''] = [USERS[0], people[0]?.cookie]
      const load = { perSecond: 40, connections: 8 }
      const loads = people.map((each) => startCheckLoads(all, each.cookie, load))
      const prepared = await prepareReplicas(replicas(), cookie, user)
      const calm = startCheckLoad(prepared.knowing.internalPort, prepared.cookie, {
        perSecond: 40,
        connections: 4,
      })
      await wait(300)
      const lossesBefore = outage.countEvents(first, 'redis_disconnected')
      await redis.pause()
      const frozenAtMs = performance.now()
      if (ms > STALLED_AFTER_MS) {
        await wait(ms / 2)
        await outage.expectOthersServed(first)
        await outage.expectUnhealthy(first)
        await prepared.expectGoingOn()
      }
      await wait(Math.max(0, frozenAtMs + ms - performance.now()))
      const frozenMs = performance.now() - frozenAtMs
      await redis.resume()
      await outage.expectRecovery(`F05 ${what}`, first, cookie, user)
      await wait(500)
      await Promise.all(loads.flat().map((each) => each.stop()))
      for (const [at, each] of loads.flat().entries()) {
        expectAllowedOrDeferred(each, USERS[Math.floor(at / all.length)])
        expect(each.statuses()).toEqual([200, 503])
        expectInTime(each)
      }
      await expectUndisturbed([calm], user)
      for (const each of people) await expectGoesOn(all, each.cookie, each.user)
      // Answers in flight take longer on a busy machine.
      const maxLosses = frozenMs < STALLED_AFTER_MS - 500 ? 0 : 1
      const losses = outage.countEvents(first, 'redis_disconnected') - lossesBefore
      expect(losses).toBeLessThanOrEqual(maxLosses)
      await outage.expectHealthy(first)
    },
  )

  test('a command that blocks Redis for a while has the same effect', async () => {
    const { redis, first } = replicas()
    const { cookie } = await replicas().signedIn('user-0')
    const slept = redis.cli('DEBUG', 'SLEEP', '1')
    await until('a check that is refused', async () => {
      const status = await statusAt(first, cookie)
      expect([200, 503]).toContain(status)
      return status === 503
    })
    await slept
    await outage.expectRecovery('F05 DEBUG SLEEP', first, cookie, 'user-0')
  })
})
