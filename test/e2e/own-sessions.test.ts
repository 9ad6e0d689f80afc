import { expect, test } from 'vitest'
import { parseForm } from '../support/html-form.ts'
import { loginRequired, readCounter } from '../support/refusal.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { createVisitor, type Visit, type VisitHeaders, type Visitor } from '../support/visitor.ts'
import { rows, words } from '../support/words.ts'

const SESSIONS = `${APP}/oauth2/sessions`
const JSON_ONLY = { Accept: 'application/json' } as const
const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0'

const HOSTILE = `<script>alert(1)</script>"'><b>`
const USERS = [
  ...words`
    json page kinds returning ambiguous button others bystander script current victim attacker form csrf
    twin token idle
  `,
  HOSTILE,
]

const party = useParty({}, { users: USERS.map((sub) => ({ sub })) })
const { userOf } = party

interface Listed {
  readonly id: string
  readonly current: boolean
  readonly created_at: string
  readonly expires_at: string
  readonly address: string | null
  readonly browser: string
}

/** Signs in with this browser, from this address, a user whom no other test has. */
async function signIn(sub: string, userAgent = FIREFOX, address = '203.0.113.7') {
  const browser = createVisitor({
    connectTo: { 'app.example.com': `http://127.0.0.1:${party.vestibule.publicPort}` },
    headers: { 'User-Agent': userAgent, 'X-Forwarded-For': address },
  })
  await browser.signIn(`${APP}/oauth2/login?rd=/`, sub)
  return browser
}

async function list(browser: Visitor): Promise<readonly Listed[]> {
  const { status, body } = await browser.fetch(SESSIONS, { headers: JSON_ONLY })
  expect(status).toBe(200)
  return (JSON.parse(body) as { sessions: Listed[] }).sessions
}

/** Signs a user in twice: here, and elsewhere. */
async function signInTwice(sub: string) {
  const elsewhere = await signIn(sub)
  const here = await signIn(sub)
  const other = (await list(here)).find(({ current }) => !current)
  return { here, elsewhere, id: other?.id ?? '' }
}

const postJson = (browser: Visitor, body: string, headers: VisitHeaders = {}) =>
  browser.fetch(SESSIONS, {
    method: 'POST',
    body,
    headers: { ...JSON_ONLY, 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
  })

test('JSON lists each session by browser and address, the current one first, and nothing else', async () => {
  const { here } = await signInTwice('json')
  const first = await here.fetch(SESSIONS, { headers: JSON_ONLY })
  expect(first.headers).toMatchObject({
    'content-type': 'application/json',
    'cache-control': 'no-store',
    vary: 'Accept, Cookie',
  })
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string
  const each = {
    id: expect.stringMatching(/^[\w-]{43}$/) as string,
    created_at: time,
    expires_at: time,
    address: '203.0.113.7',
    browser: 'Firefox on Windows',
  }
  expect(JSON.parse(first.body)).toEqual({
    sessions: [
      { ...each, current: true },
      { ...each, current: false },
    ],
  })
  const [session] = await list(here)
  const lifeMs = Date.parse(session?.expires_at ?? '') - Date.parse(session?.created_at ?? '')
  expect(lifeMs).toBe(86_400_000)
})

test('the page tells the same in words, with a form for each', async () => {
  const { here, id } = await signInTwice('page')
  const { status, headers, body } = await here.get(SESSIONS)
  expect([status, headers['vary']]).toEqual([200, 'Accept, Cookie'])
  expect(body.match(/<h3>Firefox on Windows<\/h3>/g)).toHaveLength(2)
  for (const text of ['203.0.113.7', 'just now', `value="${id}"`, 'name="others" value="all"'])
    expect(body).toContain(text)
  expect(body).not.toMatch(/<script|Last seen/)
})

test.for<[string, VisitHeaders, 'page' | 'json']>([
  ['a navigation', {}, 'page'],
  ['an old browser', { 'Sec-Fetch-Mode': undefined, 'Sec-Fetch-Dest': undefined }, 'page'],
  ['a navigation that takes JSON alone', JSON_ONLY, 'json'],
  [
    'a program',
    { 'Sec-Fetch-Mode': undefined, 'Sec-Fetch-Dest': undefined, Accept: '*/*' },
    'json',
  ],
  ['a script', { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }, 'json'],
  ['a frame', { 'Sec-Fetch-Dest': 'iframe' }, 'json'],
])('%s is answered by its kind, with a session and without', async ([, headers, kind]) => {
  const signedIn = await (await signIn('kinds')).get(SESSIONS, { headers })
  const type = kind === 'page' ? 'text/html; charset=UTF-8' : 'application/json'
  expect([signedIn.status, signedIn.headers['content-type']]).toEqual([200, type])
  const stranger = await party.visitor().get(SESSIONS, { headers })
  const login = loginRequired(SESSIONS)
  if (kind === 'page') {
    expect([stranger.status, stranger.location]).toEqual([302, login.login_url])
  } else {
    expect([stranger.status, JSON.parse(stranger.body)]).toEqual([401, login])
  }
  expect([stranger.headers['vary'], stranger.setCookies]).toEqual(['Accept, Cookie', []])
})

test('somebody who is not signed in comes back to the page after the sign-in', async () => {
  const last = await party.visitor().signIn(SESSIONS, 'returning')
  expect([last.url, last.status]).toEqual([SESSIONS, 200])
})

test.for(rows`GET POST`())('%s without a session ends in 401 or the sign-in', async ([method]) => {
  const script = await party.visitor().fetch(SESSIONS, { method, body: 'others=all' })
  expect([script.status, JSON.parse(script.body)]).toEqual([401, loginRequired(SESSIONS)])
  const page = await party.visitor().request(method, SESSIONS, { body: 'others=all' })
  expect([page.status, page.location]).toEqual([
    method === 'GET' ? 302 : 303,
    loginRequired(SESSIONS).login_url,
  ])
})

test('two different session cookies are no session, and a page offers to forget both', async () => {
  const { here, elsewhere, id } = await signInTwice('ambiguous')
  const headers = { Cookie: `${cookieHeader(here)}; ${cookieHeader(elsewhere)}` }
  const page = await party.visitor().get(SESSIONS, { headers })
  expect([page.status, page.setCookies.join()]).toEqual([
    400,
    expect.stringContaining(`${SESSION_COOKIE}=; Max-Age=0`) as string,
  ])
  const script = await postJson(party.visitor(), `id=${id}`, headers)
  expect([script.status, script.setCookies, await userOf(elsewhere)]).toEqual([
    401,
    [],
    'ambiguous',
  ])
})

test('one session ends by its button, with a notice that no link can make up', async () => {
  const { here, elsewhere, id } = await signInTwice('button')
  const before = await readCounter(party.vestibule, 'sessions_ended_by_users')
  const answer = await here.post(SESSIONS, { id })
  expect([answer.status, answer.location]).toEqual([
    303,
    expect.stringMatching(
      /^https:\/\/app\.example\.com\/oauth2\/sessions\?notice=[\w-]+$/,
    ) as string,
  ])
  expect((await here.follow(answer)).body).toContain('One session has ended.')
  expect([await userOf(elsewhere), await userOf(here)]).toEqual([302, 'button'])
  expect(await readCounter(party.vestibule, 'sessions_ended_by_users')).toBe(before + 1)
  const other = await (await signIn('button')).get(answer.location ?? '')
  expect([other.status, other.body.includes('role="status"')]).toEqual([200, false])
  for (const notice of ['1', 'A'.repeat(62), `${'A'.repeat(62)}&notice=2`])
    expect((await here.get(`${SESSIONS}?notice=${notice}`)).body).not.toContain('role="status"')
})

test('all others end behind one question; sessions of other users do not', async () => {
  const { here, elsewhere } = await signInTwice('others')
  const bystander = await signIn('bystander')
  const { body } = await here.get(SESSIONS)
  const form = parseForm(
    body.slice(body.indexOf('<details>'), body.indexOf('</details>')),
    SESSIONS,
  )
  expect(await userOf(elsewhere)).toBe('others')
  const page = await here.follow(await here.post(SESSIONS, form?.hidden ?? {}))
  expect(page.body).toContain('One session has ended.')
  expect(page.body).toContain('You are not signed in anywhere else.')
  expect([await userOf(elsewhere), await userOf(here), await userOf(bystander)]).toEqual([
    302,
    'others',
    'bystander',
  ])
  expect(await list(here)).toHaveLength(1)
})

test('a script ends sessions and reads their number; the log has a line without names', async () => {
  const { here, elsewhere, id } = await signInTwice('script')
  const one = await postJson(here, `id=${id}`)
  expect([one.status, JSON.parse(one.body)]).toEqual([200, { ended: 1 }])
  await signIn('script')
  await signIn('script')
  const all = await postJson(here, 'others=all')
  expect([all.status, JSON.parse(all.body)]).toEqual([200, { ended: 2 }])
  expect(JSON.parse((await postJson(here, 'others=all')).body)).toEqual({ ended: 0 })
  expect([await userOf(elsewhere), await userOf(here)]).toEqual([302, 'script'])
  const lines = party.vestibule.log().filter(({ event }) => event === 'sessions_ended_by_user')
  expect(lines.slice(-3).map(({ count }) => count)).toEqual([1, 2, 0])
  expect(JSON.stringify(lines)).not.toContain('"script')
})

test('the id of the current session signs out here, for a page and for a script', async () => {
  for (const isPage of [true, false]) {
    const { here, elsewhere } = await signInTwice('current')
    const id = (await list(here)).find(({ current }) => current)?.id ?? ''
    const cookie = cookieHeader(here)
    const answer = isPage ? await here.post(SESSIONS, { id }) : await postJson(here, `id=${id}`)
    if (isPage) expect([answer.status, answer.location]).toEqual([303, `${APP}/oauth2/signed-out`])
    else expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { ended: 1 }])
    expect(answer.setCookies.join()).toContain(`${SESSION_COOKIE}=; Max-Age=0`)
    expect([await userOf(cookie), await userOf(elsewhere)]).toEqual([302, 'current'])
  }
})

test('a session of somebody else and an unknown one are the same 404, and nothing ends', async () => {
  const { id, elsewhere } = await signInTwice('victim')
  const attacker = await signIn('attacker')
  const answers = await Promise.all(
    [id, 'A'.repeat(43)].map((each) => postJson(attacker, `id=${each}`)),
  )
  const [foreign, unknown] = answers.map(({ status, body }) => [
    status,
    JSON.parse(body) as unknown,
  ])
  expect(foreign).toEqual([404, { error: 'not_found', message: 'You have no such session.' }])
  expect(unknown).toEqual(foreign)
  expect((await attacker.post(SESSIONS, { id })).status).toBe(404)
  expect(await userOf(elsewhere)).toBe('victim')
})

test.for<[string, string, VisitHeaders, number]>([
  ['no parameter', '', {}, 400],
  ['both', `id=${'A'.repeat(43)}&others=all`, {}, 400],
  ['twice', 'others=all&others=all', {}, 400],
  ['an unknown one', 'others=all&user=bob', {}, 400],
  ['an empty one', 'others=', {}, 400],
  ['no id', 'id=..%2f..', {}, 400],
  ['JSON', '{"others":"all"}', { 'Content-Type': 'application/json' }, 415],
  ['plain text', 'others=all', { 'Content-Type': 'text/plain' }, 415],
  ['no type', 'others=all', { 'Content-Type': undefined }, 415],
  ['too much', `others=all&token=${'a'.repeat(17_000)}`, {}, 413],
])('a request with %s is refused and ends nothing', async ([, body, headers, status]) => {
  const { here, elsewhere } = await signInTwice('form')
  expect((await postJson(here, body, headers)).status).toBe(status)
  expect(await userOf(elsewhere)).toBe('form')
})

const NEITHER = { 'Sec-Fetch-Site': undefined, Origin: undefined } as const

test.for<[string, VisitHeaders]>([
  ['cross-site', { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }],
  ['cross-site without an Origin', { 'Sec-Fetch-Site': 'cross-site' }],
  ['same-site, unprotected', { 'Sec-Fetch-Site': 'same-site', Origin: 'https://x.example.com' }],
  ['from nowhere', { 'Sec-Fetch-Site': 'none' }],
  ['with neither', {}],
  ['with the Origin null', { Origin: 'null' }],
  ['with our host over http', { Origin: 'http://app.example.com' }],
  ['with an Origin that begins like ours', { Origin: `${APP}.evil.example` }],
])('A67: POST %s ends nothing: a page asks, a script is refused', async ([, given]) => {
  const { here, elsewhere, id } = await signInTwice('csrf')
  const headers = { ...NEITHER, ...given }
  for (const body of [`id=${id}`, 'others=all', `others=all&token=${'A'.repeat(43)}`]) {
    const page = await here.post(SESSIONS, Object.fromEntries(new URLSearchParams(body)), {
      headers,
    })
    expect([page.status, page.location, page.setCookies]).toEqual([200, undefined, []])
    expect(page.body).toContain(`action="${SESSIONS}"`)
    expect(page.body.includes('<details open>')).toBe(body.startsWith('others'))
    const script = await postJson(here, body, headers)
    expect([script.status, script.body]).toEqual([
      403,
      expect.stringContaining('foreign_origin') as string,
    ])
  }
  expect(await userOf(elsewhere)).toBe('csrf')
})

test.for<[string, VisitHeaders]>([
  ['the same origin', { 'Sec-Fetch-Site': 'same-origin' }],
  ['a protected host', { 'Sec-Fetch-Site': 'same-site', Origin: 'https://other.example.com' }],
])('A67: the legitimate twin, a request of %s, ends the session', async ([, given]) => {
  const { here, elsewhere, id } = await signInTwice('twin')
  expect((await postJson(here, `id=${id}`, { ...NEITHER, ...given })).status).toBe(200)
  expect(await userOf(elsewhere)).toBe(302)
})

test('A67: the token of the page counts for its own session alone', async () => {
  const { here, elsewhere, id } = await signInTwice('token')
  const tokenOf = async (browser: Visitor) =>
    parseForm((await browser.get(SESSIONS)).body, SESSIONS)?.hidden['token'] ?? ''
  const attacker = await signIn('attacker')
  const headers = { ...NEITHER, Origin: 'null' }
  const tried = await postJson(here, `id=${id}&token=${await tokenOf(attacker)}`, headers)
  expect([tried.status, await userOf(elsewhere)]).toEqual([403, 'token'])
  const own = await postJson(here, `id=${id}&token=${await tokenOf(here)}`, headers)
  expect([own.status, await userOf(elsewhere)]).toEqual([200, 302])
})

test.for<[string, (browser: Visitor) => Promise<Visit>]>([
  ['HEAD', (browser) => browser.request('HEAD', SESSIONS)],
  ['a prefetch', (browser) => browser.get(SESSIONS, { headers: { 'Sec-Purpose': 'prefetch' } })],
  ['GET', (browser) => browser.get(`${SESSIONS}?others=all`)],
  [
    'a POST that is a prefetch',
    (browser) =>
      browser.post(SESSIONS, { others: 'all' }, { headers: { 'Sec-Purpose': 'prefetch' } }),
  ],
])('%s has no effect', async ([, ask]) => {
  const { here, elsewhere } = await signInTwice('idle')
  const { setCookies, location } = await ask(here)
  expect([setCookies, location, await userOf(elsewhere)]).toEqual([[], undefined, 'idle'])
})

test('A99: hostile names of browsers and people stay text, and unknown ones are said plainly', async () => {
  await signIn(HOSTILE, `${HOSTILE}/1 x`, 'evil<b>')
  const browser = await signIn(HOSTILE, '')
  const { body } = await browser.get(SESSIONS)
  expect(body).not.toMatch(/<script|<b>|alert\(1\)<\/script>/)
  expect(body.match(/<h3>Unknown browser<\/h3>/g)).toHaveLength(2)
  expect(body).toContain('127.0.0.1')
  expect((await list(browser)).map((each) => each.browser)).toEqual(
    Array(2).fill('Unknown browser'),
  )
})

test('with an idle timeout the latest use is told to scripts and people', async () => {
  await using idle = await startRelyingParty({ SESSION_IDLE_TIMEOUT: '600' })
  await idle.attempt('alice')
  const { browser } = await idle.attempt('alice')
  const { body } = await browser.fetch(SESSIONS, { headers: JSON_ONLY })
  const { sessions } = JSON.parse(body) as { sessions: (Listed & { last_seen_at: string })[] }
  expect(sessions).toHaveLength(2)
  for (const { last_seen_at: seen, created_at: created } of sessions) {
    expect(Date.parse(seen)).toBeGreaterThanOrEqual(Date.parse(created))
    expect(Date.parse(seen)).toBeLessThanOrEqual(Date.now())
  }
  expect((await browser.get(SESSIONS)).body).toMatch(/<dt>Last seen<\/dt>.*<dt>Ends by<\/dt>/s)
})
