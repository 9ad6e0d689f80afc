import { afterEach, describe, expect, test } from 'vitest'
import { readMetric } from '../support/outage.ts'
import { type Behaviour, type Endpoint, faults } from '../support/provider.ts'
import { readCounter } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, Visitor } from '../support/visitor.ts'

const party = useParty({ OIDC_USERINFO: 'always' })
afterEach(() => party.provider.reset())

/** Address that a page loads by itself. */
function refreshOf({ body }: Visit): string | undefined {
  const found = /<meta http-equiv="refresh" content="\d+;url=([^"]+)"/.exec(body)?.[1]
  return found?.replaceAll('&amp;', '&')
}

async function untilCallback(browser: Visitor, sub = 'alice'): Promise<string> {
  return steps.untilCallback(browser, '/report', sub)
}

const NEW_LOGIN = `${steps.LOGIN}?${new URLSearchParams({ rd: `${APP}/report`, again: '1' }).toString()}`

const json = { 'Content-Type': 'application/json' }
/** Failures after the token request was sent, by which the code is spent or may be. */
const failures: readonly (readonly [string, Endpoint, Behaviour, number])[] = [
  ['the token endpoint answers 500', 'token', faults.serverError, 503],
  ['the token endpoint answers 429', 'token', faults.tooManyRequests, 503],
  ['the token endpoint drops the connection', 'token', faults.down, 503],
  ['the token endpoint answers with a page', 'token', faults.html, 502],
  ['the token endpoint answers with half a JSON', 'token', faults.truncatedJson, 502],
  ['the token endpoint answers without tokens', 'token', faults.emptyObject, 502],
  [
    'the token endpoint is busy',
    'token',
    { status: 400, headers: json, body: '{"error":"temporarily_unavailable"}' },
    503,
  ],
  ['UserInfo answers 500', 'userinfo', faults.serverError, 503],
  ['UserInfo drops the connection', 'userinfo', faults.down, 503],
]

const signIns = (result: string) =>
  readMetric(party.vestibule, `vestibule_sign_ins_total{result="${result}"}`)
/** Reads how many sign-ins no visitor can have caused to fail alone. */
const readFaults = async () => (await signIns('provider_failed')) + (await signIns('misconfigured'))

describe('C22: a sign-in that fails after its code was sent', () => {
  test.for(failures)(
    'leads to a new login by itself, which signs in: %s',
    async ([, endpoint, behaviour, status]) => {
      const browser = party.visitor()
      const callbackUrl = await untilCallback(browser)
      party.provider.set(endpoint, { ...behaviour, times: 1 })
      const before = await readFaults()
      const page = await browser.get(callbackUrl)
      expect(await readFaults()).toBe(before + 1)
      expect([page.status, page.setCookies, page.location]).toEqual([status, [], undefined])
      expect([refreshOf(page), steps.parseLoginLink(page)]).toEqual([NEW_LOGIN, NEW_LOGIN])
      const finished = await browser.browse(String(refreshOf(page)))
      expect([finished.url, await party.userOf(browser)]).toEqual([`${APP}/report`, 'alice'])
    },
  )

  test('never redeems the same code again once it has been spent', async () => {
    const browser = party.visitor()
    const callbackUrl = await untilCallback(browser)
    party.provider.set('userinfo', { ...faults.serverError, times: 1 })
    expect((await browser.get(callbackUrl)).status).toBe(503)
    party.provider.forgetRequests()
    steps.expectFailedSignIn(await browser.get(callbackUrl))
    expect(party.provider.count('token')).toBe(0)
  })

  test('is stopped after three rounds by a page that names the cause, and the count is then free again', async () => {
    party.provider.set('userinfo', faults.serverError)
    const browser = party.visitor()
    let page = await browser.get(await untilCallback(browser))
    const before = await readCounter(party.vestibule, 'sign_in_loops')
    for (let round = 1; round <= 3; round += 1) {
      expect([round, page.status]).toEqual([round, 503])
      page = await browser.browse(String(refreshOf(page)))
    }
    expect(page.status).toBe(503)
    const stopped = await browser.get(String(refreshOf(page)))
    expect([stopped.status, refreshOf(stopped)]).toEqual([400, undefined])
    expect(stopped.body).toContain('the sign-in service or our session store fails each time')
    expect(await readCounter(party.vestibule, 'sign_in_loops')).toBe(before + 1)
    expect(party.vestibule.log().at(-1)).toMatchObject({
      event: 'sign_in_loop',
      reason: expect.stringContaining('the provider or the store failed') as string,
    })
    party.provider.reset()
    const finished = await browser.browse(steps.parseLoginLink(stopped))
    expect([finished.url, await party.userOf(browser)]).toEqual([`${APP}/report`, 'alice'])
  })

  test('keeps the logins that other tabs have begun', async () => {
    const browser = party.visitor()
    const [first, second] = [await untilCallback(browser), await untilCallback(browser)]
    party.provider.set('token', { ...faults.serverError, times: 1 })
    const page = await browser.get(first)
    expect((await browser.get(String(refreshOf(page)))).status).toBe(302)
    expect((await browser.get(second)).location).toBe(`${APP}/report`)
  })

  test('goes to its target without a new login where another tab has signed in meanwhile', async () => {
    const browser = party.visitor()
    const [first, second] = [await untilCallback(browser), await untilCallback(browser)]
    party.provider.set('token', { ...faults.serverError, times: 1 })
    const page = await browser.get(first)
    await browser.get(second)
    expect(await browser.get(String(refreshOf(page)))).toMatchObject({
      status: 302,
      location: `${APP}/report`,
    })
  })
})

describe('C22: a sign-in that fails before its code was sent', () => {
  test('reloads the same callback, which signs in', async () => {
    const browser = party.visitor()
    const callbackUrl = await untilCallback(browser)
    await party.provider.pause()
    const page = await browser.get(callbackUrl)
    await party.provider.resume()
    expect([page.status, page.setCookies]).toEqual([503, []])
    expect(page.body).toMatch(/<meta http-equiv="refresh" content="\d+">/)
    expect(await browser.get(callbackUrl)).toMatchObject({
      status: 302,
      location: `${APP}/report`,
    })
  })
})

describe('C34: what the provider answers instead of a code', () => {
  const answer = async (error: string, description = '') => {
    const browser = party.visitor()
    const state = steps.sentAlong(await steps.startLogin(browser, '/report'), 'state')
    const query = new URLSearchParams({ error, error_description: description, state })
    return { browser, page: await browser.get(`${steps.CALLBACK}?${query.toString()}`) }
  }

  test.for([
    ['temporarily_unavailable', ''],
    ['temporarily_unavailable', 'authentication_expired'],
    ['server_error', 'NullPointerException'],
    ['authentication_expired', ''],
  ] as const)('%s %s leads to a new login by itself', async ([error, description]) => {
    const { browser, page } = await answer(error, description)
    expect([page.status, page.headers['retry-after']]).toEqual([503, '5'])
    expect(refreshOf(page)).toBe(NEW_LOGIN)
    expect(page.body).not.toContain(description || error)
    const finished = await browser.signIn(String(refreshOf(page)), 'alice')
    expect([finished.url, await party.userOf(browser)]).toEqual([`${APP}/report`, 'alice'])
  })

  test('a parameter without a value is none (RFC 6749)', async () => {
    const browser = party.visitor()
    const url = steps.withQuery(await untilCallback(browser), { error: '', error_description: '' })
    expect(await browser.get(url)).toMatchObject({ status: 302, location: `${APP}/report` })
  })

  test.for([
    ['access_denied', 'You were not signed in', /prompt=login/],
    ['unauthorized_client', 'This site is set up wrongly', /tell the operator/],
    ['invalid_client', 'This site is set up wrongly', /tell the operator/],
    ['invalid_redirect_uri', 'This site is set up wrongly', /tell the operator/],
    ['invalid_scope', 'This site is set up wrongly', /tell the operator/],
    ['unsupported_response_type', 'This site is set up wrongly', /tell the operator/],
    ['login_required', 'Sign-in did not work', /Sign in again/],
    ['an unknown one', 'Sign-in did not work', /Sign in again/],
  ] as const)(
    '%s is a page with a way to sign in again, and nothing goes on by itself',
    async ([error, title, text]) => {
      const before = [await readFaults(), await signIns('refused')]
      const { browser, page } = await answer(error, 'said by the provider')
      const [faults = 0, refused = 0] = before
      expect([await readFaults(), await signIns('refused')]).toEqual([faults, refused + 1])
      steps.expectFailedSignIn(page, ['said by'])
      expect(page.body).toContain(`<title>${title}</title>`)
      expect(page.body).toMatch(text)
      expect(page.body).not.toContain('http-equiv="refresh"')
      expect(party.vestibule.log().at(-1)).toMatchObject({
        endpoint: 'authorization_endpoint',
        url: `${party.provider.issuer}/auth`,
        oauth_error: error,
        oauth_error_description: 'said by the provider',
      })
      const finished = await browser.signIn(steps.parseLoginLink(page), 'alice')
      expect(finished.url).toBe(`${APP}/report`)
    },
  )
})
