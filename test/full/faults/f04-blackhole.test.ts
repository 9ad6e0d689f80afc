import { test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  countEvents,
  expectChecksRefused,
  expectComeAgain,
  expectEndedEverywhere,
  expectHealthy,
  expectOthersServed,
  expectRecovery,
  expectSignOutPending,
  expectUnhealthy,
  readMetric,
  redisErrors,
  signOut,
  WITHOUT_GRACE,
} from '../../support/outage.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { prepareReplicas } from '../../support/prepared-replicas.ts'
import { until } from '../../support/redis-state.ts'
import { type Replicas, startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'

const holes = [
  [
    'packets that are dropped',
    async ({ network }: Replicas) => network.blackhole(),
    async ({ network }: Replicas) => network.flow(),
  ],
  [
    'a process that is stopped',
    ({ redis }: Replicas) => redis.pause(),
    ({ redis }: Replicas) => redis.resume(),
  ],
] as const

describeWithRedis.concurrent('F04 blackhole', () => {
  test.for(holes)(
    '%s: checks give up in time or stand on what was known, nobody is signed out, and it comes back by itself',
    async ([what, open, close], { expect }) => {
      await using replicas = await startReplicas({
        settings: { REDIS_WRITE_TIMEOUT: '1', ...WITHOUT_GRACE },
      })
      const { first, provider } = replicas
      const { browser, cookie } = await replicas.signedIn()
      const { browser: leaving, cookie: left } = await replicas.signedIn('bob')
      const prepared = await prepareReplicas(replicas, cookie)
      const { browser: other, callbackUrl } = await replicas.untilCallback('bob')
      provider.forgetRequests()

      await open(replicas)
      await expectChecksRefused(first, cookie)
      await prepared.expectGoingOn()
      await expectOthersServed(first)
      await expectUnhealthy(first)

      const attempt = await timed(other.get(callbackUrl))
      expectComeAgain(attempt.value)
      expect(attempt.ownMs).toBeLessThan(1250 + BUSY_MS)
      expect(provider.count('token')).toBe(0)
      const signedOut = await timed(signOut(leaving))
      expectSignOutPending(leaving, signedOut.value)
      expect(signedOut.ownMs).toBeLessThan(3250 + BUSY_MS)

      await until(
        'the connection is given up',
        async () => (await readMetric(first, 'vestibule_redis_connected')) === 0,
      )
      expect(countEvents(first, 'redis_disconnected')).toBe(1)
      await expectChecksRefused(first, cookie)
      expect(await redisErrors(first, 'deadline')).toBeGreaterThan(0)

      await close(replicas)
      await expectRecovery(`F04 ${what}`, first, cookie)
      await expectEndedEverywhere(`F04 ${what}`, [first], [left])
      await expectHealthy(first)
      expect(countEvents(first, 'redis_disconnected')).toBe(1)
      expect((await replicas.signedIn('bob')).cookie).toContain(SESSION_COOKIE)
      expect((await signOut(browser)).status).toBe(303)
      expect((await first.check({}, { Cookie: cookie })).status).toBe(302)
      await expectOthersServed(first)
    },
  )

  test.for(holes)(
    '%s: a sign-in that was given up is finished by a reload',
    async ([, open, close], { expect }) => {
      await using replicas = await startReplicas({ settings: { REDIS_WRITE_TIMEOUT: '1' } })
      const { first, provider } = replicas
      const { browser, callbackUrl } = await replicas.untilCallback()
      provider.forgetRequests()
      await open(replicas)
      expectComeAgain(await browser.get(callbackUrl))
      expect(provider.count('token')).toBe(0)
      await close(replicas)
      await until(
        'a healthy Redis',
        async () => (await first.internal('/health?strict=1')).status === 200,
      )
      const again = await browser.get(callbackUrl)
      expect(again.status).toBe(302)
      expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
      expect(provider.count('token')).toBe(1)
    },
  )
})
