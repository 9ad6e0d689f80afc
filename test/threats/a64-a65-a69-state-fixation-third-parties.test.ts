import { expect, test } from 'vitest'
import { readMetric } from '../support/outage.ts'
import { APP } from '../support/relying-party.ts'
import { createRequestPool } from '../support/request-pool.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit, Visitor } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useParty()

test('A64: callbacks with a good state and a junk code leave no session and no mark', async () => {
  using browsers = createRequestPool(party.vestibule.publicPort)
  const browser = party.visitor()
  const started = await steps.startLogin(browser)
  const { issuer: iss } = party.provider
  const query = new URLSearchParams({ code: 'junk', state: steps.sentAlong(started, 'state'), iss })
  const headers = {
    Host: 'app.example.com',
    Accept: 'text/html',
    Cookie: steps.cookieHeader(browser),
  }
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

test.for([1, 300, 650])('A64: below 1.5 KB of cookies for %i characters', async (length) => {
  const { setCookies } = await steps.startLogin(party.visitor(), `/${'x'.repeat(length)}`)
  expect(setCookies.join('').length).toBeLessThan(1500)
})

test('A64: the legitimate twin is signed in after all of it', async () => {
  expect((await party.attempt()).isSignedIn).toBe(true)
  expect(await readMetric(party.vestibule, 'vestibule_l1_sessions')).toBeLessThanOrEqual(2)
})

function userBy(value: string) {
  return party.userOf(`${steps.SESSION_COOKIE}=${value}`)
}

function expectEnded(value: string) {
  return party.expectNoSession(`${steps.SESSION_COOKIE}=${value}`)
}

function sessionIn(browser: Visitor): string {
  const value = browser.cookies.find(steps.SESSION_COOKIE)?.value
  if (!value) throw new Error('no session')
  return value
}

function plantedWith(value: string): Visitor {
  const browser = party.visitor()
  const line = `${steps.SESSION_COOKIE}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax`
  const reason = browser.cookies.set(line, new URL(APP))
  if (reason) throw new Error(reason)
  return browser
}

test('A65: a session that an attacker planted is replaced and ended by the sign-in', async () => {
  const planted = await party.sessionOf('bob')
  expect(await userBy(planted)).toBe('bob')
  const victim = plantedWith(planted)
  await victim.get(await steps.untilCallback(victim, '/', 'alice'))
  const own = sessionIn(victim)
  for (const part of [1, 2]) expect(own.split('.')[part]).not.toBe(planted.split('.')[part])
  expect(await userBy(own)).toBe('alice')
  await expectEnded(planted)
})

test.for<[string, string]>([
  ['of zeros', `v1.${'0'.repeat(43)}.${'0'.repeat(43)}`],
  ['of the attacker’s choice', `v1.${'hostile'.padEnd(43, 'A')}.${'hostile'.padEnd(43, 'B')}`],
  ['of another format', 'hostile'],
  ['of a later version', `v2.${'A'.repeat(43)}.${'B'.repeat(43)}`],
])('A65: a made-up session %s is never taken up', async ([, planted]) => {
  const victim = plantedWith(planted)
  expect((await victim.get(await steps.untilCallback(victim))).setCookies.join()).not.toContain(
    'hostile',
  )
  const own = sessionIn(victim)
  for (const part of own.split('.').slice(1)) expect(planted).not.toContain(part)
  expect(await userBy(own)).toBe('alice')
  await expectEnded(planted)
})

test('A65: the id of a session with a secret of the attacker’s own is no session, before and after', async () => {
  const own = await party.sessionOf()
  const forged = `v1.${own.split('.')[1]}.${'A'.repeat(43)}`
  await expectEnded(forged)
  const attacker = plantedWith(forged)
  await attacker.get(await steps.untilCallback(attacker, '/', 'bob'))
  expect([await userBy(sessionIn(attacker)), await userBy(own)]).toEqual(['bob', 'alice'])
})

test('A65: a sign-in as another user makes a new session and ends the old one', async () => {
  const { browser } = await party.attempt('alice')
  const alice = sessionIn(browser)
  const page = await browser.browse(`${APP}/oauth2/login?rd=/&prompt=login`)
  // The provider ends its own session of alice first, by a form that a script would send.
  await browser.submit(await browser.submit(page, { login: 'bob' }))
  const bob = sessionIn(browser)
  expect(bob).not.toBe(alice)
  expect(await userBy(bob)).toBe('bob')
  await expectEnded(alice)
})

test('A65: every sign-in has an id and a secret of its own, 256 bits each', async () => {
  const parts = new Set<string>()
  for (let signIn = 1; signIn <= 10; signIn += 1) {
    const value = await party.sessionOf()
    expect(value).toMatch(/^v1\.[\w-]{43}\.[\w-]{43}$/)
    for (const part of value.split('.').slice(1)) parts.add(part)
  }
  expect(parts.size).toBe(20)
})

const configured = useParty({
  OIDC_AUTHORIZATION_PARAMS:
    'acr_values=urn:mfa,max_age=60,login_hint=corp,resource=urn:a,resource=urn:b',
})

const documented = {
  client_id: 'vestibule',
  scope: 'openid profile email groups',
  redirect_uri: `${APP}/oauth2/callback`,
  response_type: 'code',
  response_mode: 'query',
  code_challenge_method: 'S256',
  code_challenge: expect.any(String) as string,
  nonce: expect.any(String) as string,
  state: expect.any(String) as string,
}

function expectConfigured({ status, location, rawHeaders }: Visit, further = {}): void {
  const { origin, searchParams } = new URL(location ?? '')
  expect([status, origin]).toEqual([302, party.provider.issuer])
  expect(Object.fromEntries(searchParams)).toEqual({ ...documented, ...further })
  expect([...searchParams]).toHaveLength(Object.keys({ ...documented, ...further }).length)
  expect(rawHeaders.join('\n')).not.toContain('evil')
}

test.for(words`
  iss=https://evil.example target_link_uri=//evil.example target_link_uri=https://evil.example/
  login_hint=evil@example.com scope=admin-evil scope=openid%20evil prompt=none prompt=consent
  prompt=create prompt= prompt=login%20none prompt=steps.LOGIN client_id=evil
  redirect_uri=https://evil.example/ response_type=token response_mode=form_post state=evil
  response_type=id_token&response_mode=fragment nonce=evil code_verifier=evil
  code_challenge=evil&code_challenge_method=plain code_challenge=&code_challenge_method=
  request=eyJhbGciOiJub25lIn0.evil. request_uri=https://evil.example/ claims=%7B%22evil%22:null%7D
  acr_values=evil&max_age=0&ui_locales=evil&id_token_hint=evil
  resource=https://evil.example&audience=evil
  RD=https://evil.example/&rd%5B%5D=https://evil.example/
  return_to=https://evil.example/&redirect=//evil.example&next=//evil.example&url=//evil.example
  connection=evil&kc_idp_hint=evil&domain_hint=evil
`)('A69: the configuration wins over the request (A58, A70): %s', async (query) => {
  for (const search of [query, `rd=/report&${query}`, `${query}&rd=/report`]) {
    expectConfigured(await party.get(`/oauth2/login?${search}`))
  }
})

test.for(words`
  acr_values=evil&max_age=0&login_hint=evil&prompt=none&ui_locales=evil
  acr_values=&max_age=&login_hint= max_age=99999999&acr_values=evil&acr_values=evil
  resource=https://evil.example&audience=evil&claims=evil
`)('A69: it wins where it names these parameters itself, too: %s', async (query) => {
  const visit = await configured.get(`/oauth2/login?rd=/report&${query}`)
  const sent = [...new URL(visit.location ?? '').searchParams]
  const own = new Set(['acr_values', 'max_age', 'login_hint', 'resource'])
  expect(sent.filter(([name]) => own.has(name))).toEqual([
    ['acr_values', 'urn:mfa'],
    ['max_age', '60'],
    ['login_hint', 'corp'],
    ['resource', 'urn:a'],
    ['resource', 'urn:b'],
  ])
  expect(sent.filter(([name]) => !own.has(name))).toHaveLength(Object.keys(documented).length)
  expect(visit.rawHeaders.join('\n')).not.toContain('evil')
})

test.for(['POST', 'PUT'])('A69: a login cannot be begun by %s (A47, A61)', async (method) => {
  const visit = await party.visitor().request(method, `${steps.LOGIN}?rd=/`, {
    crossSite: true,
    body: 'iss=https://evil.example',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
  })
  expect([visit.status, visit.location, visit.setCookies]).toEqual([404, undefined, []])
})

test('A69: the legitimate twins: a plain login, and one that asks the user to sign in anew', async () => {
  expectConfigured(await party.get('/oauth2/login?rd=/report'))
  expectConfigured(await party.get('/oauth2/login?rd=/report&prompt=login'), { prompt: 'login' })
})
