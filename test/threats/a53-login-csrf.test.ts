import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import {
  BINDING_COOKIE,
  expectFailedSignIn,
  SESSION_COOKIE,
  startLogin,
  untilCallback,
  withQuery,
} from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import type { Visitor } from '../support/visitor.ts'

const party = useParty()

async function startedBrowser(): Promise<Visitor> {
  const browser = party.visitor()
  await startLogin(browser)
  return browser
}

const victims: readonly (readonly [string, () => Promise<Visitor>, string | number])[] = [
  ['that was never here', async () => party.visitor(), 302],
  ['that has begun a login itself', startedBrowser, 302],
  ['that is signed in', async () => (await party.attempt('alice')).browser, 'alice'],
]

describe('A53 login CSRF', () => {
  test.for(victims)('a foreign callback does nothing in a browser %s', async ([, make, user]) => {
    const victim = await make()
    const attacker = await party.untilCallback('bob')
    party.provider.forgetRequests()
    const visit = await victim.get(attacker.callbackUrl, { crossSite: true })
    expect([visit.setCookies, party.provider.count('token')]).toEqual([[], 0])
    expect(await party.userOf(victim)).toBe(user)

    expect((await attacker.browser.get(attacker.callbackUrl)).status).toBe(302)
    expect(await party.userOf(attacker.browser)).toBe('bob')
  })

  test('an attacker’s code beside the victim’s own state fails at PKCE', async () => {
    const victim = await party.untilCallback('alice')
    const attacker = await party.untilCallback('bob')
    const code = new URL(attacker.callbackUrl).searchParams.get('code') ?? undefined
    expectFailedSignIn(await victim.browser.get(withQuery(victim.callbackUrl, { code })))
    expect(victim.browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    expect(await party.userOf(victim.browser)).toBe(302)
  })

  test('an ID token made for the attacker’s login fails at the nonce of the victim’s', async () => {
    const answers = party.recordTokens()
    await party.attempt('bob')
    const victim = await party.untilCallback('alice')
    party.replaceIdToken(() => answers[0]?.['id_token'])
    expectFailedSignIn(await victim.browser.get(victim.callbackUrl))
    expect(answers).toHaveLength(1)
    expect(await party.userOf(victim.browser)).toBe(302)
  })

  test('nothing that travels through the provider holds the secret, the verifier or the target', async () => {
    const browser = party.visitor()
    const started = await startLogin(browser, '/secret-report')
    const secret = browser.cookies.find(BINDING_COOKIE)?.value.split('.')[1] ?? ''
    expect(secret).toHaveLength(43)
    expect(started.location).not.toContain(secret)
    expect(started.location).not.toContain('secret-report')
    expect(decodeURIComponent(started.location ?? '')).not.toContain('code_verifier')
  })

  test('the binding cannot be planted by a page of another host, nor read by a script', async () => {
    const browser = party.visitor()
    const [line = ''] = (await startLogin(browser)).setCookies
    expect(line).toMatch(/^__Host-vestibule_login=v1\./)
    expect(line).toMatch(/; HttpOnly/)
    expect(line).not.toMatch(/domain=/i)
    const planted = `${BINDING_COOKIE}=v1.${'A'.repeat(43)}.0.0`
    const from = new URL('https://sub.app.example.com/')
    for (const attributes of [
      'Path=/; Secure; Domain=app.example.com',
      'Path=/; Secure; Domain=example.com',
      'Path=/oauth2; Secure',
    ]) {
      expect(browser.cookies.set(`${planted}; ${attributes}`, from)).toBeTypeOf('string')
    }
  })

  test('the legitimate twin signs in, also when the provider is another site', async () => {
    const browser = party.visitor()
    const visit = await browser.get(await untilCallback(browser, '/report'), { crossSite: true })
    expect([visit.status, visit.location]).toEqual([302, `${APP}/report`])
    expect(await party.userOf(browser)).toBe('alice')
  })
})
