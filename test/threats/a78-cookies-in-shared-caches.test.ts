import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import {
  CALLBACK,
  cookieHeader,
  LOGIN,
  LOGOUT,
  SESSION_COOKIE,
  startLogin,
  untilCallback,
} from '../support/sign-in-steps.ts'
import type { Visit } from '../support/visitor.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty({ PUBLIC_PATHS: '/public/**' })
})
afterAll(() => party[Symbol.asyncDispose]())

const isStorable = ({ headers }: Visit): boolean =>
  !/(?:^|,)\s*no-store\s*(?:,|$)/.test(headers['cache-control'] ?? '')

const image = { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image', Accept: 'image/*' }
const both = `${SESSION_COOKIE}=a; ${SESSION_COOKIE}=b`

const answers: readonly (readonly [string, () => Promise<Visit>])[] = [
  ['the start of a sign-in', () => startLogin(party.vestibule.visitor())],
  [
    'a start with a long target',
    () => startLogin(party.vestibule.visitor(), `/${'x'.repeat(1500)}`),
  ],
  [
    'the callback',
    async () => {
      const browser = party.vestibule.visitor()
      return browser.get(await untilCallback(browser))
    },
  ],
  [
    'the callback of a login with a long target',
    async () => {
      const browser = party.vestibule.visitor()
      return browser.get(await untilCallback(browser, `/${'x'.repeat(1500)}`))
    },
  ],
  ['the sign-out', async () => (await party.attempt()).browser.post(LOGOUT)],
  [
    'the page for a loop',
    () => {
      const binding = `v1.${'A'.repeat(43)}.3.${Math.floor(Date.now() / 1000)}`
      const headers = { Cookie: `__Host-vestibule_login=${binding}` }
      return party.vestibule.visitor().get(`${LOGIN}?rd=/`, { headers })
    },
  ],
  ['the page for two sessions', () => party.vestibule.check({}, { Cookie: both })],
]

describe('A78 cookies in shared caches', () => {
  test.for(answers)('an answer with a cookie is stored by nobody: %s', async ([, ask]) => {
    const visit = await ask()
    expect(visit.setCookies.length).toBeGreaterThan(0)
    expect(isStorable(visit)).toBe(false)
    expect(visit.headers['etag']).toBeUndefined()
    expect(visit.headers['last-modified']).toBeUndefined()
    expect(visit.headers['expires']).toBeUndefined()
    expect(visit.headers['vary']).toMatch(/cookie/i)
  })

  test.for<[string, Record<string, string>, string]>([
    ['a page', {}, '/page'],
    ['an image', image, '/logo.png'],
    ['an image with a validator', { ...image, 'If-None-Match': '"a"' }, '/logo.png'],
    ['a range', { Range: 'bytes=0-1' }, '/film.mp4'],
    ['a public image', image, '/public/logo.png'],
  ])(
    'what is let through carries no cookie that a cache could keep: %s',
    async ([, headers, uri]) => {
      const { browser } = await party.attempt()
      for (let time = 1; time <= 3; time += 1) {
        const cookie = cookieHeader(browser)
        const visit = await party.vestibule.check({ uri }, { ...headers, Cookie: cookie })
        expect([visit.status, visit.setCookies]).toEqual([200, []])
      }
    },
  )

  test('a session is given out by the callback and by nothing else', async () => {
    const browser = party.vestibule.visitor()
    await browser.get(await untilCallback(browser))
    for (const path of ['/login?rd=/', '/logout', '/signed-out', '/me', '/callback', '/nothing']) {
      await browser.get(`${APP}/oauth2${path}`)
    }
    await browser.get(`${APP}/healthz`)
    const givenBy = browser.trail
      .filter(({ setCookies }) =>
        setCookies.some((line) => line.startsWith(`${SESSION_COOKIE}=v1.`)),
      )
      .map(({ url }) => url.split('?')[0])
    expect(givenBy).toEqual([CALLBACK])
  })

  test('no answer of the sign-in pages and no refusal is storable, with a cookie or without', async () => {
    const { browser } = await party.attempt()
    const visits = [
      ...(await Promise.all(
        [
          '/login?rd=/',
          '/callback?code=x',
          '/logout',
          '/signed-out',
          '/me',
          '/nothing',
          '',
        ].flatMap((path) => [
          browser.get(`${APP}/oauth2${path}`),
          party.vestibule.visitor().get(`${APP}/oauth2${path}`),
        ]),
      )),
      await party.vestibule.check({}),
      await party.vestibule.check({}, image),
      await party.vestibule.check({ host: 'evil.example' }),
      await party.vestibule.check({ uri: '/oauth2/login' }),
      await party.vestibule.check({}, { Cookie: both }),
      await party.vestibule.check({}, { X_Auth_Request_User: 'alice' }),
    ]
    expect(visits.filter(isStorable).map(({ url, status }) => `${status} ${url}`)).toEqual([])
    expect(visits.map(({ status }) => status)).not.toContain(304)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
