import { describe, expect, test } from 'vitest'
import { type Behaviour, type Endpoint, faults } from '../support/provider.ts'
import { APP } from '../support/relying-party.ts'
import {
  BINDING_COOKIE,
  cookieHeader,
  LOGIN,
  LOGOUT,
  SESSION_COOKIE,
  startLogin,
  untilCallback,
} from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { startVestibule } from '../support/vestibule.ts'
import type { Visit } from '../support/visitor.ts'

const party = useParty({ SIGN_IN_CONCURRENCY: '1', OIDC_USERINFO: 'always' })

function expectNothingCleared(visit: Visit): void {
  expect(visit.setCookies.filter((line) => /Max-Age=0|Expires=/i.test(line))).toEqual([])
  expect(visit.headers['clear-site-data']).toBeUndefined()
}

function expectUnavailable({ status, setCookies, location, headers }: Visit): void {
  expect({ status, setCookies, location, cache: headers['cache-control'] }).toEqual({
    status: 503,
    setCookies: [],
    location: undefined,
    cache: 'no-store',
  })

  expect(Number(headers['retry-after'])).toBeGreaterThan(0)
}

/** A callback that fails beside a session, which it leaves alone. */
async function failBesideSession(endpoint: Endpoint, fault: Behaviour): Promise<Visit> {
  const { browser } = await party.attempt('alice')
  const url = await untilCallback(browser)
  const before = cookieHeader(browser)
  party.provider.set(endpoint, fault)
  const visit = await browser.get(url)
  expect(cookieHeader(browser)).toBe(before)
  expect(await party.userOf(browser)).toBe('alice')
  return visit
}

const outages: readonly (readonly [string, Endpoint, Behaviour])[] = [
  ['the token endpoint is down', 'token', faults.down],
  ['the token endpoint answers 500', 'token', faults.serverError],
  ['the token endpoint answers 503', 'token', faults.unavailable],
  ['the token endpoint answers 429', 'token', faults.tooManyRequests],
  ['UserInfo is down', 'userinfo', faults.down],
  ['UserInfo answers 500', 'userinfo', faults.serverError],
]

// The tests of the shared store cover a check whose store fails, because the memory store cannot fail on a read.
describe('A79 cookies cleared by an error', () => {
  test.for(outages)('a sign-in that fails because %s clears nothing', async ([, endpoint, fault]) =>
    expectUnavailable(await failBesideSession(endpoint, fault)),
  )

  test.for<[string, Behaviour]>([
    ['HTML', faults.html],
    ['half a JSON', faults.truncatedJson],
    ['an empty object', faults.emptyObject],
    ['invalid_grant', faults.invalidGrant],
  ])('a token endpoint that answers with %s clears nothing', async ([, fault]) => {
    const visit = await failBesideSession('token', fault)
    expect([400, 502]).toContain(visit.status)
    expectNothingCleared(visit)
  })

  test('a code that was not spent is still good when the provider is back', async () => {
    const browser = party.visitor()
    const url = await untilCallback(browser, '/report')
    party.provider.set('token', faults.down)
    expectUnavailable(await browser.get(url))
    party.provider.reset()
    expect(await browser.get(url)).toMatchObject({ status: 302, location: `${APP}/report` })
  })

  test('more sign-ins at once than allowed are told to wait, and lose neither cookie nor code', async () => {
    const [first, second] = [await party.untilCallback('alice'), await party.untilCallback('bob')]
    party.provider.forgetRequests()
    party.provider.set('token', { delayMs: 400, times: 1 })
    const slow = first.browser.get(first.callbackUrl)
    await expect.poll(() => party.provider.count('token')).toBe(1)
    expectUnavailable(await second.browser.get(second.callbackUrl))
    expect(party.provider.count('token')).toBe(1)
    expect(second.browser.cookies.find(BINDING_COOKIE)).toBeDefined()
    expect((await slow).status).toBe(302)
    expect((await second.browser.get(second.callbackUrl)).status).toBe(302)
    expect(await party.userOf(second.browser)).toBe('bob')
  })

  test('while the provider is gone, sessions go on everywhere', async () => {
    const { browser } = await party.attempt('alice')
    await party.provider.pause()
    try {
      expect(await party.userOf(browser)).toBe('alice')
      const me = await browser.get(`${APP}/oauth2/me`)
      expect([me.status, me.setCookies]).toEqual([200, []])
      expectNothingCleared(await browser.get(LOGOUT))
      expectNothingCleared(await startLogin(browser))
      expect(await party.userOf(browser)).toBe('alice')
    } finally {
      await party.provider.resume()
    }
  })

  test('before the provider has ever been found, sign-in waits and writes no cookie', async () => {
    await using vestibule = await startVestibule({ OIDC_ISSUER_URL: 'http://127.0.0.1:9' })
    expectUnavailable(await vestibule.visitor().get(`${LOGIN}?rd=/`))
    const binding = `${BINDING_COOKIE}=v1.${'A'.repeat(43)}.0.0`
    const session = `${SESSION_COOKIE}=v1.${'A'.repeat(43)}.${'A'.repeat(43)}`
    const headers = { Cookie: `${session}; ${binding}` }
    expectUnavailable(await vestibule.visitor().get(`${LOGIN}?rd=/`, { headers }))
    expect(vestibule.isAlive()).toBe(true)
  })

  test.for<[string, string | undefined]>([
    ['unknown', `v1.${'A'.repeat(43)}.${'A'.repeat(43)}`],
    ['malformed', 'hostile'],
    ['of a later version', `v2.${'A'.repeat(43)}`],
    ['empty', ''],
  ])('a check, which only asks, does not clear a session that is %s', async ([, value]) => {
    const Cookie = `${SESSION_COOKIE}=${value}`
    for (const headers of [{ Cookie }, { Cookie, 'Sec-Fetch-Mode': 'cors' }]) {
      const visit = await party.check({}, headers)
      expect([302, 401]).toContain(visit.status)
      expect(visit.setCookies).toEqual([])
    }
    expect((await party.get('/oauth2/me', { headers: { Cookie } })).setCookies).toEqual([])
  })

  test.for([
    { host: 'evil.example' },
    { uri: '/oauth2/login' },
    { uri: '/%zz' },
    { method: 'BAD METHOD' },
    { proto: 'http' },
  ])('a request that is refused for its form clears nothing: %o', async (forwarded) => {
    const { browser } = await party.attempt('alice')
    const visit = await party.check(forwarded, { Cookie: cookieHeader(browser) })
    expect(visit.status).toBeLessThan(500)
    expect([visit.setCookies, await party.userOf(browser)]).toEqual([[], 'alice'])
  })

  test('the legitimate twin: a sign-out clears the session, and says so', async () => {
    const { browser } = await party.attempt('alice')
    const visit = await browser.post(LOGOUT)
    expect(visit.setCookies.filter((line) => line.startsWith(`${SESSION_COOKIE}=`))).toEqual([
      `${SESSION_COOKIE}=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ])
    expect(await party.userOf(browser)).toBe(302)
  })
})
