import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../support/describe-with-redis.ts'
import {
  countEvents,
  expectChecksRefused,
  expectComeAgain,
  expectHealthy,
  expectOthersServed,
  expectRecovery,
  expectUnhealthy,
  redisErrors,
  signOut,
} from '../support/outage.ts'
import { APP } from '../support/relying-party.ts'
import { type Replicas, startReplicas } from '../support/replicas.ts'
import { SESSION_COOKIE } from '../support/sign-in-steps.ts'

describeWithRedis('F10 replication is broken', () => {
  let replicas: Replicas
  beforeAll(async () => {
    replicas = await startReplicas()
  })
  afterAll(() => replicas[Symbol.asyncDispose]())

  // The catalogue's 200 from an assertion comes with outage assertions; until then it is 503.
  test('a replica that lost its primary and says so answers nobody’s check', async () => {
    const { first, redis, provider } = replicas
    const { browser, cookie } = await replicas.signedIn()
    const { browser: other, callbackUrl } = await replicas.untilCallback('bob')
    provider.forgetRequests()
    await redis.cli('CONFIG', 'SET', 'replica-serve-stale-data', 'no')
    await redis.cli('REPLICAOF', '127.0.0.1', '9')
    await expectChecksRefused(first, cookie)
    await expectUnhealthy(first)
    await expectOthersServed(first)
    expectComeAgain(await signOut(browser), 'quiet page')
    expectComeAgain(await other.get(callbackUrl))
    expect(provider.count('token')).toBe(0)
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    expect(await redisErrors(first, 'replication')).toBeGreaterThan(0)

    await redis.cli('REPLICAOF', 'NO', 'ONE')
    await redis.cli('CONFIG', 'SET', 'replica-serve-stale-data', 'yes')
    await expectRecovery('F10 MASTERDOWN', first, cookie)
    await expectHealthy(first)
    expect((await other.get(callbackUrl)).location).toBe(`${APP}/`)
    expect((await signOut(browser)).status).toBe(303)
  })

  test('a primary with too few replicas is read and not written', async () => {
    const { first, redis, provider } = replicas
    const { browser, cookie } = await replicas.signedIn()
    const { browser: other, callbackUrl } = await replicas.untilCallback('bob')
    provider.forgetRequests()
    const lossesBefore = countEvents(first, 'redis_disconnected')
    const failedBefore = await redisErrors(first, 'replication')
    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '2')
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    await expectHealthy(first)
    expectComeAgain(await other.get(callbackUrl))
    expect(provider.count('token')).toBe(0)
    expectComeAgain(await signOut(browser), 'quiet page')
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    expect(await redisErrors(first, 'replication')).toBeGreaterThan(failedBefore)
    expect(countEvents(first, 'redis_disconnected')).toBe(lossesBefore)

    await redis.cli('CONFIG', 'SET', 'min-replicas-to-write', '0')
    expect((await other.get(callbackUrl)).location).toBe(`${APP}/`)
    expect((await signOut(browser)).status).toBe(303)
    expect((await first.check({}, { Cookie: cookie })).status).toBe(302)
    await expectOthersServed(first)
  })
})
