import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import {
  BINDING_COOKIE,
  CALLBACK,
  expectFailedSignIn,
  SESSION_COOKIE,
  startLogin,
  untilCallback,
} from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

const party = useParty()

const queries = [
  ...words`
    ? code=hostile&state=hostile code=hostile state=hostile code=hostile&state=
    code=&state=hostile code=hostile&state=%00%ff%0d%0a error=access_denied
    error=hostile&state=hostile code=hostile&state=hostile&iss=https%3A%2F%2Fhostile.example
    response=eyJhbGciOiJub25lIn0.e30.&state=hostile id_token=hostile&state=hostile
    CODE=hostile&STATE=hostile
  `,
  '',
  `code=hostile&state=${'A'.repeat(900)}`,
  `code=hostile&state=${'A'.repeat(20_000)}`,
  `code=hostile&state=${encodeURIComponent('../../hostile')}`,
]

const attackersBinding = `${BINDING_COOKIE}=v1.${'A'.repeat(43)}.0.0`
/** No cookie, an empty, malformed, foreign and doubled binding, and a made-up session. */
const cookies: readonly string[] = [
  '',
  `${BINDING_COOKIE}=`,
  `${BINDING_COOKIE}=hostile`,
  attackersBinding,
  `${attackersBinding}; ${BINDING_COOKIE}=v1.${'B'.repeat(43)}.0.0`,
  `${SESSION_COOKIE}=v1.${'A'.repeat(43)}.${'A'.repeat(43)}`,
]

describe('A51 callback without transaction', () => {
  test.for(queries)('a callback that nobody began ends in a page: %s', async (query) => {
    for (const cookie of cookies) {
      const headers = { Cookie: cookie || undefined }
      const visit = await party.visitor().get(`${CALLBACK}?${query}`, { headers })
      expectFailedSignIn(visit, ['hostile'])
    }
    expect(party.provider.count('token')).toBe(0)
  })

  test('a program gets the same refusal as JSON', async () => {
    const visit = await party.visitor().fetch(`${CALLBACK}?code=hostile&state=hostile`)
    const { 'cache-control': cache, 'x-request-id': request_id } = visit.headers
    expect([visit.status, cache, visit.setCookies]).toEqual([400, 'no-store', []])
    expect(JSON.parse(visit.body)).toEqual({ error: 'sign_in_failed', request_id })
    expect(party.provider.count('token')).toBe(0)
  })

  test.for(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is not a way to call back', async (method) => {
    const { browser, callbackUrl } = await party.untilCallback()
    party.provider.forgetRequests()
    const visit = await browser.request(method, callbackUrl, {
      body: new URL(callbackUrl).search.slice(1),
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    })
    expect(visit.status).toBeGreaterThanOrEqual(400)
    expect(visit.status).toBeLessThan(500)
    expect([visit.setCookies, party.provider.count('token')]).toEqual([[], 0])
    expect((await browser.get(callbackUrl)).status).toBe(302)
  })

  test('a login that was begun makes no other state acceptable', async () => {
    const browser = party.visitor()
    await startLogin(browser)
    expectFailedSignIn(await browser.get(`${CALLBACK}?code=hostile&state=hostile`), ['hostile'])
    expect(party.provider.count('token')).toBe(0)
  })

  // The design sends only a callback with a session newer than its own start on; this one has no start at all.
  test('a signed-in browser gets the page as well, and stays signed in', async () => {
    const { browser } = await party.attempt()
    party.provider.forgetRequests()
    const visit = await browser.get(`${CALLBACK}?code=hostile&state=hostile`)
    expect([party.provider.count('token'), visit.setCookies]).toEqual([0, []])
    expect(await party.userOf(browser)).toBe('alice')
    expectFailedSignIn(visit, ['hostile'])
  })

  test('the legitimate twin ends at its target with a session', async () => {
    const browser = party.visitor()
    const visit = await browser.get(await untilCallback(browser, `${APP}/report`))
    expect([visit.status, visit.location]).toEqual([302, `${APP}/report`])
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    expect(party.provider.count('token')).toBe(1)
  })
})
