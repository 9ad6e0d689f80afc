import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readMetric } from '../support/outage.ts'
import { type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { createRequestPool } from '../support/request-pool.ts'
import { cookieHeader, sentAlong, startLogin } from '../support/sign-in-steps.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty()
})
afterAll(() => party[Symbol.asyncDispose]())

describe('A64 storage filled by strangers', () => {
  test('callbacks with a good state and a junk code leave no session and no mark', async () => {
    using browsers = createRequestPool(party.vestibule.publicPort)
    const browser = party.vestibule.visitor()
    const started = await startLogin(browser)
    const state = sentAlong(started, 'state')
    const query = new URLSearchParams({ code: 'junk', state, iss: party.provider.issuer })
    const headers = { Host: 'app.example.com', Accept: 'text/html', Cookie: cookieHeader(browser) }
    const statuses = new Set<number>()
    await browsers.sendMany(
      100,
      () => ({ path: `/oauth2/callback?${query.toString()}`, headers }),
      (answer) => statuses.add(answer.status),
    )
    expect([...statuses]).toEqual([400])
    const last = await browser.browse(started.url)
    await browser.submit(last, { login: 'alice' })
    const checked = await party.vestibule.check({}, { Cookie: cookieHeader(browser) })
    expect(checked.headers['x-auth-request-user']).toBe('alice')
  })

  test('a start sends the browser less than 1.5 KB of cookies, whatever it asks for', async () => {
    for (const length of [1, 300, 650]) {
      const browser = party.vestibule.visitor()
      const { setCookies } = await startLogin(browser, `/${'x'.repeat(length)}`)
      expect(setCookies.join('').length).toBeLessThan(1500)
    }
  })

  test('the legitimate twin is signed in after all of it', async () => {
    expect((await party.attempt()).isSignedIn).toBe(true)
    expect(await readMetric(party.vestibule, 'vestibule_l1_sessions')).toBeLessThanOrEqual(2)
  })
})
