import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectRefusal, readCounter } from '../support/refusal.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, LOGIN, LOGOUT, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import type { Visit, Visitor } from '../support/visitor.ts'

let party: RelyingParty
let shared: RelyingParty
let alice: string
let bob: string

beforeAll(async () => {
  party = await startRelyingParty()
  shared = await startRelyingParty({ COOKIE_DOMAIN: 'example.com', PUBLIC_URL: APP })
  alice = await sessionOf('alice')
  bob = await sessionOf('bob')
})
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  await shared[Symbol.asyncDispose]()
})

const sessionOf = async (sub: string): Promise<string> =>
  (await party.attempt(sub)).browser.cookies.find(SESSION_COOKIE)?.value ?? ''

const asScript = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
const pair = (value: string): string => `${SESSION_COOKIE}=${value}`

const ambiguous: readonly (readonly [string, () => string | readonly string[]])[] = [
  ['the attacker’s first', () => `${pair(bob)}; a=1; ${pair(alice)}`],
  ['the attacker’s last', () => `${pair(alice)}; a=1; ${pair(bob)}`],
  ['made up beside real', () => `${pair('hostile')}; ${pair(alice)}`],
  ['real beside made up', () => `${pair(alice)}; ${pair('hostile')}`],
  ['an empty one first', () => `${pair('')}; ${pair(alice)}`],
  ['an empty one last', () => `${pair(alice)}; ${pair('')}`],
  ['three', () => `${pair(alice)}; ${pair(bob)}; ${pair(alice)}`],
  ['without blanks', () => `${pair(alice)};${pair(bob)}`],
  ['with blanks and tabs around', () => `${pair(alice)}; \t${SESSION_COOKIE} =\t${bob} `],
  ['in two headers', () => [pair(alice), pair(bob)]],
  ['two hundred', () => Array.from({ length: 200 }, (_, at) => pair(`x${at}`)).join('; ')],
]

const expectResetPage = (visit: Visit): void => {
  expect(visit.status).toBe(400)
  expect(visit.headers['cache-control']).toBe('no-store')
  expect(visit.headers['content-type']).toMatch(/^text\/html/)
  expect(visit.location).toBeUndefined()
  expect(visit.headers['x-auth-request-user']).toBeUndefined()
  expect(visit.body).toContain(`href="${LOGIN}?rd=`)
  const answer = visit.rawHeaders.join('\n') + visit.body
  for (const value of ['hostile', alice, bob]) expect(answer).not.toContain(value)
}

describe('A71 cookie tossing and duplicates', () => {
  test.for(ambiguous)('two sessions are none, and a page clears them: %s', async ([, make]) => {
    const before = await readCounter(party.vestibule, 'duplicate_cookies')
    const visit = await party.vestibule.check({}, { Cookie: make() })
    expectResetPage(visit)
    expect(visit.setCookies).toEqual([
      `${SESSION_COOKIE}=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ])
    expect(await readCounter(party.vestibule, 'duplicate_cookies')).toBe(before + 1)
  })

  test.for(ambiguous)('a script gets 401 and keeps its cookies: %s', async ([, make]) => {
    expectRefusal(await party.vestibule.check({}, { Cookie: make(), ...asScript }), 401, [
      'hostile',
      alice,
      bob,
    ])
  })

  test.for(ambiguous)('/me knows nobody by two sessions: %s', async ([, make]) => {
    const visit = await party.vestibule
      .visitor()
      .get(`${APP}/oauth2/me`, { headers: { Cookie: make() } })
    expect(visit.status).toBe(401)
    expect(visit.body).not.toMatch(/alice|bob|hostile/)
  })

  test('neither session is ended by the page, and both are by a sign-out with both', async () => {
    const users = ['alice', 'bob'] as const
    const pairs = await Promise.all(users.map((user) => party.vestibule.signIn(user)))
    const Cookie = pairs.join('; ')
    const ask = () => Promise.all(pairs.map((each) => party.vestibule.check({}, { Cookie: each })))
    expect((await party.vestibule.check({}, { Cookie })).status).toBe(400)
    expect((await ask()).map(({ headers }) => headers['x-auth-request-user'])).toEqual(users)
    const left = await party.vestibule.visitor().post(LOGOUT, {}, { headers: { Cookie } })
    expect(left.status).toBe(303)
    expect((await ask()).map(({ status }) => status)).toEqual([302, 302])
  })

  test('the legitimate twins pass: one session, and the same one several times', async () => {
    const cookies = [
      pair(alice),
      `a=1; ${pair(alice)}; b=2`,
      `${pair(alice)}; ${pair(alice)}`,
      [pair(alice), `theme=dark; ${pair(alice)}`],
    ]
    for (const Cookie of cookies) {
      const visit = await party.vestibule.check({}, { Cookie })
      expect([visit.status, visit.headers['x-auth-request-user']]).toEqual([200, 'alice'])
      expect(visit.setCookies).toEqual([])
    }
  })

  test.for([
    'vestibule',
    '__Secure-vestibule',
    '__host-vestibule',
    '__HOST-VESTIBULE',
    'xx__Host-vestibule',
    '__Host-vestibule2',
    '__Host-vestibulex',
    '__Host-vestibule[0]',
    '__Host-vestibule_login',
  ])('a cookie of another name is neither a session nor a duplicate: %s', async (name) => {
    const alone = await party.vestibule.check({}, { Cookie: `${name}=${alice}` })
    expect(alone.status).toBe(302)
    const beside = await party.vestibule.check({}, { Cookie: `${name}=${bob}; ${pair(alice)}` })
    expect([beside.status, beside.headers['x-auth-request-user']]).toEqual([200, 'alice'])
  })

  test('the names that only this host can set are the default', async () => {
    const { answer } = await party.attempt()
    for (const line of answer.setCookies) expect(line).toMatch(/^__Host-vestibule/)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})

const NAME = '__Secure-vestibule'

const toss = (browser: Visitor, from: string, line: string): void => {
  const reason = browser.cookies.set(line, new URL(from))
  if (reason) throw new Error(reason)
}

const open = (browser: Visitor): Promise<Visit> =>
  shared.vestibule.check({}, { Cookie: cookieHeader(browser) })

/** Takes over what an answer of the check sets, as the browser behind Traefik does. */
const take = (browser: Visitor, { setCookies }: Visit): void => {
  for (const line of setCookies) toss(browser, `${APP}/`, line)
}

describe('A71 cookie tossing within a shared domain', () => {
  test('the page gets rid of a cookie that the app’s own host tossed, and a sign-in works again', async () => {
    const { browser } = await shared.attempt('alice')
    const attackers = (await shared.attempt('bob')).browser.cookies.find(NAME)?.value
    toss(browser, `${APP}/`, `${NAME}=${attackers}; Path=/; Secure`)
    const visit = await open(browser)
    expect(visit.status).toBe(400)
    take(browser, visit)
    expect(cookieHeader(browser) ?? '').not.toContain(`${NAME}=`)
    await browser.browse(`${LOGIN}?rd=/`)
    const after = await open(browser)
    expect([after.status, after.headers['x-auth-request-user']]).toEqual([200, 'alice'])
  })

  test('both variants are expired: the host’s and the domain’s', async () => {
    const visit = await shared.vestibule.check({}, { Cookie: `${NAME}=a; ${NAME}=b` })
    expect(visit.status).toBe(400)
    const cleared = visit.setCookies.filter((line) => line.startsWith(`${NAME}=; Max-Age=0`))
    expect(cleared.map((line) => /; Domain=([^;]+)/.exec(line)?.[1])).toEqual(
      expect.arrayContaining([undefined, 'example.com']),
    )
    expect(shared.vestibule.isAlive()).toBe(true)
  })
})
