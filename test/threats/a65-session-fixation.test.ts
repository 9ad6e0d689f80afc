import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { SESSION_COOKIE, untilCallback } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visitor } from '../support/visitor.ts'

const party = useParty()

function userBy(value: string) {
  return party.userOf(`${SESSION_COOKIE}=${value}`)
}

function expectEnded(value: string) {
  return party.expectNoSession(`${SESSION_COOKIE}=${value}`)
}

function sessionIn(browser: Visitor): string {
  const value = browser.cookies.find(SESSION_COOKIE)?.value
  if (!value) throw new Error('no session')
  return value
}

/** A browser that has a cookie of the attacker's. */
function plantedWith(value: string): Visitor {
  const browser = party.visitor()
  const line = `${SESSION_COOKIE}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax`
  const reason = browser.cookies.set(line, new URL(APP))
  if (reason) throw new Error(reason)
  return browser
}

describe('A65 session fixation', () => {
  test('a session that an attacker planted is replaced and ended by the sign-in', async () => {
    const planted = await party.sessionOf('bob')
    expect(await userBy(planted)).toBe('bob')
    const victim = plantedWith(planted)
    await victim.get(await untilCallback(victim, '/', 'alice'))
    const own = sessionIn(victim)
    for (const part of [1, 2]) expect(own.split('.')[part]).not.toBe(planted.split('.')[part])
    expect(await userBy(own)).toBe('alice')
    await expectEnded(planted)
  })

  test.for<[string, string]>([
    ['of zeros', `v1.${'0'.repeat(43)}.${'0'.repeat(43)}`],
    ['of the attacker’s choice', `v1.${'hostile'.padEnd(43, 'A')}.${'hostile'.padEnd(43, 'B')}`],
    ['of another format', 'hostile'],
    ['of a later version', `v2.${'A'.repeat(43)}.${'B'.repeat(43)}`],
  ])('a made-up session %s is never taken up', async ([, planted]) => {
    const victim = plantedWith(planted)
    const visit = await victim.get(await untilCallback(victim))
    expect(visit.setCookies.join()).not.toContain('hostile')
    const own = sessionIn(victim)
    for (const part of own.split('.').slice(1)) expect(planted).not.toContain(part)
    expect(await userBy(own)).toBe('alice')
    await expectEnded(planted)
  })

  test('the id of a session with a secret of the attacker’s own is no session, before and after', async () => {
    const own = await party.sessionOf()
    const forged = `v1.${own.split('.')[1]}.${'A'.repeat(43)}`
    await expectEnded(forged)
    const attacker = plantedWith(forged)
    await attacker.get(await untilCallback(attacker, '/', 'bob'))
    expect([await userBy(sessionIn(attacker)), await userBy(own)]).toEqual(['bob', 'alice'])
  })

  test('a sign-in as another user makes a new session and ends the old one', async () => {
    const { browser } = await party.attempt('alice')
    const alice = sessionIn(browser)
    const page = await browser.browse(`${APP}/oauth2/login?rd=/&prompt=login`)
    // The provider ends its own session of alice first, by a form that a script would send.
    await browser.submit(await browser.submit(page, { login: 'bob' }))
    const bob = sessionIn(browser)
    expect(bob).not.toBe(alice)
    expect(await userBy(bob)).toBe('bob')
    await expectEnded(alice)
  })

  test('every sign-in has an id and a secret of its own, 256 bits each', async () => {
    const parts = new Set<string>()
    for (let signIn = 1; signIn <= 10; signIn += 1) {
      const value = await party.sessionOf()
      expect(value).toMatch(/^v1\.[\w-]{43}\.[\w-]{43}$/)
      for (const part of value.split('.').slice(1)) parts.add(part)
    }
    expect(parts.size).toBe(20)
  })

  test('a sign-in leaves the user’s other browsers signed in', async () => {
    const sessions = [await party.sessionOf(), await party.sessionOf()]
    expect(await Promise.all(sessions.map(userBy))).toEqual(['alice', 'alice'])
  })
})
