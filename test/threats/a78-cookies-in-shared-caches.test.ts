import { expect, test } from 'vitest'
import { openLoopPage, TWO_SESSIONS } from '../support/our-pages.ts'
import { APP } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit } from '../support/visitor.ts'

const party = useParty({ PUBLIC_PATHS: '/public/**' })
const LONG = `/${'x'.repeat(1500)}`
const PATHS = ['/login?rd=/', '/callback?code=x', '/logout', '/signed-out', '/me', '/nothing', '']

function isStorable({ headers }: Visit): boolean {
  return !/(?:^|,)\s*no-store\s*(?:,|$)/.test(headers['cache-control'] ?? '')
}

async function callback(rd: string): Promise<Visit> {
  const browser = party.visitor()
  return browser.get(await steps.untilCallback(browser, rd))
}

const image = { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image', Accept: 'image/*' }
const answers: readonly (readonly [string, () => Promise<Visit>])[] = [
  ['the start of a sign-in', () => steps.startLogin(party.visitor())],
  ['a start with a long target', () => steps.startLogin(party.visitor(), LONG)],
  ['the callback', () => callback('/')],
  ['the callback of a login with a long target', () => callback(LONG)],
  ['the sign-out', async () => (await party.attempt()).browser.post(steps.LOGOUT)],
  ['the page for a loop', () => openLoopPage(party)],
  ['the page for two sessions', () => party.checkWith(TWO_SESSIONS)],
]

test.for(answers)('an answer with a cookie is stored by nobody: %s', async ([, ask]) => {
  const visit = await ask()
  expect(visit.setCookies.length).toBeGreaterThan(0)
  expect(isStorable(visit)).toBe(false)
  const { etag, expires, vary, 'last-modified': lastModified } = visit.headers
  expect([etag, lastModified, expires]).toEqual([undefined, undefined, undefined])
  expect(vary).toMatch(/cookie/i)
})

test('a session is given out by the callback and by nothing else', async () => {
  const browser = party.visitor()
  await browser.get(await steps.untilCallback(browser))
  for (const path of ['/login?rd=/', '/logout', '/signed-out', '/me', '/callback', '/nothing']) {
    await browser.get(`${APP}/oauth2${path}`)
  }
  await browser.get(`${APP}/healthz`)
  const givenBy = browser.trail
    .filter(({ setCookies }) =>
      setCookies.some((line) => line.startsWith(`${steps.SESSION_COOKIE}=v1.`)),
    )
    .map(({ url }) => url.split('?')[0])
  expect(givenBy).toEqual([steps.CALLBACK])
})

test('no answer of the sign-in pages and no refusal is storable, with a cookie or without', async () => {
  const { browser } = await party.attempt()
  const pages = PATHS.map((path) => browser.get(`${APP}/oauth2${path}`))
  const visits = [
    ...(await Promise.all([...pages, ...PATHS.map((path) => party.get(`/oauth2${path}`))])),
    await party.check(),
    await party.check({}, image),
    await party.check({ host: 'evil.example' }),
    await party.check({ uri: '/oauth2/login' }),
    await party.checkWith(TWO_SESSIONS),
    await party.check({}, { X_Auth_Request_User: 'alice' }),
  ]
  expect(visits.filter(isStorable).map(({ url, status }) => `${status} ${url}`)).toEqual([])
  expect(visits.map(({ status }) => status)).not.toContain(304)
})
