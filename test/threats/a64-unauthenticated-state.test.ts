import { describe, expect, test } from 'vitest'
import { readMetric } from '../support/outage.ts'
import { createRequestPool } from '../support/request-pool.ts'
import { cookieHeader, sentAlong, startLogin } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty()

describe('A64 storage filled by strangers', () => {
  test('callbacks with a good state and a junk code leave no session and no mark', async () => {
    using browsers = createRequestPool(party.vestibule.publicPort)
    const browser = party.visitor()
    const started = await startLogin(browser)
    const { issuer: iss } = party.provider
    const query = new URLSearchParams({ code: 'junk', state: sentAlong(started, 'state'), iss })
    const headers = { Host: 'app.example.com', Accept: 'text/html', Cookie: cookieHeader(browser) }
    const path = `/oauth2/callback?${query.toString()}`
    const statuses = new Set<number>()
    await browsers.sendMany(
      100,
      () => ({ path, headers }),
      ({ status }) => statuses.add(status),
    )
    expect([...statuses]).toEqual([400])
    await browser.submit(await browser.browse(started.url), { login: 'alice' })
    expect(await party.userOf(browser)).toBe('alice')
  })

  test.for([1, 300, 650])('below 1.5 KB of cookies for %i characters', async (length) => {
    const { setCookies } = await startLogin(party.visitor(), `/${'x'.repeat(length)}`)
    expect(setCookies.join('').length).toBeLessThan(1500)
  })

  test('the legitimate twin is signed in after all of it', async () => {
    expect((await party.attempt()).isSignedIn).toBe(true)
    expect(await readMetric(party.vestibule, 'vestibule_l1_sessions')).toBeLessThanOrEqual(2)
  })
})
