import { beforeAll, describe, expect, test } from 'vitest'
import { expectRefusal, readCounter } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { cookieHeader, LOGIN, LOGOUT, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { asScript, useParty } from '../support/used-party.ts'
import type { Visitor } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useParty()
const shared = useParty({ COOKIE_DOMAIN: 'example.com', PUBLIC_URL: APP })
let alice: string
let bob: string

beforeAll(async () => {
  alice = await party.sessionOf('alice')
  bob = await party.sessionOf('bob')
})

function pair(value: string): string {
  return `${SESSION_COOKIE}=${value}`
}

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

describe('A71 cookie tossing and duplicates', () => {
  test.for(ambiguous)('two sessions are none, and a page clears them: %s', async ([, make]) => {
    const before = await readCounter(party.vestibule, 'duplicate_cookies')
    const { headers, ...visit } = await party.check({}, { Cookie: make() })
    expect(visit).toMatchObject({
      status: 400,
      location: undefined,
      setCookies: [`${SESSION_COOKIE}=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax`],
      body: expect.stringContaining(`href="${LOGIN}?rd=`) as string,
    })
    expect(headers['x-auth-request-user']).toBeUndefined()
    expect(headers['content-type']).toMatch(/^text\/html/)
    expect(headers['cache-control']).toBe('no-store')
    const answer = visit.rawHeaders.join('\n') + visit.body
    for (const value of ['hostile', alice, bob]) expect(answer).not.toContain(value)
    expect(await readCounter(party.vestibule, 'duplicate_cookies')).toBe(before + 1)
  })

  test.for(ambiguous)('a script gets 401 and keeps its cookies: %s', async ([, make]) => {
    const visit = await party.check({}, { Cookie: make(), ...asScript })
    expectRefusal(visit, 401, ['hostile', alice, bob])
  })

  test.for(ambiguous)('/me names no user for two sessions: %s', async ([, make]) => {
    const visit = await party.get('/oauth2/me', { headers: { Cookie: make() } })
    expect(visit.status).toBe(401)
    expect(visit.body).not.toMatch(/alice|bob|hostile/)
  })

  test('neither session is ended by the page, and both are by a sign-out with both', async () => {
    const users = ['alice', 'bob'] as const
    const pairs = await Promise.all(users.map((user) => party.vestibule.signIn(user)))
    const Cookie = pairs.join('; ')
    const usersNow = () => Promise.all(pairs.map(party.userOf))
    expect([await party.userOf(Cookie), await usersNow()]).toEqual([400, users])
    const left = await party.visitor().post(LOGOUT, {}, { headers: { Cookie } })
    expect([left.status, await usersNow()]).toEqual([303, [302, 302]])
  })

  test.for<[string, () => string | string[]]>([
    ['one session', () => pair(alice)],
    ['among other cookies', () => `a=1; ${pair(alice)}; b=2`],
    ['the same twice', () => `${pair(alice)}; ${pair(alice)}`],
    ['the same in two headers', () => [pair(alice), `theme=dark; ${pair(alice)}`]],
  ])('the legitimate twin passes: %s', async ([, make]) => {
    const { status, headers, setCookies } = await party.check({}, { Cookie: make() })
    expect([status, headers['x-auth-request-user'], setCookies]).toEqual([200, 'alice', []])
  })

  test.for(words`
    vestibule __Secure-vestibule __host-vestibule __HOST-VESTIBULE xx__Host-vestibule
    __Host-vestibule2 __Host-vestibulex __Host-vestibule[0] __Host-vestibule_login
  `)('a cookie of another name is neither a session nor a duplicate: %s', async (name) => {
    expect(await party.userOf(`${name}=${alice}`)).toBe(302)
    expect(await party.userOf(`${name}=${bob}; ${pair(alice)}`)).toBe('alice')
  })

  test('the names that only this host can set are the default', async () => {
    const { answer } = await party.attempt()
    for (const line of answer.setCookies) expect(line).toMatch(/^__Host-vestibule/)
  })
})

const NAME = '__Secure-vestibule'

/** Gives the browser cookies, as an answer of the app's host does. */
function toss(browser: Visitor, lines: readonly string[]): void {
  for (const line of lines) expect(browser.cookies.set(line, new URL(APP))).toBeUndefined()
}

describe('A71 cookie tossing within a shared domain', () => {
  test('the page removes a cookie that the app’s own host tossed, and a sign-in works again', async () => {
    const { browser } = await shared.attempt('alice')
    const attackers = (await shared.attempt('bob')).browser.cookies.find(NAME)?.value
    toss(browser, [`${NAME}=${attackers}; Path=/; Secure`])
    const visit = await shared.checkWith(browser)
    expect(visit.status).toBe(400)
    toss(browser, visit.setCookies)
    expect(cookieHeader(browser) ?? '').not.toContain(`${NAME}=`)
    await browser.browse(`${LOGIN}?rd=/`)
    expect(await shared.userOf(browser)).toBe('alice')
  })

  test('both variants are expired: the host’s and the domain’s', async () => {
    const visit = await shared.checkWith(`${NAME}=a; ${NAME}=b`)
    expect(visit.status).toBe(400)
    const cleared = visit.setCookies.filter((line) => line.startsWith(`${NAME}=; Max-Age=0`))
    expect(cleared.map((line) => /; Domain=([^;]+)/.exec(line)?.[1])).toEqual(
      expect.arrayContaining([undefined, 'example.com']),
    )
  })
})
