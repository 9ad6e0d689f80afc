import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { faults } from '../support/provider.ts'
import { expectRefusal } from '../support/refusal.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { type WrittenRules, writeRules } from '../support/rules-file.ts'
import {
  CALLBACK,
  cookieHeader,
  LOGIN,
  LOGOUT,
  SESSION_COOKIE,
  sentAlong,
  startLogin,
  untilCallback,
} from '../support/sign-in-steps.ts'
import type { Visit } from '../support/visitor.ts'

let party: RelyingParty
let strict: RelyingParty
let rules: WrittenRules

beforeAll(async () => {
  rules = await writeRules([{ paths: ['/denied'], access: 'deny' }, { access: 'signed-in' }])
  party = await startRelyingParty({ VESTIBULE_CONFIG: rules.path })
  strict = await startRelyingParty({ COOKIE_SAMESITE: 'strict' })
})
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  await strict[Symbol.asyncDispose]()
  await rules[Symbol.asyncDispose]()
})

const SECRET = 'A'.repeat(43)
const loopingBinding = (): string =>
  `__Host-vestibule_login=v1.${SECRET}.3.${Math.floor(Date.now() / 1000)}`

const pages: readonly (readonly [string, number, () => Promise<Visit>])[] = [
  ['signed out', 200, () => party.vestibule.visitor().get(`${APP}/oauth2/signed-out`)],
  ['sign out?', 200, () => party.vestibule.visitor().get(LOGOUT)],
  ['sign out?, with a session', 200, async () => (await party.attempt()).browser.get(LOGOUT)],
  ['a failed sign-in', 400, () => party.vestibule.visitor().get(`${CALLBACK}?code=x&state=y`)],
  [
    'a foreign return address',
    400,
    () => party.vestibule.visitor().get(`${LOGIN}?rd=https://evil.example`),
  ],
  [
    'a fault of the provider',
    502,
    async () => {
      const browser = party.vestibule.visitor()
      const state = sentAlong(await startLogin(browser), 'state')
      return browser.get(`${CALLBACK}?error=server_error&state=${state}`)
    },
  ],
  [
    'an unreachable provider',
    503,
    async () => {
      const { browser, callbackUrl } = await party.untilCallback()
      party.provider.set('token', faults.down)
      const visit = await browser.get(callbackUrl)
      party.provider.reset()
      return visit
    },
  ],
  [
    'a loop',
    400,
    () => party.vestibule.visitor().get(`${LOGIN}?rd=/`, { headers: { Cookie: loopingBinding() } }),
  ],
  [
    'two sessions',
    400,
    () => party.vestibule.check({}, { Cookie: `${SESSION_COOKIE}=a; ${SESSION_COOKIE}=b` }),
  ],
  ['not permitted', 403, () => party.vestibule.check({ uri: '/denied' })],
  ['a forwarded host that is not ours', 400, () => party.vestibule.check({ host: 'evil.example' })],
  ['the sign-in router', 403, () => party.vestibule.check({ uri: '/oauth2/login' })],
  [
    'going on to the app, for a strict cookie',
    200,
    async () => {
      const browser = strict.vestibule.visitor()
      return browser.get(await untilCallback(browser, '/report'))
    },
  ],
]

const policyOf = ({ headers }: Visit): ReadonlyMap<string, string> =>
  new Map(
    String(headers['content-security-policy'])
      .split(';')
      .map((part): [string, string] => {
        const [name = '', ...values] = part.trim().split(' ')
        return [name, values.join(' ')]
      }),
  )

describe('A70 silent login in a frame, postMessage and clickjacking', () => {
  test.for(pages)(
    'the page for %s can be framed by nobody and runs no script',
    async ([, status, open]) => {
      const visit = await open()
      expect(visit.status).toBe(status)
      expect(visit.headers['content-type']).toMatch(/^text\/html; charset=utf-8$/i)
      const policy = policyOf(visit)
      expect(policy.get('frame-ancestors')).toBe("'none'")
      expect(policy.get('default-src')).toBe("'none'")
      expect(policy.get('base-uri')).toBe("'none'")
      expect(policy.get('style-src')).toMatch(/^'sha256-[A-Za-z0-9+/=]+'$/)
      expect(policy.has('script-src')).toBe(false)
      expect(policy.get('form-action')).not.toMatch(/\*|unsafe/)
      expect(visit.headers['x-frame-options']).toBe('DENY')
      expect(visit.headers['cross-origin-opener-policy']).toBe('same-origin')
      expect(visit.headers['referrer-policy']).toBe('same-origin')
      expect(visit.headers['cache-control']).toBe('no-store')
      expect(visit.body).not.toMatch(
        /<script|<iframe|<object|<embed|<base|postMessage|\son\w+=|javascript:/i,
      )
      expect(visit.body).not.toMatch(/\b(?:src|href|action)="(?:https?:)?\/\/(?!app\.example\.com)/)
      expect(visit.body).not.toContain('evil')
    },
  )

  test.for([
    '/silent',
    '/silent-login',
    '/iframe',
    '/check-session',
    '/checksession',
    '/check_session_iframe',
    '/session',
    '/renew',
    '/callback/silent',
    '/callback.html',
    '/token',
    '/userinfo',
    '/.well-known/openid-configuration',
  ])('there is no endpoint for silent logins: %s', async (path) => {
    const { browser } = await party.attempt()
    for (const search of ['', '?prompt=none', '?rd=/&prompt=none']) {
      const visit = await browser.get(`${APP}/oauth2${path}${search}`, {
        headers: { 'Sec-Fetch-Dest': 'iframe' },
      })
      expect([visit.status, visit.location, visit.setCookies]).toEqual([404, undefined, []])
    }
  })

  test('/login never asks the provider for a silent answer', async () => {
    const started = await party.vestibule.visitor().get(`${LOGIN}?rd=/&prompt=none`)
    expect(new URL(started.location ?? '').searchParams.has('prompt')).toBe(false)
  })

  test.for(['iframe', 'frame', 'embed', 'object'])(
    'in a frame (%s) the check starts no sign-in',
    async (dest) => {
      const visit = await party.vestibule.check({}, { 'Sec-Fetch-Dest': dest })
      expectRefusal(visit, 401)
    },
  )

  test('the legitimate twin, an app that frames its own pages with a session, passes', async () => {
    const { browser } = await party.attempt()
    const headers = { Cookie: cookieHeader(browser), 'Sec-Fetch-Dest': 'iframe' }
    const visit = await party.vestibule.check({}, headers)
    expect([visit.status, visit.headers['x-auth-request-user']]).toEqual([200, 'alice'])
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
