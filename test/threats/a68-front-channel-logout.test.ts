import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { cookieHeader, LOGOUT } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

const party = useParty()
const paths = words`
  /oauth2/frontchannel /oauth2/frontchannel-logout /oauth2/frontchannel_logout
  /oauth2/front-channel-logout /oauth2/logout/frontchannel /oauth2/logout/ /oauth2/sign_out
  /oauth2/signout /frontchannel /frontchannel-logout /logout
`

function query(iss: string): string {
  return new URLSearchParams({ iss, sid: 'guess' }).toString()
}

// The design offers no front-channel logout, since a Lax cookie never reaches the provider's frame.
describe('A68 front-channel logout abuse', () => {
  test.for(paths)('there is no %s', async (path) => {
    const { browser } = await party.attempt()
    for (const method of ['GET', 'POST']) {
      for (const search of ['', '?sid=guess', `?${query(party.provider.issuer)}`]) {
        const visit = await browser.request(method, `${APP}${path}${search}`, {
          headers: { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Dest': 'iframe' },
        })
        expect([visit.status, visit.setCookies]).toEqual([404, []])
        expect(visit.headers['cache-control']).toBe('no-store')
        expect(visit.body).not.toContain('guess')
      }
    }
    expect(await party.userOf(browser)).toBe('alice')
  })

  test('iss and sid at /logout end no session', async () => {
    const users = [(await party.attempt('alice')).browser, (await party.attempt('bob')).browser]
    for (const iss of [party.provider.issuer, 'https://evil.example']) {
      for (const browser of [party.visitor(), users[0]]) {
        const visit = await browser?.get(`${LOGOUT}?${query(iss)}`, { crossSite: true })
        expect([visit?.status, visit?.setCookies]).toEqual([200, []])
        expect(visit?.headers['content-security-policy']).toContain("frame-ancestors 'none'")
        expect(visit?.body).not.toContain('guess')
      }
    }
    expect(await Promise.all(users.map(party.userOf))).toEqual(['alice', 'bob'])
  })

  test('the internal listener has no front-channel logout either', async () => {
    for (const path of paths) {
      expect((await party.vestibule.internal(`${path}?sid=guess`)).status).toBe(404)
    }
  })

  test('the legitimate twin, a sign-out of the user’s own, ends the session', async () => {
    const { browser } = await party.attempt()
    const cookie = cookieHeader(browser)
    expect([(await browser.post(LOGOUT)).status, await party.userOf(cookie)]).toEqual([303, 302])
  })
})
