import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import {
  createLoginTransactions,
  LOGIN_LIFETIME_MS,
  newBinding,
} from '../../src/session/sign-in/login-transaction.ts'
import { APP } from '../support/relying-party.ts'
import {
  BINDING_COOKIE,
  CALLBACK,
  cookieHeader,
  expectFailedSignIn,
  SESSION_COOKIE,
  sentAlong,
  startLogin,
  TARGET_COOKIE,
  untilCallback,
  withQuery,
} from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty()

function flip(text: string, at: number): string {
  const bytes = Buffer.from(text, 'base64url')
  const index = at < 0 ? bytes.length + at : at
  bytes[index] = (bytes[index] ?? 0) ^ 1
  return bytes.toString('base64url')
}

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
  ['of another version', (state) => flip(state, 0)],
  ['of another key', (state) => flip(state, 1)],
  ['with another nonce', (state) => flip(state, 9)],
  ['with another txid', (state) => flip(state, 21)],
  ['with another start', (state) => flip(state, 42)],
  ['with another target', (state) => flip(state, 44)],
  ['with another tag', (state) => flip(state, -1)],
]

describe('A52 state mismatch, foreign and swapped transactions', () => {
  test.for(mutations)('a state that was changed is refused: %s', async ([, mutate]) => {
    const { browser, callbackUrl } = await party.untilCallback()
    const state = new URL(callbackUrl).searchParams.get('state') ?? ''
    expect(mutate(state)).not.toBe(state)
    expectFailedSignIn(await browser.get(withQuery(callbackUrl, { state: mutate(state) })))
    expect(party.provider.count('token')).toBe(0)

    expect(await browser.get(callbackUrl)).toMatchObject({ status: 302, location: `${APP}/` })
  })

  test('the state of another browser is refused, and stays good in that browser', async () => {
    const mine = await party.untilCallback('alice')
    const theirs = await party.untilCallback('bob')
    const foreign = new URL(theirs.callbackUrl).searchParams.get('state') ?? ''
    for (const url of [theirs.callbackUrl, withQuery(mine.callbackUrl, { state: foreign })]) {
      expectFailedSignIn(await mine.browser.get(url))
    }
    expect(party.provider.count('token')).toBe(0)
    expect(mine.browser.cookies.find(BINDING_COOKIE)).toBeDefined()

    expect((await theirs.browser.get(theirs.callbackUrl)).status).toBe(302)
    expect((await mine.browser.get(mine.callbackUrl)).status).toBe(302)
    expect(await party.userOf(mine.browser)).toBe('alice')
  })

  test('two logins of one browser both finish, in either order and each at its own target', async () => {
    const browser = party.visitor()
    const first = await untilCallback(browser, `${APP}/first`)
    const second = await untilCallback(browser, `${APP}/second`)
    expect((await browser.get(second)).location).toBe(`${APP}/second`)
    expect((await browser.get(first)).location).toBe(`${APP}/first`)
  })

  test('the code of one login with the state of another gives no session', async () => {
    const browser = party.visitor()
    const first = await untilCallback(browser, '/first')
    const state = sentAlong(await startLogin(browser, '/second'), 'state')
    expectFailedSignIn(await browser.get(withQuery(first, { state })))
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    expect((await browser.get(first)).location).toBe(`${APP}/first`)
  })

  test('a state made at one host is none at another, even with the same cookies', async () => {
    const { browser, callbackUrl } = await party.untilCallback()
    const elsewhere = callbackUrl.replace(APP, 'https://other.example.com')
    const headers = { Cookie: cookieHeader(browser) }
    const visit = await party.visitor().get(elsewhere, { headers })
    expect([visit.status, visit.setCookies, party.provider.count('token')]).toEqual([400, [], 0])
    expect((await browser.get(callbackUrl)).status).toBe(302)
  })

  test('no other sealed or secret value of ours is accepted as a state', async () => {
    const { browser } = await party.attempt()
    await startLogin(browser, `/${'x'.repeat(1500)}`)
    const names = [SESSION_COOKIE, BINDING_COOKIE, TARGET_COOKIE]
    const values = names.map((name) => browser.cookies.find(name)?.value ?? '')
    expect(values).not.toContain('')
    browser.cookies.remove(SESSION_COOKIE)
    for (const state of values) {
      const query = new URLSearchParams({ code: 'x', state })
      expectFailedSignIn(await browser.get(`${CALLBACK}?${query.toString()}`), [state])
    }
    expect(party.provider.count('token')).toBe(1)
  })

  test('a login that took longer than ten minutes has expired, and one that did not has not', () => {
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
    const elsewhere = 'https://other.example.com'
    expect(transactions.resume({ ...returned, origin: elsewhere })).toBeUndefined()
  })
})
