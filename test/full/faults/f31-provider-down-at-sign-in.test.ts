import { afterEach, describe, expect, test } from 'vitest'
import { expectComeAgain } from '../../support/outage.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { faults } from '../../support/provider.ts'
import { APP, startRelyingParty } from '../../support/relying-party.ts'

const party = prepared(() => startRelyingParty({ SIGN_IN_CONCURRENCY: '3' }))
afterEach(() => party().provider.reset())

function tokenRequests() {
  return party().provider.count('token')
}

describe('F31 provider down or slow at sign-in', () => {
  test('a token endpoint that answers 500 is a 503 page, and a reload signs in', async () => {
    const { browser, callbackUrl } = await party().untilCallback()
    const cookiesBefore = browser.cookies.all().length
    party().provider.set('token', { ...faults.serverError, times: 1 })
    expectComeAgain(await browser.get(callbackUrl))
    expect(browser.cookies.all()).toHaveLength(cookiesBefore)
    expect(await browser.get(callbackUrl)).toMatchObject({ status: 302, location: `${APP}/` })
    expect(browser.cookies.find('__Host-vestibule')).toBeDefined()
  })

  test('a sign-in waits for a slow token endpoint', async () => {
    party().provider.set('token', { ...faults.slow, rewrite: (body) => body })
    expect((await party().attempt()).isSignedIn).toBe(true)
  })

  test('sign-ins give up a token endpoint that hangs, those beyond the limit are refused at once, and no check is slower', async () => {
    const visitors = await Promise.all(Array.from({ length: 6 }, () => party().untilCallback()))
    const { browser: other } = await party().attempt('bob')
    const cookie = other.cookies.header(new URL(APP))
    party().provider.set('token', faults.hangs)
    party().provider.forgetRequests()

    const answers = visitors.map(async ({ browser, callbackUrl }) => {
      const { value, ms, ownMs } = await timed(browser.get(callbackUrl))
      const { status, setCookies, headers } = value
      return { status, setCookies, retry: headers['retry-after'], ms, ownMs }
    })
    const checksMs: number[] = []
    for (let round = 0; round < 200; round += 1) {
      const { value, ownMs } = await timed(party().vestibule.check({}, { Cookie: cookie }))
      expect(value.status).toBe(200)
      checksMs.push(ownMs)
    }
    const settled = await Promise.all(answers)
    const slowest = Math.max(...checksMs)
    expect(slowest).toBeLessThan(BUSY_MS)
    expect(settled.map(({ status }) => status)).toEqual(Array(6).fill(503))
    expect(settled.every(({ retry, setCookies }) => retry === '5' && !setCookies.length)).toBe(true)
    const inOrder = settled.toSorted((one, other) => one.ms - other.ms)
    const [atOnce, given] = [inOrder.slice(0, 3), inOrder.slice(3)]
    expect(atOnce.filter(({ ownMs }) => ownMs > 2 * BUSY_MS)).toEqual([])
    expect(given.filter(({ ms }) => ms < 2 * BUSY_MS)).toEqual([])
    expect(Math.max(...settled.map(({ ownMs }) => ownMs))).toBeLessThan(10_000 + BUSY_MS)
    expect(tokenRequests()).toBe(3)

    party().provider.reset()
    for (const { browser, callbackUrl } of visitors) {
      expect((await browser.get(callbackUrl)).location).toBe(`${APP}/`)
    }
  })

  test('a failure of the provider after the code was spent leads to a new sign-in, not to a loop', async () => {
    const { browser, callbackUrl } = await party().untilCallback()
    party().provider.set('token', {
      rewrite: () => ({ error: 'server_error' }),
      status: 500,
      times: 1,
    })
    expect((await browser.get(callbackUrl)).status).toBe(503)
    const again = await browser.get(callbackUrl)
    expect([again.status, again.headers['refresh']]).toEqual([400, undefined])
    expect(again.body).not.toContain('http-equiv="refresh"')
    const link = /href="([^"]+)"[^>]*>Sign in again/.exec(again.body)?.[1]?.replaceAll('&amp;', '&')
    expect(link).toBe(`${APP}/oauth2/login?rd=${encodeURIComponent(`${APP}/`)}`)
    expect((await browser.browse(String(link))).url).toBe(`${APP}/`)
  })
})
