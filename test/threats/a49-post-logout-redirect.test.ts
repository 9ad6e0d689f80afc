import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { countEvents } from '../support/outage.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { sentAlong, startLogin } from '../support/sign-in-steps.ts'
import type { Visit } from '../support/visitor.ts'

const FURTHER = 'https://www.example.org/bye?a=b'
let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty({ POST_LOGOUT_REDIRECT_URIS: FURTHER })
})
afterAll(() => party[Symbol.asyncDispose]())

// None of these is a page to which a sign-out may lead, so that every one of them must be without effect.
const PARAMETERS = [
  'post_logout_redirect_uri=//evil.example',
  'post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F',
  'post_logout_redirect_uri=https://app.example.com@evil.example',
  'post_logout_redirect_uri=javascript:alert(1)',
  'post_logout_redirect_uri=/x&post_logout_redirect_uri=//evil.example',
  'rd=/x&post_logout_redirect_uri=/y',
  'rd=//evil.example',
  'rd=/%5cevil.example',
  'redirect=//evil.example&return_to=//evil.example&next=//evil.example',
  'redirect_uri=https://evil.example',
  'state=evil.state',
  'id_token_hint=evil.evil.evil',
  'client_id=evil.id&logout_hint=evil.hint&ui_locales=evil.locale',
  'token=evil.token',
  '%0d%0aLocation:%20//evil.example',
]

const DEAD_ENDS = [
  'state=evil.state',
  'state=',
  'state=a&state=b',
  'state=//evil.example',
  'state=%00%0d%0aLocation:%20//evil.example',
  `state=${'x'.repeat(30_000)}`,
  'rd=//evil.example',
  'post_logout_redirect_uri=//evil.example&state=https://evil.example',
  'error=evil.error&error_description=%3Cscript%3Eevil.text%3C/script%3E',
  'iss=https://evil.example&sid=evil.sid',
]

/** What is the same for every visit to one page by one person. */
const comparable = ({ status, headers, setCookies, body }: Visit) => {
  const { date: _date, 'x-request-id': id = '', ...rest } = headers
  return { status, rest, setCookies, body: body.replaceAll(String(id), 'id') }
}

const expectNoTrace = (visit: Visit): void => {
  expect(`${visit.rawHeaders.join('\n')}\n${visit.body}`).not.toMatch(/evil[.%]|javascript:/i)
}

describe('A49 post-logout redirect', () => {
  test.for(PARAMETERS)('the question before the sign-out is the same: %s', async (query) => {
    const { browser } = await party.attempt()
    const plain = await browser.get(`${APP}/oauth2/logout`)
    const hostile = await browser.get(`${APP}/oauth2/logout?${query}`)
    expect(plain.status).toBe(200)
    expect(comparable(hostile)).toEqual(comparable(plain))
    expectNoTrace(hostile)
    const cookie = browser.cookies.header(new URL(APP))
    expect((await party.vestibule.check({}, { Cookie: cookie })).status).toBe(200)
  })

  test.for(PARAMETERS)(
    'the sign-out leads to the provider and back to our own page alone: %s',
    async (query, { expect }) => {
      const { browser } = await party.attempt()
      const cookie = browser.cookies.header(new URL(APP))
      const form = query.startsWith('token') ? {} : Object.fromEntries(new URLSearchParams(query))
      const answer = await browser.post(`${APP}/oauth2/logout?${query}`, form)
      expect(answer.status).toBe(303)
      expectNoTrace(answer)
      const end = new URL(answer.headers.location ?? '')
      expect(end.origin).toBe(party.provider.issuer)
      expect(end.searchParams.getAll('post_logout_redirect_uri')).toEqual([
        `${APP}/oauth2/signed-out`,
      ])
      expect([...end.searchParams.keys()].toSorted()).toEqual([
        'client_id',
        'id_token_hint',
        'post_logout_redirect_uri',
        'state',
      ])
      expect((await party.vestibule.check({}, { Cookie: cookie })).status).toBe(302)
    },
  )

  test.for(PARAMETERS)('without a session it leads to our own page: %s', async (query) => {
    const browser = party.vestibule.visitor()
    const answer = await browser.post(`${APP}/oauth2/logout?${query}`)
    expect([answer.status, answer.headers.location]).toEqual([303, `${APP}/oauth2/signed-out`])
    expectNoTrace(answer)
  })

  test('the whole way ends on the page that says so', async () => {
    const { browser } = await party.attempt()
    const page = await browser.follow(await browser.post(`${APP}/oauth2/logout`))
    expect(new URL(page.url).origin).toBe(party.provider.issuer)
    const last = await browser.submit(page, { logout: 'yes' })
    expect(last.url).toMatch(`${APP}/oauth2/signed-out?state=`)
    expect(last.body).toContain('You are signed out')
  })

  test.for([
    FURTHER.replace('a=b', 'a=c'),
    `${FURTHER}#x`,
    `${FURTHER}&c=d`,
    FURTHER.replace('/bye', '/BYE'),
    FURTHER.replace('/bye', '/./bye'),
    FURTHER.replace('https:', 'http:'),
    FURTHER.replace('www.', 'www.evil.'),
    FURTHER.replace('.org', '.org:444'),
    FURTHER.replace('www', 'evil@www'),
    ` ${FURTHER}`,
    `${FURTHER},https://evil.example/`,
    'https://www.example.org/',
    'https://evil.example.com/',
    'https://app.example.com.evil.example/',
    'http://app.example.com/',
    'https:app.example.com',
    'https:/\\evil.example',
    '///evil.example',
    '/%2f%2fevil.example/..//evil.example',
    'data:text/html,evil',
    `/${'x'.repeat(2100)}`,
  ])('a page that is almost allowed is not, and that is logged once: %s', async (rd) => {
    const before = countEvents(party.vestibule, 'suspicious_return_to')
    const { browser } = await party.attempt()
    const cookie = browser.cookies.header(new URL(APP))
    const answer = await browser.post(`${APP}/oauth2/logout`, { rd, local: 'true' })
    expect([answer.status, answer.headers.location]).toEqual([303, `${APP}/oauth2/signed-out`])
    expect((await party.vestibule.check({}, { Cookie: cookie })).status).toBe(302)
    await expect
      .poll(() => countEvents(party.vestibule, 'suspicious_return_to') - before)
      .toBeGreaterThan(0)
    const suspicious = party.vestibule.log().filter(({ event }) => event === 'suspicious_return_to')
    expect(new Set(suspicious.map((line) => line['request_id'])).size).toBe(suspicious.length)
    expect(JSON.stringify(suspicious)).not.toMatch(/evil|www|xxx/)
  })

  test.for(['https://other.example.com/x', '/x', FURTHER])(
    'the legitimate twin, a page that is allowed: %s',
    async (rd, { expect }) => {
      const { browser } = await party.attempt()
      const answer = await browser.post(`${APP}/oauth2/logout`, { rd, local: 'true' })
      expect([answer.status, answer.location]).toEqual([303, new URL(rd, APP).href])
    },
  )

  test('a state of another host or of a sign-in leads nowhere, and one of ours signs nobody in', async () => {
    const { browser } = await party.attempt()
    const leaving = await browser.post(`${APP}/oauth2/logout`, {
      rd: 'https://other.example.com/x',
    })
    const state = sentAlong(leaving, 'state')
    const visitor = party.vestibule.visitor()
    const elsewhere = await visitor.get(
      `https://other.example.com/oauth2/signed-out?state=${state}`,
    )
    expect([elsewhere.status, elsewhere.location]).toEqual([200, undefined])
    const loginState = sentAlong(await startLogin(visitor, 'https://other.example.com/x'), 'state')
    const confused = await visitor.get(`${APP}/oauth2/signed-out?state=${loginState}`)
    expect([confused.status, confused.location]).toEqual([200, undefined])
    const callback = await visitor.get(`${APP}/oauth2/callback?code=x&state=${state}`)
    expect([callback.status, callback.location]).toEqual([400, undefined])
  })

  test.for(DEAD_ENDS)('an unknown state lands on the safe page: %s', async (query) => {
    const browser = party.vestibule.visitor()
    const plain = await browser.get(`${APP}/oauth2/signed-out`)
    const answer = await browser.get(`${APP}/oauth2/signed-out?${query}`)
    expect(plain.status).toBe(200)
    expect(plain.body).toContain('You are signed out')
    expect(plain.headers['cache-control']).toBe('no-store')
    expect(comparable(answer)).toEqual(comparable(plain))
    expectNoTrace(answer)
    const links = [...answer.body.matchAll(/href="([^"]*)"/g)].map(([, href]) => href)
    expect(links).toEqual([`${APP}/oauth2/login?rd=${encodeURIComponent(`${APP}/`)}`])
    expect(party.vestibule.isAlive()).toBe(true)
  })

  test('the safe page ends no session', async () => {
    const { browser } = await party.attempt()
    await browser.get(`${APP}/oauth2/signed-out?state=evil`)
    const cookie = browser.cookies.header(new URL(APP))
    expect((await party.vestibule.check({}, { Cookie: cookie })).status).toBe(200)
  })

  test('hostile headers do not move the sign-out', async () => {
    const { browser } = await party.attempt()
    const answer = await browser.post(
      `${APP}/oauth2/logout`,
      {},
      {
        headers: {
          'X-Forwarded-Host': 'evil.example',
          'X-Auth-Request-Redirect': 'https://evil.example',
          Referer: 'https://evil.example/',
        },
      },
    )
    expect(answer.status).toBe(303)
    expectNoTrace(answer)
  })
})
