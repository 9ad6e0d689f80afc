import { expect, test } from 'vitest'
import { type Behaviour, type Endpoint, faults } from '../support/provider.ts'
import { APP } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
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
  const url = await steps.untilCallback(browser)
  const before = steps.cookieHeader(browser)
  party.provider.set(endpoint, fault)
  const visit = await browser.get(url)
  expect(steps.cookieHeader(browser)).toBe(before)
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
  const url = await steps.untilCallback(browser, '/report')
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
  expect(second.browser.cookies.find(steps.BINDING_COOKIE)).toBeDefined()
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
    expectNothingCleared(await browser.get(steps.LOGOUT))
    expectNothingCleared(await steps.startLogin(browser))
    expect(await party.userOf(browser)).toBe('alice')
  } finally {
    await party.provider.resume()
  }
})

test('before the provider has ever been found, sign-in waits and writes no cookie', async () => {
  await using vestibule = await startVestibule({ OIDC_ISSUER_URL: 'http://127.0.0.1:9' })
  expectUnavailable(await vestibule.visitor().get(`${steps.LOGIN}?rd=/`))
  const binding = `${steps.BINDING_COOKIE}=v1.${'A'.repeat(43)}.0.0`
  const session = `${steps.SESSION_COOKIE}=v1.${'A'.repeat(43)}.${'A'.repeat(43)}`
  const headers = { Cookie: `${session}; ${binding}` }
  expectUnavailable(await vestibule.visitor().get(`${steps.LOGIN}?rd=/`, { headers }))
  expect(vestibule.isAlive()).toBe(true)
})
