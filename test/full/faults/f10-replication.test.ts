import { expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  countEvents,
  expectChecksRefused,
  expectComeAgain,
  expectEndedEverywhere,
  expectHealthy,
  expectOthersServed,
  expectRecovery,
  expectSignInFinished,
  expectSignOutDeferred,
  expectSignOutPending,
  expectUnhealthy,
  redisErrors,
  signOut,
  WITHOUT_GRACE,
} from '../../support/outage.ts'
import { prepareReplicas } from '../../support/prepared-replicas.ts'
import { startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { startedForAll } from '../../support/started-for-all.ts'

describeWithRedis('F10 replication is broken', () => {
  const replicas = startedForAll(() => startReplicas({ count: 2, settings: WITHOUT_GRACE }))

  test('a replica that lost its primary and says so is no authority on anybody’s session', async () => {
    const { first, redis, provider } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    const { browser: leaving, cookie: left } = await replicas().signedIn('bob')
    const prepared = await prepareReplicas(replicas(), cookie)
    const { browser: other, callbackUrl } = await replicas().untilCallback('bob')
    provider.forgetRequests()
    await redis.cli('CONFIG', 'SET', 'replica-serve-stale-data', 'no')
    await redis.cli('REPLICAOF', '127.0.0.1', '9')
    await expectChecksRefused(first, cookie)
    await prepared.expectGoingOn()
    await expectUnhealthy(first)
    await expectOthersServed(first)
    expectSignOutPending(leaving, await signOut(leaving))
    expectComeAgain(await other.get(callbackUrl))
    expect(provider.count('token')).toBe(0)
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    expect(await redisErrors(first, 'replication')).toBeGreaterThan(0)

    await redis.cli('REPLICAOF', 'NO', 'ONE')
    await redis.cli('CONFIG', 'SET', 'replica-serve-stale-data', 'yes')
    await expectRecovery('F10 MASTERDOWN', first, cookie)
    await expectEndedEverywhere('F10 MASTERDOWN', [first], [left])
    await expectHealthy(first)
    await expectSignInFinished(other, callbackUrl)
    expect((await signOut(browser)).status).toBe(303)
  })

  test('a primary with too few replicas is read and not written', async () => {
    const { first, all, redis, provider } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    const { cookie: staying } = await replicas().signedIn()
    const { browser: other, callbackUrl } = await replicas().untilCallback('bob')
    provider.forgetRequests()
    const lossesBefore = countEvents(first, 'redis_disconnected')
    const failedBefore = await redisErrors(first, 'replication')
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '2')
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    await expectHealthy(first)
    expectComeAgain(await other.get(callbackUrl))
    expect(provider.count('token')).toBe(0)
    await expectSignOutDeferred(first, browser)
    expect((await first.check({}, { Cookie: staying })).status).toBe(200)
    expect(await redisErrors(first, 'replication')).toBeGreaterThan(failedBefore)
    expect(countEvents(first, 'redis_disconnected')).toBe(lossesBefore)

    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0')
    await expectSignInFinished(other, callbackUrl)
    await expectEndedEverywhere('F10 sign-out', all, [cookie])
    expect((await first.check({}, { Cookie: staying })).status).toBe(200)
    await expectOthersServed(first)
  })
})
