import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { expectOthersServed } from '../../support/outage.ts'
import { until } from '../../support/redis-state.ts'
import { readCounter } from '../../support/refusal.ts'
import { APP } from '../../support/relying-party.ts'
import { type Replicas, startReplicas } from '../../support/replicas.ts'
import { cookieHeader, expectFailedSignIn, SESSION_COOKIE } from '../../support/sign-in-steps.ts'

/** Each write of a sign-in, by what it looks like on the wire. */
const writes = [
  ['the mark of the login', /SET\r\n\$\d+\r\nvestibule:j:login:/],
  ['the mark of the ID token', /SET\r\n\$\d+\r\nvestibule:j:id-token:/],
  ['the index', /EVAL\r\n[\s\S]*ZADD/],
  ['the session', /EVAL\r\n[\s\S]*EXISTS/],
] as const

describeWithRedis('F02 a write that is applied and not answered', () => {
  let replicas: Replicas
  beforeAll(async () => {
    replicas = await startReplicas()
  })
  afterAll(() => replicas[Symbol.asyncDispose]())

  test.for(writes)(
    'a sign-in succeeds although the answer to %s is lost',
    async ([, write], { expect }) => {
      const { first, network, provider } = replicas
      const { browser, callbackUrl } = await replicas.untilCallback()
      provider.forgetRequests()
      const refusedBefore = await readCounter(first, 'replays_refused')
      const cut = network.cutAfterRequest(write)
      const answer = await browser.get(callbackUrl)
      await cut
      expect(answer.status).toBe(302)
      expect(answer.location).toBe(`${APP}/`)
      expect(provider.count('token')).toBe(1)
      expect(await readCounter(first, 'replays_refused')).toBe(refusedBefore)
      const checked = await first.check({}, { Cookie: cookieHeader(browser) })
      expect(checked.status).toBe(200)
      expect(checked.headers['x-auth-request-user']).toBe('alice')
    },
  )

  test('a sign-out succeeds although its answer is lost', async () => {
    const { first, network } = replicas
    const { browser, cookie } = await replicas.signedIn()
    const cut = network.cutAfterRequest(/EVAL\r\n[\s\S]*PUBLISH/)
    const answer = await browser.post(`${APP}/oauth2/logout`)
    await cut
    expect(answer.status).toBe(303)
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    expect((await first.check({}, { Cookie: cookie })).status).toBe(302)
  })

  test('a login that was used is refused all the same, also when that answer is lost', async () => {
    const { first, network, provider } = replicas
    const { browser, callbackUrl } = await replicas.untilCallback()
    const thief = browser.copy()
    expect((await browser.get(callbackUrl)).status).toBe(302)
    provider.forgetRequests()
    const refusedBefore = await readCounter(first, 'replays_refused')
    expectFailedSignIn(await thief.copy().get(callbackUrl))
    const cut = network.cutAfterRequest(/SET\r\n\$\d+\r\nvestibule:j:login:/)
    expectFailedSignIn(await thief.copy().get(callbackUrl))
    await cut
    expect(await readCounter(first, 'replays_refused')).toBe(refusedBefore + 2)
    expect(provider.count('token')).toBe(0)
    await until(
      'the connection',
      async () => (await first.check({}, { Cookie: cookieHeader(browser) })).status === 200,
    )
    await expectOthersServed(first)
  })
})
