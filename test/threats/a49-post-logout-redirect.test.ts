import { expect, test } from 'vitest'
import { countEvents } from '../support/outage.ts'
import { APP } from '../support/relying-party.ts'
import { CALLBACK, cookieHeader, LOGOUT, sentAlong, startLogin } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const FURTHER = 'https://www.example.org/bye?a=b'

const SIGNED_OUT = `${APP}/oauth2/signed-out`

const party = useParty({ POST_LOGOUT_REDIRECT_URIS: FURTHER })

// None of these is a page to which a sign-out may lead, so that every one of them must be without effect.
const PARAMETERS = words`
  post_logout_redirect_uri=//evil.example post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F
  post_logout_redirect_uri=https://app.example.com@evil.example
  post_logout_redirect_uri=javascript:alert(1)
  post_logout_redirect_uri=/x&post_logout_redirect_uri=//evil.example
  rd=/x&post_logout_redirect_uri=/y rd=//evil.example rd=/%5cevil.example
  redirect=//evil.example&return_to=//evil.example&next=//evil.example
  redirect_uri=https://evil.example state=evil.state id_token_hint=evil.evil.evil
  client_id=evil.id&logout_hint=evil.hint&ui_locales=evil.locale token=evil.token
  %0d%0aLocation:%20//evil.example RD=https://evil.example&Post_Logout_Redirect_Uri=//evil.example
  rd[]=//evil.example&rd.x=//evil.example&returnTo=//evil.example logout_uri=//evil.example
  x=1;rd=//evil.example iss=https://evil.example&sid=evil.sid
`

const DEAD_ENDS = [
  ...words`
    state=evil.state state= state=a&state=b state=//evil.example
    state=%00%0d%0aLocation:%20//evil.example rd=//evil.example
    post_logout_redirect_uri=//evil.example&state=https://evil.example
    error=evil.error&error_description=%3Cscript%3Eevil.text%3C/script%3E
    iss=https://evil.example&sid=evil.sid
  `,
  `state=${'x'.repeat(30_000)}`,
]

function comparable({ status, headers, setCookies, body }: Visit) {
  const { date: _date, 'x-request-id': id = '', ...rest } = headers
  return { status, rest, setCookies, body: body.replaceAll(String(id), 'id') }
}

function expectNoTrace(visit: Visit): void {
  expect(`${visit.rawHeaders.join('\n')}\n${visit.body}`).not.toMatch(/evil[.%]|javascript:/i)
}

test.for(PARAMETERS)('the confirmation page ignores the parameter (A68): %s', async (query) => {
  const { browser } = await party.attempt()
  const plain = await browser.get(LOGOUT)
  const hostile = await browser.get(`${LOGOUT}?${query}`)
  expect([plain.status, comparable(hostile)]).toEqual([200, comparable(plain)])
  expectNoTrace(hostile)
  expect((await party.checkWith(browser)).status).toBe(200)
})

test.for(PARAMETERS)('the sign-out leads back to our own page alone (A47): %s', async (query) => {
  const { browser } = await party.attempt()
  const cookie = cookieHeader(browser)
  const form = query.startsWith('token') ? {} : Object.fromEntries(new URLSearchParams(query))
  const answer = await browser.post(`${LOGOUT}?${query}`, form)
  expect(answer.status).toBe(303)
  expectNoTrace(answer)
  const end = new URL(answer.headers.location ?? '')
  expect(end.origin).toBe(party.provider.issuer)
  expect(end.searchParams.getAll('post_logout_redirect_uri')).toEqual([SIGNED_OUT])
  expect([...end.searchParams.keys()].toSorted()).toEqual(words`
    client_id id_token_hint post_logout_redirect_uri state
  `)
  expect((await party.check({}, { Cookie: cookie })).status).toBe(302)
})

test.for(PARAMETERS)('a sign-out without a session leads to our own page: %s', async (query) => {
  const answer = await party.visitor().post(`${LOGOUT}?${query}`)
  expect([answer.status, answer.headers.location]).toEqual([303, SIGNED_OUT])
  expectNoTrace(answer)
})

test.for([
  ...Object.entries({
    'a=b': 'a=c',
    '/bye': '/BYE',
    bye: './bye',
    'https:': 'http:',
    'www.': 'www.evil.',
    '.org': '.org:444',
    www: 'evil@www',
  }).map(([part, other]) => FURTHER.replace(part, other)),
  ...words`
    ${FURTHER}/ ${FURTHER}#x ${FURTHER}&c=d ${FURTHER},https://evil.example/ https://www.example.org/
    \x20${FURTHER} https://evil.example.com/ https://app.example.com.evil.example/
    http://app.example.com/ https:app.example.com https:/\\evil.example ///evil.example
    /%2f%2fevil.example/..//evil.example data:text/html,evil
  `,
  `/${'x'.repeat(2100)}`,
])('a page that is almost allowed is refused, and that is logged once: %s', async (rd) => {
  const before = countEvents(party.vestibule, 'suspicious_return_to')
  const { browser } = await party.attempt()
  const cookie = cookieHeader(browser)
  const answer = await browser.post(LOGOUT, { rd, local: 'true' })
  expect([answer.status, answer.headers.location]).toEqual([303, SIGNED_OUT])
  expect((await party.check({}, { Cookie: cookie })).status).toBe(302)
  const count = () => countEvents(party.vestibule, 'suspicious_return_to')
  await expect.poll(count).toBeGreaterThan(before)
  const suspicious = party.vestibule.log().filter(({ event }) => event === 'suspicious_return_to')
  expect(new Set(suspicious.map((line) => line['request_id'])).size).toBe(suspicious.length)
  expect(JSON.stringify(suspicious)).not.toMatch(/evil|www|xxx/)
})

test.for(['https://other.example.com/x', '/x', FURTHER])(
  'a page that is allowed: %s',
  async (rd) => {
    const { browser } = await party.attempt()
    const answer = await browser.post(LOGOUT, { rd, local: 'true' })
    expect([answer.status, answer.location]).toEqual([303, new URL(rd, APP).href])
  },
)

test('a state of another host or of a sign-in leads nowhere, and one of ours signs nobody in', async () => {
  const { browser } = await party.attempt()
  const rd = 'https://other.example.com/x'
  const state = sentAlong(await browser.post(LOGOUT, { rd }), 'state')
  const visitor = party.visitor()
  const loginState = sentAlong(await startLogin(visitor, rd), 'state')
  for (const [url, status] of [
    [`https://other.example.com/oauth2/signed-out?state=${state}`, 200],
    [`${SIGNED_OUT}?state=${loginState}`, 200],
    [`${CALLBACK}?code=x&state=${state}`, 400],
  ] as const)
    expect(await visitor.get(url)).toMatchObject({ status, location: undefined })
})

test.for(DEAD_ENDS)('an unknown state lands on the safe page: %s', async (query) => {
  const browser = party.visitor()
  const plain = await browser.get(SIGNED_OUT)
  const answer = await browser.get(`${SIGNED_OUT}?${query}`)
  expect(plain.status).toBe(200)
  expect(plain.body).toContain('You are signed out')
  expect(plain.headers['cache-control']).toBe('no-store')
  expect(comparable(answer)).toEqual(comparable(plain))
  expectNoTrace(answer)
  const links = [...answer.body.matchAll(/href="([^"]*)"/g)].map(([, href]) => href)
  expect(links).toEqual([`${APP}/oauth2/login?rd=${encodeURIComponent(`${APP}/`)}`])
})

test('hostile headers do not move the sign-out', async () => {
  const { browser } = await party.attempt()
  const headers = {
    'X-Forwarded-Host': 'evil.example',
    'X-Auth-Request-Redirect': 'https://evil.example',
    Referer: 'https://evil.example/',
  }
  const answer = await browser.post(LOGOUT, {}, { headers })
  expect(answer.status).toBe(303)
  expectNoTrace(answer)
})
