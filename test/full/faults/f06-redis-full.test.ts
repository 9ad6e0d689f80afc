import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  expectComeAgain,
  expectHealthy,
  expectOthersServed,
  redisErrors,
  signOut,
} from '../../support/outage.ts'
import { APP } from '../../support/relying-party.ts'
import { type Replicas, startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'

describeWithRedis('F06 Redis is full', () => {
  let replicas: Replicas
  beforeAll(async () => {
    replicas = await startReplicas({ count: 2 })
  })
  const fill = () => replicas.redis.cli('CONFIG', 'SET', 'maxmemory', '200kb')
  const makeRoom = () => replicas.redis.cli('CONFIG', 'SET', 'maxmemory', '0')
  afterEach(async () => void (await makeRoom()))
  afterAll(() => replicas[Symbol.asyncDispose]())

  test('reads go on, a sign-in waits with its code unspent, and a reload finishes it', async () => {
    const { first, all, provider } = replicas
    const { browser, cookie } = await replicas.signedIn()
    const { browser: other, callbackUrl } = await replicas.untilCallback('bob')
    const cookiesBefore = other.cookies.all()
    await fill()
    provider.forgetRequests()
    for (let round = 0; round < 20; round += 1) {
      for (const replica of all) {
        expect((await replica.check({}, { Cookie: cookie })).status).toBe(200)
      }
    }
    expect((await browser.get(`${APP}/oauth2/me`)).status).toBe(200)
    expectComeAgain(await other.get(callbackUrl))
    expect(provider.count('token')).toBe(0)
    expect(other.cookies.all()).toEqual(cookiesBefore)
    expect(await redisErrors(first, 'full')).toBeGreaterThan(0)
    expect(await redisErrors(first, 'data')).toBe(0)
    await expectHealthy(first)
    await expectOthersServed(first)

    await makeRoom()
    expect((await other.get(callbackUrl)).location).toBe(`${APP}/`)
    expect(other.cookies.find(SESSION_COOKIE)).toBeDefined()
    expect(provider.count('token')).toBe(1)
  })

  test('a sign-out works and counts on every replica, also once there is room again', async () => {
    const { all, provider } = replicas
    const { browser, cookie } = await replicas.signedIn()
    for (const replica of all) await replica.check({}, { Cookie: cookie })
    await fill()
    provider.forgetRequests()
    const answer = await signOut(browser)
    expect(answer.status).toBe(303)
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    for (const replica of all) {
      expect((await replica.check({}, { Cookie: cookie })).status).toBe(302)
    }
    await makeRoom()
    for (const replica of all) {
      expect((await replica.check({}, { Cookie: cookie })).status).toBe(302)
      expect(replica.isAlive()).toBe(true)
    }
  })

  test('full between the code and the session: 503 without a session, and a way on that works', async () => {
    const { provider, first } = replicas
    const { browser, callbackUrl } = await replicas.untilCallback()
    provider.set('token', {
      rewrite: async (body) => {
        await fill()
        return body
      },
      times: 1,
    })
    expectComeAgain(await browser.get(callbackUrl))
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    await makeRoom()
    const again = await browser.get(callbackUrl)
    expect(again.status).toBe(400)
    expect(again.headers['refresh']).toBeUndefined()
    expect(again.body).not.toContain('http-equiv="refresh"')
    const link = /href="([^"]+)"[^>]*>Sign in again/.exec(again.body)?.[1]?.replaceAll('&amp;', '&')
    await browser.browse(String(link))
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    await expectOthersServed(first)
  })
})
