import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import * as checkLoad from '../../support/check-load.ts'
import * as outage from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { prepareReplicas } from '../../support/prepared-replicas.ts'
import { expectGoesOn } from '../../support/refreshing-replicas.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'

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

  test.for(freezes)('%s (%i ms): no user gets the reply of another', async ([, ms]) => {
    const { redis, all, first } = replicas()
    const people = await Promise.all(
      USERS.map(async (user) => ({ user, ...(await replicas().signedIn(user)) })),
    )
    const [user = '', cookie = ''] = [USERS[0], people[0]?.cookie]
    const load = { perSecond: 40, connections: 8 }
    const loads = people.map((each) => checkLoad.startCheckLoads(all, each.cookie, load))
    const prepared = await prepareReplicas(replicas(), cookie, user)
    const calm = checkLoad.startCheckLoad(prepared.knowing.internalPort, prepared.cookie, {
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
    await outage.expectRecovery(first, cookie, user)
    await wait(500)
    await Promise.all(loads.flat().map((each) => each.stop()))
    for (const [at, each] of loads.flat().entries()) {
      checkLoad.expectAllowedOrDeferred(each, USERS[Math.floor(at / all.length)])
      expect(each.statuses()).toEqual([200, 503])
      checkLoad.expectInTime(each)
    }
    await checkLoad.expectUndisturbed([calm], user)
    for (const each of people) await expectGoesOn(all, each.cookie, each.user)
    // Answers in flight take longer on a busy machine.
    const maxLosses = frozenMs < STALLED_AFTER_MS - 500 ? 0 : 1
    const losses = outage.countEvents(first, 'redis_disconnected') - lossesBefore
    expect(losses).toBeLessThanOrEqual(maxLosses)
    await outage.expectHealthy(first)
  })
})
