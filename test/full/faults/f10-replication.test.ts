import { expect, test } from 'vitest'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import * as outage from '../../support/outage.ts'
import { beginSignIn, startOutageCourse } from '../../support/outage-course.ts'
import { prepared } from '../../support/prepared.ts'
import { startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'

describeWithRedis('F10 replication is broken', () => {
  const replicas = prepared(() => startReplicas({ count: 2, settings: outage.WITHOUT_GRACE }))

  test('a Redis replica that answers MASTERDOWN decides nothing about a session', async () => {
    const { first, redis } = replicas()
    const { browser: leaving, cookie: left } = await replicas().signedIn('bob')
    const course = await startOutageCourse(replicas())
    await redis.cli('CONFIG', 'SET', 'replica-serve-stale-data', 'no')
    await redis.cli('REPLICAOF', '127.0.0.1', '9')
    await course.expectDegraded()
    outage.expectSignOutPending(leaving, await outage.signOut(leaving))
    expect(course.browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    expect(await outage.redisErrors(first, 'replication')).toBeGreaterThan(0)

    await redis.cli('REPLICAOF', 'NO', 'ONE')
    await redis.cli('CONFIG', 'SET', 'replica-serve-stale-data', 'yes')
    await course.expectRecovered('F10 MASTERDOWN')
    await outage.expectEndedEverywhere('F10 MASTERDOWN', [first], [left])
    expect((await outage.signOut(course.browser)).status).toBe(303)
  })

  test('a primary with too few replicas is read and not written', async () => {
    const { first, all, redis } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    const { cookie: staying } = await replicas().signedIn()
    const signIn = await beginSignIn(replicas())
    const lossesBefore = outage.countEvents(first, 'redis_disconnected')
    const failedBefore = await outage.redisErrors(first, 'replication')
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '2')
    await expectStatus(200, first, cookie)
    await outage.expectHealthy(first)
    await signIn.expectDeferred()
    await outage.expectSignOutDeferred(first, browser)
    await expectStatus(200, first, staying)
    expect(await outage.redisErrors(first, 'replication')).toBeGreaterThan(failedBefore)
    expect(outage.countEvents(first, 'redis_disconnected')).toBe(lossesBefore)

    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0')
    await signIn.expectFinished()
    await outage.expectEndedEverywhere('F10 sign-out', all, [cookie])
    await expectStatus(200, first, staying)
    await outage.expectOthersServed(first)
  })
})
