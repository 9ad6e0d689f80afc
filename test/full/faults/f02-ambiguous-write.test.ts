import { expect, test } from 'vitest'
import { expectOthersServed, expectStatus, signOut, statusAt } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { expectLetIn } from '../../support/refreshing-replicas.ts'
import { readCounter } from '../../support/refusal.ts'
import { APP } from '../../support/relying-party.ts'
import { describeWithRedis, startReplicas } from '../../support/replicas.ts'
import { cookieHeader, expectFailedSignIn, SESSION_COOKIE } from '../../support/sign-in-steps.ts'

/** Each write of a sign-in, by its bytes on the wire. */
const writes = [
  ['the mark of the login', /SET\r\n\$\d+\r\nvestibule:j:login:/],
  ['the mark of the ID token', /SET\r\n\$\d+\r\nvestibule:j:id-token:/],
  ['the index', /EVAL\r\n[\s\S]*ZADD/],
  ['the session', /EVAL\r\n[\s\S]*EXISTS/],
] as const

describeWithRedis('F02 a write is applied and its reply is lost', () => {
  const replicas = prepared(() => startReplicas())

  test.for(writes)('a sign-in succeeds when the reply to %s is lost', async ([, write]) => {
    const { first, network, provider } = replicas()
    const { browser, callbackUrl } = await replicas().untilCallback()
    provider.forgetRequests()
    const refusedBefore = await readCounter(first, 'replays_refused')
    const cut = network.cutAfterRequest(write)
    const { status, location } = await browser.get(callbackUrl)
    await cut
    expect([status, location]).toEqual([302, `${APP}/`])
    expect(provider.count('token')).toBe(1)
    expect(await readCounter(first, 'replays_refused')).toBe(refusedBefore)
    expectLetIn([await first.check({}, { Cookie: cookieHeader(browser) })])
  })

  test('a sign-out succeeds when its reply is lost', async () => {
    const { first, network } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    const cut = network.cutAfterRequest(/EVAL\r\n[\s\S]*PUBLISH/)
    expect((await signOut(browser)).status).toBe(303)
    await cut
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    await expectStatus(302, first, cookie)
  })

  test('a login that was used is refused as a replay, also when the reply to its mark is lost', async () => {
    const { first, network, provider } = replicas()
    const { browser, callbackUrl } = await replicas().untilCallback()
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
    await until('a check', async () => (await statusAt(first, cookieHeader(browser))) === 200)
    await expectOthersServed(first)
  })
})
