import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { LOGIN_LIFETIME_MS } from '../../src/core/login-binding.ts'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createLoginTransactions, newBinding } from '../../src/session/sign-in/login-transaction.ts'
import { APP } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visitor } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useParty()

const queries = [
  ...words`
    ? code=hostile&state=hostile code=hostile state=hostile code=hostile&state= code=&state=hostile
    code=hostile&state=%00%ff%0d%0a error=access_denied error=hostile&state=hostile
    code=hostile&state=hostile&iss=https%3A%2F%2Fhostile.example
    response=eyJhbGciOiJub25lIn0.e30.&state=hostile id_token=hostile&state=hostile
    CODE=hostile&STATE=hostile
  `,
  '',
  `code=hostile&state=${'A'.repeat(900)}`,
  `code=hostile&state=${'A'.repeat(20_000)}`,
  `code=hostile&state=${encodeURIComponent('../../hostile')}`,
]

const attackersBinding = `${steps.BINDING_COOKIE}=v1.${'A'.repeat(43)}.0.0`
const cookies: readonly string[] = [
  '',
  `${steps.BINDING_COOKIE}=`,
  `${steps.BINDING_COOKIE}=hostile`,
  attackersBinding,
  `${attackersBinding}; ${steps.BINDING_COOKIE}=v1.${'B'.repeat(43)}.0.0`,
  `${steps.SESSION_COOKIE}=v1.${'A'.repeat(43)}.${'A'.repeat(43)}`,
]

test.for(queries)('A51: a callback that nobody began ends in a page: %s', async (query) => {
  for (const cookie of cookies) {
    const headers = { Cookie: cookie || undefined }
    const visit = await party.visitor().get(`${steps.CALLBACK}?${query}`, { headers })
    steps.expectFailedSignIn(visit, ['hostile'])
  }
  expect(party.provider.count('token')).toBe(0)
})

test('A51: a program gets the same refusal as JSON', async () => {
  const visit = await party.visitor().fetch(`${steps.CALLBACK}?code=hostile&state=hostile`)
  const { 'cache-control': cache, 'x-request-id': request_id } = visit.headers
  expect([visit.status, cache, visit.setCookies]).toEqual([400, 'no-store', []])
  expect(JSON.parse(visit.body)).toEqual({ error: 'sign_in_failed', request_id })
  expect(party.provider.count('token')).toBe(0)
})

test.for(['POST', 'PUT', 'DELETE', 'OPTIONS'])(
  'A51: %s is not a way to call back',
  async (method) => {
    const { browser, callbackUrl } = await party.untilCallback()
    party.provider.forgetRequests()
    const visit = await browser.request(method, callbackUrl, {
      body: new URL(callbackUrl).search.slice(1),
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    })
    expect(visit.status).toBeGreaterThanOrEqual(400)
    expect(visit.status).toBeLessThan(500)
    expect([visit.setCookies, party.provider.count('token')]).toEqual([[], 0])
    expect((await browser.get(callbackUrl)).status).toBe(302)
  },
)

test('A51: a login that was begun makes no other state acceptable', async () => {
  const browser = party.visitor()
  await steps.startLogin(browser)
  steps.expectFailedSignIn(await browser.get(`${steps.CALLBACK}?code=hostile&state=hostile`), [
    'hostile',
  ])
  expect(party.provider.count('token')).toBe(0)
})

// The design sends only a callback with a session newer than its own start on; this one has no start at all.
test('A51: a signed-in browser gets the page as well, and stays signed in', async () => {
  const { browser } = await party.attempt()
  party.provider.forgetRequests()
  const visit = await browser.get(`${steps.CALLBACK}?code=hostile&state=hostile`)
  expect([party.provider.count('token'), visit.setCookies]).toEqual([0, []])
  expect(await party.userOf(browser)).toBe('alice')
  steps.expectFailedSignIn(visit, ['hostile'])
})

const mutations: readonly (readonly [string, (state: string) => string])[] = [
  ['cut by two characters', (state) => state.slice(0, -2)],
  ['cut in half', (state) => state.slice(0, state.length / 2)],
  ['only its head', (state) => state.slice(0, 30)],
  ['in capitals', (state) => state.toUpperCase()],
  ['in small letters', (state) => state.toLowerCase()],
  ['with more behind it', (state) => `${state}AAAA`],
  ['with more before it', (state) => `AAAA${state}`],
  ['twice', (state) => `${state}${state}`],
  ['backwards', (state) => state.split('').toReversed().join('')],
]

test.for(mutations)('A52: a state that was changed is refused: %s', async ([, mutate]) => {
  const { browser, callbackUrl } = await party.untilCallback()
  const state = new URL(callbackUrl).searchParams.get('state') ?? ''
  expect(mutate(state)).not.toBe(state)
  steps.expectFailedSignIn(
    await browser.get(steps.withQuery(callbackUrl, { state: mutate(state) })),
  )
  expect(party.provider.count('token')).toBe(0)

  expect(await browser.get(callbackUrl)).toMatchObject({ status: 302, location: `${APP}/` })
})

test('A52: the state of another browser is refused, and stays good in that browser', async () => {
  const mine = await party.untilCallback('alice')
  const theirs = await party.untilCallback('bob')
  const foreign = new URL(theirs.callbackUrl).searchParams.get('state') ?? ''
  for (const url of [theirs.callbackUrl, steps.withQuery(mine.callbackUrl, { state: foreign })]) {
    steps.expectFailedSignIn(await mine.browser.get(url))
  }
  expect(party.provider.count('token')).toBe(0)
  expect(mine.browser.cookies.find(steps.BINDING_COOKIE)).toBeDefined()

  expect((await theirs.browser.get(theirs.callbackUrl)).status).toBe(302)
  expect((await mine.browser.get(mine.callbackUrl)).status).toBe(302)
  expect(await party.userOf(mine.browser)).toBe('alice')
})

test('A52: two logins of one browser both finish, in either order and each at its own target', async () => {
  const browser = party.visitor()
  const first = await steps.untilCallback(browser, `${APP}/first`)
  const second = await steps.untilCallback(browser, `${APP}/second`)
  expect((await browser.get(second)).location).toBe(`${APP}/second`)
  expect((await browser.get(first)).location).toBe(`${APP}/first`)
})

test('A52: a state made at one host is none at another, even with the same cookies', async () => {
  const { browser, callbackUrl } = await party.untilCallback()
  const elsewhere = callbackUrl.replace(APP, 'https://other.example.com')
  const headers = { Cookie: steps.cookieHeader(browser) }
  const visit = await party.visitor().get(elsewhere, { headers })
  expect([visit.status, visit.setCookies, party.provider.count('token')]).toEqual([400, [], 0])
  expect((await browser.get(callbackUrl)).status).toBe(302)
})

test('A52: no other sealed or secret value of ours is accepted as a state', async () => {
  const { browser } = await party.attempt()
  await steps.startLogin(browser, `/${'x'.repeat(1500)}`)
  const names = [steps.SESSION_COOKIE, steps.BINDING_COOKIE, steps.TARGET_COOKIE]
  const values = names.map((name) => browser.cookies.find(name)?.value ?? '')
  expect(values).not.toContain('')
  browser.cookies.remove(steps.SESSION_COOKIE)
  for (const state of values) {
    const query = new URLSearchParams({ code: 'x', state })
    steps.expectFailedSignIn(await browser.get(`${steps.CALLBACK}?${query.toString()}`), [state])
  }
  expect(party.provider.count('token')).toBe(1)
})

test('A52: a login that took longer than ten minutes has expired, and one that did not has not', () => {
  let nowMs = 1_700_000_000_000
  const transactions = createLoginTransactions(createKeyRing([randomBytes(32)]), () => nowMs)
  const binding = newBinding()
  const { state } = transactions.start(binding, `${APP}/`, APP, false)
  const returned = { state, origin: APP, binding, longTarget: undefined }
  nowMs += LOGIN_LIFETIME_MS
  expect(transactions.resume(returned)?.isExpired).toBe(false)
  nowMs += 1
  expect(transactions.resume(returned)?.isExpired).toBe(true)
  expect(transactions.resume({ ...returned, binding: newBinding() })?.secrets).toBeUndefined()
  expect(transactions.resume({ ...returned, origin: 'https://other.example.com' })).toBeUndefined()
})

async function startedBrowser(): Promise<Visitor> {
  const browser = party.visitor()
  await steps.startLogin(browser)
  return browser
}

const victims: readonly (readonly [string, () => Promise<Visitor>, string | number])[] = [
  ['that was never here', async () => party.visitor(), 302],
  ['that has begun a login itself', startedBrowser, 302],
  ['that is signed in', async () => (await party.attempt('alice')).browser, 'alice'],
]

test.for(victims)(
  'A53: a foreign callback does nothing in a browser %s',
  async ([, make, user]) => {
    const victim = await make()
    const attacker = await party.untilCallback('bob')
    party.provider.forgetRequests()
    const visit = await victim.get(attacker.callbackUrl, { crossSite: true })
    expect([visit.setCookies, party.provider.count('token')]).toEqual([[], 0])
    expect(await party.userOf(victim)).toBe(user)

    expect((await attacker.browser.get(attacker.callbackUrl)).status).toBe(302)
    expect(await party.userOf(attacker.browser)).toBe('bob')
  },
)

test('A53: an attacker’s code beside the victim’s own state fails at PKCE', async () => {
  const victim = await party.untilCallback('alice')
  const attacker = await party.untilCallback('bob')
  const code = new URL(attacker.callbackUrl).searchParams.get('code') ?? undefined
  steps.expectFailedSignIn(await victim.browser.get(steps.withQuery(victim.callbackUrl, { code })))
  expect(victim.browser.cookies.find(steps.SESSION_COOKIE)).toBeUndefined()
  expect(await party.userOf(victim.browser)).toBe(302)
})

test('A53: the legitimate twin signs in, also when the provider is another site', async () => {
  const browser = party.visitor()
  const visit = await browser.get(await steps.untilCallback(browser, '/report'), {
    crossSite: true,
  })
  expect([visit.status, visit.location]).toEqual([302, `${APP}/report`])
  expect(await party.userOf(browser)).toBe('alice')
})
