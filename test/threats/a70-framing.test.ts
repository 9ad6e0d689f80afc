import { describe, expect, test } from 'vitest'
import { expectSafePage, type OurPage, ourPages } from '../support/our-pages.ts'
import { expectRefusal } from '../support/refusal.ts'
import { APP } from '../support/relying-party.ts'
import { untilCallback } from '../support/sign-in-steps.ts'
import { useBearerParty, useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

const party = useBearerParty([{ paths: ['/denied'], access: 'deny' }, { access: 'signed-in' }])
const strict = useParty({ COOKIE_SAMESITE: 'strict' })

async function leadOn() {
  const browser = strict.visitor()
  return browser.get(await untilCallback(browser, '/report'))
}

const pages: readonly OurPage[] = [
  ...ourPages(party),
  ['a path that is not permitted', 403, () => party.check({ uri: '/denied' })],
  ['the way on to the app with a strict cookie', 200, leadOn],
]

describe('A70 silent login in a frame, postMessage and clickjacking', () => {
  test.for(pages)('no frame and no script in the page for %s', async ([name, status, open]) => {
    const visit = await open()
    expect(visit.status).toBe(status)
    expectSafePage(visit, (name.includes('strict') ? strict : party).provider.issuer)
    expect(visit.body).not.toMatch(
      /<script|<iframe|<object|<embed|<base|postMessage|\son\w+=|javascript:/i,
    )
    expect(visit.body).not.toMatch(/\b(?:src|href|action)="(?:https?:)?\/\/(?!app\.example\.com)/)
    expect(visit.body).not.toContain('evil')
  })

  test.for(words`
    /silent /silent-login /iframe /check-session /checksession /check_session_iframe /session /renew
    /callback/silent /callback.html /token /userinfo /.well-known/openid-configuration
  `)('there is no endpoint for silent logins: %s', async (path) => {
    const { browser } = await party.attempt()
    for (const search of ['', '?prompt=none', '?rd=/&prompt=none']) {
      const visit = await browser.get(`${APP}/oauth2${path}${search}`, {
        headers: { 'Sec-Fetch-Dest': 'iframe' },
      })
      expect([visit.status, visit.location, visit.setCookies]).toEqual([404, undefined, []])
    }
  })

  test('/login never asks the provider for a silent answer', async () => {
    const started = await party.get('/oauth2/login?rd=/&prompt=none')
    expect(new URL(started.location ?? '').searchParams.has('prompt')).toBe(false)
  })

  test.for(['iframe', 'frame', 'embed', 'object'])(
    'in a frame (%s) the check starts no sign-in',
    async (dest) => expectRefusal(await party.check({}, { 'Sec-Fetch-Dest': dest }), 401),
  )

  test('the legitimate twin, an app that frames its own pages with a session, passes', async () => {
    const { browser } = await party.attempt()
    const visit = await party.checkWith(browser, { 'Sec-Fetch-Dest': 'iframe' })
    expect([visit.status, visit.headers['x-auth-request-user']]).toEqual([200, 'alice'])
  })
})
