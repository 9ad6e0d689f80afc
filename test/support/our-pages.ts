import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import { type Behaviour, faults } from './provider.ts'
import { APP } from './relying-party.ts'
import { CALLBACK, SESSION_COOKIE, sentAlong, startLogin } from './sign-in-steps.ts'
import type { UsedParty } from './used-party.ts'
import type { Visit } from './visitor.ts'

export type OurPage = readonly [name: string, status: number, open: () => Promise<Visit>]

const REFUSED_CLIENT: Behaviour = { ...faults.invalidGrant, body: '{"error":"invalid_client"}' }

export const TWO_SESSIONS = `${SESSION_COOKIE}=a; ${SESSION_COOKIE}=b`

export function ourPages(party: UsedParty): readonly OurPage[] {
  const { check, get } = party
  return [
    ['the signed-out page', 200, () => get('/oauth2/signed-out')],
    ['the question before the sign-out', 200, () => get('/oauth2/logout')],
    [
      'the same with a session',
      200,
      async () => (await party.attempt()).browser.get(`${APP}/oauth2/logout`),
    ],
    [
      'the sessions of a user',
      200,
      async () => (await party.attempt()).browser.get(`${APP}/oauth2/sessions`),
    ],
    ['a sign-in that failed', 400, () => get('/oauth2/callback?state=x&code=y')],
    ['a foreign return address', 400, () => get('/oauth2/login?rd=https://evil.example')],
    ['a return address with two slashes', 400, () => get('/oauth2/login?rd=//evil.example')],
    ['a fault of the provider', 503, () => failAtProvider(party)],
    ['a client that is refused', 502, () => callbackWhile(party, REFUSED_CLIENT)],
    ['a provider that answers nonsense', 502, () => callbackWhile(party, faults.html)],
    ['a provider that is away', 503, () => callbackWhile(party, faults.down)],
    ['a sign-in loop', 400, () => openLoopPage(party)],
    ['two session cookies', 400, () => check({}, { Cookie: TWO_SESSIONS })],
    ['a foreign host at the check', 400, () => check({ host: 'evil.example' })],
    ['the sign-in router', 403, () => check({ uri: '/oauth2/login' })],
  ]
}

/** Opens /login with a binding cookie that has gone round too often. */
export function openLoopPage({ get }: UsedParty): Promise<Visit> {
  const binding = `v1.${'A'.repeat(43)}.3.${Math.floor(Date.now() / 1000)}`
  return get('/oauth2/login?rd=/', { headers: { Cookie: `__Host-vestibule_login=${binding}` } })
}

/** The answer at the callback while the token endpoint behaves like this. */
export async function callbackWhile(party: UsedParty, behaviour: Behaviour): Promise<Visit> {
  party.provider.set('token', behaviour)
  const { answer } = await party.attempt()
  party.provider.reset()
  return answer
}

async function failAtProvider(party: UsedParty): Promise<Visit> {
  const browser = party.visitor()
  const state = sentAlong(await startLogin(browser), 'state')
  return browser.get(`${CALLBACK}?error=server_error&state=${state}`)
}

/** Asserts strict headers, a policy without scripts and frames, and markup that does nothing (A70, A99). */
export function expectSafePage({ headers, body }: Visit, issuer: string): void {
  expect(headers).toMatchObject({
    'content-type': 'text/html; charset=UTF-8',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': 'no-store',
    'x-request-id': expect.stringMatching(/^[A-Za-z0-9._-]{8,64}$/) as string,
  })
  const directives = String(headers['content-security-policy'])
    .split(';')
    .map((directive) => directive.trim().split(/\s+/))
  const style = /<style>([\s\S]*?)<\/style>/.exec(body)?.[1] ?? ''
  expect(
    Object.fromEntries(directives.map(([name, ...values]) => [name, values.join(' ')])),
  ).toEqual({
    'default-src': "'none'",
    'style-src': `'sha256-${createHash('sha256').update(style).digest('base64')}'`,
    'form-action': `'self' ${new URL(issuer).origin}`,
    'frame-ancestors': "'none'",
    'base-uri': "'none'",
  })
  expectInertMarkup(body)
}

const TAGS =
  'html head meta title style body main h1 h2 h3 p a ul li dl dt dd time form input button details summary strong footer'.split(
    ' ',
  )

function expectInertMarkup(body: string): void {
  const tags = [...body.matchAll(/<\/?([a-z][a-z0-9]*)/gi)].map(([, name = '']) => name)
  expect(tags.filter((name) => !TAGS.includes(name.toLowerCase()))).toEqual([])
  const insideTags = [...body.matchAll(/<[a-z][^>]*>/gi)].map(([tag]) => tag).join('\n')
  expect(insideTags).not.toMatch(/\s(?:on[a-z]+|style|srcdoc|src)\s*=/i)
  expect(insideTags).not.toMatch(/javascript:|data:|vbscript:/i)
  for (const [, link] of insideTags.matchAll(/\s(?:href|action)="([^"]*)"/g)) {
    expect(link).toMatch(/^(?:\/$|https:\/\/app\.example\.com\/)/)
  }
}
