import { afterEach, expect, test } from 'vitest'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import * as outage from '../../support/outage.ts'
import { beginSignIn } from '../../support/outage-course.ts'
import { prepared } from '../../support/prepared.ts'
import { APP } from '../../support/relying-party.ts'
import { startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'

describeWithRedis('F06 Redis is full', () => {
  const replicas = prepared(() => startReplicas({ count: 2 }))
  const fill = () => replicas().redis.cli('CONFIG', 'SET', 'maxmemory', '200kb')
  const makeRoom = () => replicas().redis.cli('CONFIG', 'SET', 'maxmemory', '0')
  afterEach(async () => void (await makeRoom()))

  test('reads go on, a sign-in is deferred with its code unspent, and a reload finishes it', async () => {
    const { first, all, provider } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    const signIn = await beginSignIn(replicas())
    const cookiesBefore = signIn.browser.cookies.all()
    await fill()
    for (let round = 0; round < 20; round += 1) await expectStatus(200, all, cookie)
    expect((await browser.get(`${APP}/oauth2/me`)).status).toBe(200)
    await signIn.expectDeferred()
    expect(signIn.browser.cookies.all()).toEqual(cookiesBefore)
    expect(await outage.redisErrors(first, 'full')).toBeGreaterThan(0)
    expect(await outage.redisErrors(first, 'data')).toBe(0)
    await outage.expectHealthy(first)
    await outage.expectOthersServed(first)

    await makeRoom()
    expect((await signIn.follow()).location).toBe(`${APP}/`)
    expect(signIn.browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    expect(provider.count('token')).toBe(1)
  })

  test('a sign-out counts at every replica, also once there is room again', async () => {
    const { all } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    await expectStatus(200, all, cookie)
    await fill()
    expect((await outage.signOut(browser)).status).toBe(303)
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    await expectStatus(302, all, cookie)
    await makeRoom()
    await expectStatus(302, all, cookie)
    expect(all.map((replica) => replica.isAlive())).toEqual([true, true])
  })

  test('filled between code and session, a sign-in is a 503 without a session, and the next page leads on', async () => {
    const { provider, first } = replicas()
    const { browser, callbackUrl } = await replicas().untilCallback()
    const rewrite = async (body: Record<string, unknown>) => {
      await fill()
      return body
    }
    provider.set('token', { rewrite, times: 1 })
    outage.expectComeAgain(await browser.get(callbackUrl))
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    await makeRoom()
    const again = await browser.get(callbackUrl)
    expect([again.status, again.headers['refresh']]).toEqual([400, undefined])
    expect(again.body).not.toContain('http-equiv="refresh"')
    const link = /href="([^"]+)"[^>]*>Sign in again/.exec(again.body)?.[1]?.replaceAll('&amp;', '&')
    await browser.browse(String(link))
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    await outage.expectOthersServed(first)
  })
})
