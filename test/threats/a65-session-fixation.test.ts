import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { SESSION_COOKIE, untilCallback } from '../support/sign-in-steps.ts'
import type { Visitor } from '../support/visitor.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty()
})
afterAll(() => party[Symbol.asyncDispose]())

const sessionOf = (browser: Visitor): string => {
  const value = browser.cookies.find(SESSION_COOKIE)?.value
  if (!value) throw new Error('no session')
  return value
}

const check = (value: string, headers: Record<string, string> = {}) =>
  party.vestibule.check({}, { Cookie: `${SESSION_COOKIE}=${value}`, ...headers })

const plant = (browser: Visitor, value: string): void => {
  const reason = browser.cookies.set(
    `${SESSION_COOKIE}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax`,
    new URL(APP),
  )
  if (reason) throw new Error(reason)
}

const expectEnded = async (value: string): Promise<void> => {
  expectLogin(await check(value), `${APP}/`)
  const asScript = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
  expectRefusal(await check(value, asScript), 401)
}

describe('A65 session fixation', () => {
  test('a session that an attacker planted is replaced and ended by the sign-in', async () => {
    const planted = sessionOf((await party.attempt('bob')).browser)
    expect((await check(planted)).headers['x-auth-request-user']).toBe('bob')

    const victim = party.vestibule.visitor()
    plant(victim, planted)
    await victim.get(await untilCallback(victim, '/', 'alice'))
    const own = sessionOf(victim)
    expect(own.split('.')[1]).not.toBe(planted.split('.')[1])
    expect(own.split('.')[2]).not.toBe(planted.split('.')[2])
    expect((await check(own)).headers['x-auth-request-user']).toBe('alice')
    await expectEnded(planted)
  })

  test.for<[string, string]>([
    ['of zeros', `v1.${'0'.repeat(43)}.${'0'.repeat(43)}`],
    ['of the attacker’s choice', `v1.${'hostile'.padEnd(43, 'A')}.${'hostile'.padEnd(43, 'B')}`],
    ['of another format', 'hostile'],
    ['of a later version', `v2.${'A'.repeat(43)}.${'B'.repeat(43)}`],
  ])('a made-up session %s is never taken up', async ([, planted]) => {
    const victim = party.vestibule.visitor()
    plant(victim, planted)
    const visit = await victim.get(await untilCallback(victim))
    expect(visit.setCookies.join()).not.toContain('hostile')
    const [, id, secret] = sessionOf(victim).split('.')
    expect(planted).not.toContain(id)
    expect(planted).not.toContain(secret)
    expect((await check(sessionOf(victim))).headers['x-auth-request-user']).toBe('alice')
    await expectEnded(planted)
  })

  test('the id of a session with a secret of the attacker’s own is no session, before and after', async () => {
    const victim = party.vestibule.visitor()
    await victim.get(await untilCallback(victim))
    const [, id] = sessionOf(victim).split('.')
    const forged = `v1.${id}.${'A'.repeat(43)}`
    await expectEnded(forged)
    const attacker = party.vestibule.visitor()
    plant(attacker, forged)
    await attacker.get(await untilCallback(attacker, '/', 'bob'))
    expect((await check(sessionOf(attacker))).headers['x-auth-request-user']).toBe('bob')
    expect((await check(sessionOf(victim))).headers['x-auth-request-user']).toBe('alice')
  })

  test('signing in as someone else makes a new session and ends the old one', async () => {
    const { browser } = await party.attempt('alice')
    const alice = sessionOf(browser)
    const page = await browser.browse(`${APP}/oauth2/login?rd=/&prompt=login`)
    // The provider ends its own session of alice first, by a form that a script would send.
    await browser.submit(await browser.submit(page, { login: 'bob' }))
    const bob = sessionOf(browser)
    expect(bob).not.toBe(alice)
    expect((await check(bob)).headers['x-auth-request-user']).toBe('bob')
    await expectEnded(alice)
  })

  test('every sign-in has an id and a secret of its own, 256 bits each', async () => {
    const parts = new Set<string>()
    for (let signIn = 1; signIn <= 10; signIn += 1) {
      const value = sessionOf((await party.attempt()).browser)
      expect(value).toMatch(/^v1\.[\w-]{43}\.[\w-]{43}$/)
      for (const part of value.split('.').slice(1)) parts.add(part)
    }
    expect(parts.size).toBe(20)
  })

  test('a sign-in leaves the user’s other browsers signed in', async () => {
    const [phone, laptop] = [await party.attempt(), await party.attempt()]
    for (const { browser } of [phone, laptop]) {
      expect((await check(sessionOf(browser))).headers['x-auth-request-user']).toBe('alice')
    }
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
