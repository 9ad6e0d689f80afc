import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectInTime, startCheckLoad } from '../../support/check-load.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  countEvents,
  expectHealthy,
  expectOthersServed,
  expectRecovery,
  expectUnhealthy,
  WITHOUT_GRACE,
} from '../../support/outage.ts'
import { prepareReplicas } from '../../support/prepared-replicas.ts'
import { until } from '../../support/redis-state.ts'
import { type Replicas, startReplicas } from '../../support/replicas.ts'

const USERS = Array.from({ length: 5 }, (_, at) => `user-${at}`)

/** A connection that has said nothing for longer is given up. */
const STALLED_AFTER_MS = 2000

const freezes = [
  ['stopped and continued', 3000],
  ['stopped for less than a connection is given', 1000],
] as const

describeWithRedis('F05 Redis frozen and back', () => {
  let replicas: Replicas
  beforeAll(async () => {
    const users = USERS.map((sub) => ({ sub }))
    replicas = await startReplicas({ count: 2, settings: WITHOUT_GRACE, provider: { users } })
  })
  afterAll(() => replicas[Symbol.asyncDispose]())

  test.for(freezes)(
    '%s (%i ms): nobody is taken for somebody else, and all go on with the cookies they have',
    async ([what, ms], { expect }) => {
      const { redis, all, first } = replicas
      const people = await Promise.all(
        USERS.map(async (user) => ({ user, ...(await replicas.signedIn(user)) })),
      )
      const loads = people.flatMap(({ user, cookie }) =>
        all.map(({ internalPort }) => ({
          user,
          load: startCheckLoad(internalPort, cookie, { perSecond: 40, connections: 8 }),
        })),
      )
      const [somebody] = people
      const prepared = await prepareReplicas(replicas, String(somebody?.cookie), USERS[0])
      const calm = startCheckLoad(prepared.knowing.internalPort, prepared.cookie, {
        perSecond: 40,
        connections: 4,
      })
      await wait(300)
      const lossesBefore = countEvents(first, 'redis_disconnected')
      await redis.pause()
      const frozenAtMs = performance.now()
      if (ms > STALLED_AFTER_MS) {
        await wait(ms / 2)
        await expectOthersServed(first)
        await expectUnhealthy(first)
        await prepared.expectGoingOn()
      }
      await wait(Math.max(0, frozenAtMs + ms - performance.now()))
      const frozenMs = performance.now() - frozenAtMs
      await redis.resume()
      await expectRecovery(`F05 ${what}`, first, String(somebody?.cookie), USERS[0])
      await wait(500)
      await Promise.all([...loads.map(({ load }) => load), calm].map((load) => load.stop()))
      for (const { user, load } of loads) {
        expect(load.users).toEqual(new Set([user]))
        expect(load.oddities).toEqual([])
        expect(load.statuses()).toEqual([200, 503])
        expectInTime(load)
      }
      expect(calm.users).toEqual(new Set([USERS[0]]))
      expect(calm.oddities).toEqual([])
      expect(calm.statuses()).toEqual([200])
      for (const { user, cookie } of people) {
        for (const replica of all) {
          const { status, headers } = await replica.check({}, { Cookie: cookie })
          expect([status, headers['x-auth-request-user']]).toEqual([200, user])
        }
      }
      // What is on its way takes its time on a busy machine.
      const maxLosses = frozenMs < STALLED_AFTER_MS - 500 ? 0 : 1
      expect(countEvents(first, 'redis_disconnected') - lossesBefore).toBeLessThanOrEqual(maxLosses)
      await expectHealthy(first)
    },
  )

  test('a command that blocks it for a while is the same', async () => {
    const { redis, first } = replicas
    const { cookie } = await replicas.signedIn('user-0')
    const slept = redis.cli('DEBUG', 'SLEEP', '1')
    await until('a check that does not wait for it', async () => {
      const { status } = await first.check({}, { Cookie: cookie })
      expect([200, 503]).toContain(status)
      return status === 503
    })
    await slept
    await expectRecovery('F05 DEBUG SLEEP', first, cookie, 'user-0')
  })
})
