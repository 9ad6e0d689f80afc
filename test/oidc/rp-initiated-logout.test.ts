import { describe, expect, test } from 'vitest'
import { faults } from '../../stand-ins/provider/front.ts'
import { letRequestsTakeForever } from '../support/endless-requests.ts'
import { parseForm } from '../support/html-form.ts'
import { until } from '../support/own-lag.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, LOGOUT } from '../support/sign-in-steps.ts'
import { claimsOf } from '../support/tokens.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, Visitor } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const OTHER = 'https://other.example.com/bye?a=b'
const FURTHER = 'https://www.example.org/bye'
const AUTH = 'https://auth.example.com'
const SIGNED_OUT = `${APP}/oauth2/signed-out`
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

const party = useParty({ POST_LOGOUT_REDIRECT_URIS: FURTHER })

function sentTo(visit: Visit) {
  const url = new URL(visit.location ?? '')
  return { at: url.origin + url.pathname, query: Object.fromEntries(url.searchParams) }
}

function logoutWith(browser: Visitor, query: Readonly<Record<string, string>>): Promise<Visit> {
  return browser.post(`${LOGOUT}?${new URLSearchParams(query).toString()}`)
}

/** A browser that has signed in, and a copy of the cookies that it has then. */
async function signedIn(by: RelyingParty = party) {
  const { browser } = await by.attempt()
  return { browser, copied: cookieHeader(browser) }
}

function expectForgotten(visit: Visit, location: string | undefined): void {
  expect([visit.status, visit.location]).toEqual([303, location])
  expect(visit.setCookies.join()).toContain('__Host-vestibule=; Max-Age=0')
}

async function expectEnded(cookie: string | undefined, by: RelyingParty = party): Promise<void> {
  expect((await by.vestibule.check({}, { Cookie: cookie })).status).toBe(302)
}

function lastSignOut(by: RelyingParty = party) {
  return by.vestibule.log().findLast(({ event }) => event === 'sign_out')
}

/** Says yes at the provider, and is sent back by it. */
async function confirmAtProvider(browser: Visitor, leaving: Visit): Promise<Visit> {
  const page = await browser.follow(leaving)
  const form = parseForm(page.body, page.url)
  return browser.post(form?.action ?? '', { ...form?.hidden, logout: 'yes' })
}

describe('the sign-out at the provider (oidcc-client-rp-initiated-logout-rp-basic-certification-test-plan)', () => {
  test('names the user, the client, the way back and a state of ours', async () => {
    const { browser } = await party.attempt()
    const { at, query } = sentTo(await browser.post(LOGOUT))
    expect(at).toBe(`${party.provider.issuer}/session/end`)
    expect(query).toEqual({
      client_id: 'vestibule',
      id_token_hint: expect.any(String) as string,
      post_logout_redirect_uri: SIGNED_OUT,
      state: expect.stringMatching(/^[\w-]{40,80}$/) as string,
    })
    expect(claimsOf(query['id_token_hint'] ?? '')).toMatchObject({ sub: 'alice', aud: 'vestibule' })
    expect(lastSignOut()).toMatchObject({ kind: 'rp_initiated', ending: 'done' })
  })

  test('has a state that nobody else can make, and that is new each time', async () => {
    const leave = async () => sentTo(await (await signedIn()).browser.post(LOGOUT)).query['state']
    expect(await leave()).not.toBe(await leave())
  })

  test.for([OTHER, `${APP}/welcome`, FURTHER])(
    'leads back to our page, and from there to the landing page: %s',
    async (landingPage) => {
      for (const name of ['rd', 'post_logout_redirect_uri']) {
        const { browser, copied } = await signedIn()
        const leaving = await logoutWith(browser, { [name]: landingPage })
        expect(leaving.location).not.toContain(encodeURIComponent(landingPage))
        const back = await confirmAtProvider(browser, leaving)
        expect(back.location).toMatch(`${SIGNED_OUT}?state=`)
        const landing = await browser.get(back.location ?? '')
        expect(landing.status).toBe(302)
        const headers = { location: landingPage, 'cache-control': 'no-store' }
        expect(landing.headers).toMatchObject(headers)
        await expectEnded(copied)
      }
    },
  )

  test('takes a path for one of the host that it is asked of', async () => {
    const { browser } = await party.attempt()
    const back = await confirmAtProvider(browser, await logoutWith(browser, { rd: '/welcome?x' }))
    expect((await browser.get(back.location ?? '')).headers.location).toBe(`${APP}/welcome?x`)
  })

  test('oidcc-client-test-rp-init-logout: our own page is no landing page, and not suspicious', async () => {
    const { browser } = await party.attempt()
    const leaving = await logoutWith(browser, { post_logout_redirect_uri: SIGNED_OUT })
    const last = await browser.submit(await browser.follow(leaving), { logout: 'yes' })
    expect(last.url).toMatch(`${SIGNED_OUT}?state=`)
    expect([last.status, last.body]).toEqual([200, expect.stringContaining('You are signed out')])
    expect(party.vestibule.output()).not.toContain('suspicious_return_to')
  })

  test('oidcc-client-test-rp-init-logout-other-state, -no-state: ends on the plain page', async () => {
    for (const query of [{}, { rd: OTHER }]) {
      const { browser, copied } = await signedIn()
      const back = await confirmAtProvider(browser, await logoutWith(browser, query))
      const state = new URL(back.location ?? '').searchParams.get('state') ?? ''
      const changed = `${state.slice(0, 30)}${state[30] === 'A' ? 'B' : 'A'}${state.slice(31)}`
      const plain = await browser.get(SIGNED_OUT)
      expect(plain.body).toContain('You are signed out')
      expect(plain.body).not.toContain('other.example.com')
      for (const other of ['', 'other-state', changed, `${state}A`, state.slice(0, -4)]) {
        const page = await browser.get(`${SIGNED_OUT}?state=${other}`)
        for (const each of [plain, page]) {
          expect([each.status, each.location, each.setCookies]).toEqual([200, undefined, []])
        }
        expect(withoutId(page)).toBe(withoutId(plain))
      }
      await expectEnded(copied)
    }
  })

  test('sends what Entra wants to know of its user, and no ID token that is too long', async () => {
    party.provider.tamperIdToken({ login_hint: 'O.CiQ1', padding: 'x'.repeat(6000) })
    const { browser } = await party.attempt()
    const visit = await browser.post(LOGOUT)
    const { query } = sentTo(visit)
    expect(visit.location?.length).toBeLessThan(6144)
    expect(Object.keys(query).toSorted()).toEqual(
      words`client_id logout_hint post_logout_redirect_uri state`,
    )
    expect(query['logout_hint']).toBe('O.CiQ1')
    const last = await browser.submit(await browser.follow(visit), { logout: 'yes' })
    expect(last.body).toContain('You are signed out')
  })

  test('is left out where the provider offers none', async () => {
    const rewrite = ({ end_session_endpoint: _none, ...found }: Record<string, unknown>) => found
    await using other = await startRelyingParty({}, {}, (provider) =>
      provider.set('discovery', { rewrite }),
    )
    const { browser, copied } = await signedIn(other)
    expect((await browser.post(`${LOGOUT}?rd=/welcome`)).location).toBe(`${APP}/welcome`)
    await expectEnded(copied, other)
    expect(lastSignOut(other)).toMatchObject({ kind: 'local' })
  })
})

function withoutId({ body, headers }: Visit): string {
  return body.replaceAll(String(headers['x-request-id']), 'id')
}

describe('a local sign-out', () => {
  test('ends the session, revokes its tokens, and leaves the provider alone', async () => {
    const { browser, copied } = await signedIn()
    expectForgotten(await logoutWith(browser, { local: 'true' }), SIGNED_OUT)
    await expectEnded(copied)
    expect([party.provider.count('endSession'), party.provider.count('revocation')]).toEqual([0, 2])
    expect(lastSignOut()).toMatchObject({ kind: 'local', ending: 'done' })
    // The provider still knows its user, so that no name is asked for.
    expect((await browser.browse(`${APP}/oauth2/login?rd=/`)).url).toBe(`${APP}/`)
  })

  test.for(['1', 'TRUE', '', 'yes'])('is not what local=%s asks for', async (local) => {
    const { browser } = await party.attempt()
    expect(sentTo(await logoutWith(browser, { local })).at).toMatch('/session/end')
  })

  test('is what the confirm page goes on with, landing page included', async () => {
    const { browser } = await party.attempt()
    const page = await browser.get(`${LOGOUT}?local=true&rd=${encodeURIComponent(FURTHER)}`)
    const form = parseForm(page.body, page.url)
    expect(form?.action).toBe(LOGOUT)
    expect(form?.hidden).toMatchObject({ local: 'true', rd: FURTHER })
    expect(page.headers['content-security-policy']).toMatch(
      /form-action 'self' http:\/\/127\.0\.0\.1:\d+ https:\/\/www\.example\.org;/,
    )
    const headers = { 'Sec-Fetch-Site': undefined, Origin: undefined }
    const answer = await browser.post(LOGOUT, form?.hidden, { headers })
    expect([answer.status, answer.headers.location]).toEqual([303, FURTHER])
  })
})

test.for([
  ['at an app stays there', {}, APP],
  [
    'at a PUBLIC_URL without an app goes to the first that there is',
    { PUBLIC_URL: AUTH, COOKIE_DOMAIN: 'example.com' },
    AUTH,
  ],
] as const)('whoever changes their mind %s', async ([, settings, origin]) => {
  await using other = await startRelyingParty(settings)
  const browser = other.vestibule.visitor([new URL(origin).host])
  const { status, body } = await browser.get(`${origin}/oauth2/logout`)
  expect([status, /href="([^"]*)">Stay signed in/.exec(body)?.[1]]).toEqual([200, `${APP}/`])
})

describe('whoever signs out', () => {
  test('ends on the page that says so, also for the second time', async () => {
    const { browser } = await party.attempt()
    const before = browser.copy()
    await browser.post(LOGOUT)
    for (const again of [browser, before, party.vestibule.visitor()]) {
      const visit = await again.post(LOGOUT)
      expectForgotten(visit, SIGNED_OUT)
      expect((await again.follow(visit)).body).toContain('You are signed out')
    }
  })

  test.for([
    ['an unknown session', `__Host-vestibule=v1.${'A'.repeat(43)}.${'B'.repeat(43)}`],
    ['no session', '__Host-vestibule=nonsense'],
    ['two sessions', `__Host-vestibule=a; __Host-vestibule=b`],
  ] as const)('ends there with %s', async ([, cookie]) => {
    const visit = await party.vestibule.visitor().post(LOGOUT, {}, { headers: { Cookie: cookie } })
    expectForgotten(visit, SIGNED_OUT)
  })

  test('goes on to a landing page also when the session has ended meanwhile', async () => {
    const { browser } = await party.attempt()
    const forgotten = browser.copy()
    await browser.post(LOGOUT)
    for (const again of [forgotten, party.vestibule.visitor()]) {
      expectForgotten(await logoutWith(again, { rd: '/welcome' }), `${APP}/welcome`)
    }
  })

  test.for([
    ['fails', faults.serverError],
    ['is cut off', faults.down],
  ] as const)('is signed out although the revocation %s', async ([, fault]) => {
    party.provider.set('revocation', fault)
    const { browser, copied } = await signedIn()
    const visit = await browser.post(LOGOUT, {}, { headers: { traceparent: TRACE } })
    expectForgotten(visit, visit.location)
    // The second token is tried although the first one failed.
    expect(party.provider.count('revocation')).toBe(2)
    await expectEnded(copied)
    const logged = party.vestibule.log().filter(({ event }) => event === 'revocation_failed')
    expect(logged.at(-1)).toMatchObject({
      code: 'provider_unavailable',
      traceparent: TRACE,
      request_id: lastSignOut()?.['request_id'],
    })
    const { body } = await party.vestibule.internal('/metrics')
    expect(body).toMatch(/^vestibule_token_revocations_failed_total [1-9]/m)
  })

  test('waits two seconds for the revocation, and no longer', async () => {
    const { browser, copied } = await signedIn()
    party.provider.set('revocation', faults.hangs)
    using _ = letRequestsTakeForever()
    const startedMs = performance.now()
    const leaving = browser.post(LOGOUT)
    await until('a revocation', () => party.provider.count('revocation') > 0)
    await expectEnded(copied)
    expect((await leaving).status).toBe(303)
    expect(performance.now() - startedMs).toBeGreaterThan(1900)
  })
})

describe('OIDC_END_SESSION_URL', () => {
  const startWithTemplate = (template: string) =>
    startRelyingParty({ OIDC_END_SESSION_URL: template })

  test('sends browsers where Auth0 wants them, and its pages allow that', async () => {
    await using auth0 = await startWithTemplate(
      'https://tenant.eu.auth0.com/v2/logout?client_id={client_id}&returnTo={post_logout_redirect_uri}',
    )
    const { browser } = await auth0.attempt()
    const page = await browser.get(LOGOUT)
    const allowed = `form-action 'self' ${auth0.provider.issuer} https://tenant.eu.auth0.com;`
    expect(page.headers['content-security-policy']).toContain(allowed)
    const visit = await browser.post(`${LOGOUT}?rd=/welcome`)
    expect(visit.location).toMatch('https://tenant.eu.auth0.com/v2/logout?')
    expect(sentTo(visit).query).toEqual({ client_id: 'vestibule', returnTo: SIGNED_OUT })
    expect(lastSignOut(auth0)).toMatchObject({ kind: 'rp_initiated' })
  })

  test('drops an ID token that would make the address too long', async () => {
    await using party = await startWithTemplate(
      'https://login.example.com/logout?id_token_hint={id_token_hint}&client_id={client_id}',
    )
    const leave = async () => (await party.attempt()).browser.post(LOGOUT)
    expect(Object.keys(sentTo(await leave()).query)).toContain('id_token_hint')
    party.provider.tamperIdToken({ padding: 'x'.repeat(6000) })
    const { location } = (await leave()).headers
    expect(location).toBe('https://login.example.com/logout?client_id=vestibule')
  })
})
