import { test } from 'vitest'
import { statusAt } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import * as outage from '../../support/outage.ts'
import { beginSignIn, startOutageCourse } from '../../support/outage-course.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { type Replicas, startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'

const REDIS_WRITE_TIMEOUT = '1'
const holes = [
  [
    'packets are dropped',
    async ({ network }: Replicas) => network.blackhole(),
    async ({ network }: Replicas) => network.flow(),
  ],
  [
    'the process is stopped',
    ({ redis }: Replicas) => redis.pause(),
    ({ redis }: Replicas) => redis.resume(),
  ],
] as const

describeWithRedis.concurrent('F04 Redis is a black hole', () => {
  test.for(holes)(
    '%s: checks are refused or served from what is known in time, nobody is signed out, and replicas recover',
    async ([what, open, close], { expect }) => {
      const settings = { REDIS_WRITE_TIMEOUT, ...outage.WITHOUT_GRACE }
      await using replicas = await startReplicas({ settings })
      const { first } = replicas
      const { browser: leaving, cookie: left } = await replicas.signedIn('bob')
      const course = await startOutageCourse(replicas)

      await open(replicas)
      const attempt = await timed(course.signIn.expectDeferred())
      expect(attempt.ownMs).toBeLessThan(1250 + BUSY_MS)
      await course.expectDegraded()
      const signedOut = await timed(outage.signOut(leaving))
      outage.expectSignOutPending(leaving, signedOut.value)
      expect(signedOut.ownMs).toBeLessThan(3250 + BUSY_MS)
      await outage.untilMetric(first, 'vestibule_redis_connected', 0)
      expect(outage.countEvents(first, 'redis_disconnected')).toBe(1)
      await outage.expectChecksRefused(first, course.cookie)
      expect(await outage.redisErrors(first, 'deadline')).toBeGreaterThan(0)

      await close(replicas)
      await course.expectRecovered(`F04 ${what}`)
      await outage.expectEndedEverywhere(`F04 ${what}`, [first], [left])
      expect(outage.countEvents(first, 'redis_disconnected')).toBe(1)
      expect((await replicas.signedIn('bob')).cookie).toContain(SESSION_COOKIE)
      expect((await outage.signOut(course.browser)).status).toBe(303)
      expect(await statusAt(first, course.cookie)).toBe(302)
      await outage.expectOthersServed(first)
    },
  )

  test.for(holes)(
    '%s: a sign-in that was given up is finished by a reload',
    async ([what, open, close], { expect }) => {
      await using replicas = await startReplicas({ settings: { REDIS_WRITE_TIMEOUT } })
      const signIn = await beginSignIn(replicas, 'alice')
      await open(replicas)
      await signIn.expectDeferred()
      await close(replicas)
      await outage.untilHealthy(`F04 ${what}`, replicas.first)
      expect((await signIn.follow()).status).toBe(302)
      expect(signIn.browser.cookies.find(SESSION_COOKIE)).toBeDefined()
      expect(replicas.provider.count('token')).toBe(1)
    },
  )
})
