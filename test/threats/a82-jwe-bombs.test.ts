import { randomBytes } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { APP } from '../support/relying-party.ts'
import { cookieHeader } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty()
const cookie = prepared(async () => cookieHeader((await party.attempt()).browser))

function jwe(header: Readonly<Record<string, unknown>>, ciphertext = randomBytes(64)): string {
  const parts = [randomBytes(40), randomBytes(12), ciphertext, randomBytes(16)]
  return [Buffer.from(JSON.stringify(header)), ...parts]
    .map((part) => part.toString('base64url'))
    .join('.')
}

const enc = 'A256GCM'
const p2s = 'c2FsdHNhbHQ'
const LONG = 'A'.repeat(15_000)
const EPK = { kty: 'EC', crv: 'P-256', x: LONG, y: 'A' }
const RSA = { kty: 'RSA', n: LONG, e: 'AQAB' }
const ZIPPED = deflateRawSync(Buffer.alloc(20_000_000))
const bombs: readonly (readonly [string, string])[] = [
  [
    'PBES2 with two thousand million rounds',
    jwe({ alg: 'PBES2-HS256+A128KW', enc, p2c: 2e9, p2s }),
  ],
  [
    'PBES2 with a count that is no number',
    jwe({ alg: 'PBES2-HS512+A256KW', enc, p2c: '1e9', p2s }),
  ],
  ['a compressed text that grows a thousandfold', jwe({ alg: 'dir', enc, zip: 'DEF' }, ZIPPED)],
  ['an ephemeral key of 15 KB', jwe({ alg: 'ECDH-ES', enc, epk: EPK })],
  ['an RSA key of 15 KB in the header', jwe({ alg: 'RSA-OAEP', enc, jwk: RSA })],
  ['five empty parts', '....'],
  ['ten thousand parts', '.'.repeat(10_000)],
]

test.for(bombs)('in place of the session cookie: %s', async ([, bomb]) => {
  const visit = await party.checkWith(`__Host-vestibule=${bomb}`)
  expect(visit.status).toBe(302)
  expect(visit.location).toMatch(/^https:\/\/app\.example\.com\/oauth2\/login\?rd=/)
  expect(visit.headers['cache-control']).toBe('no-store')
})

test.for(bombs)('in place of login cookies and of state: %s', async ([, bomb]) => {
  const { browser, callbackUrl } = await party.untilCallback()
  const genuine = browser.cookies.header(new URL(callbackUrl))
  const forState = await browser.get(`${APP}/oauth2/callback?code=x&state=${bomb.slice(0, 15_000)}`)
  const forCookie = await browser.get(callbackUrl, {
    headers: { Cookie: `__Host-vestibule_login=${bomb}` },
  })
  const forTarget = await browser.get(callbackUrl, {
    headers: { Cookie: `${genuine}; __Host-vestibule_target=${bomb}` },
  })
  expect([forState.status, forCookie.status]).toEqual([400, 400])
  // The target's cookie is only read where `state` has none, so the sign-in goes on.
  expect(forTarget.location).toBe(`${APP}/`)
})

test.for([
  ...bombs,
  ['900 KB of nothing', jwe({ alg: 'dir', enc }, Buffer.alloc(600_000))],
] as const)('in place of the ID token: %s', async ([, bomb]) => {
  party.replaceIdToken(() => bomb)
  await party.expectNoSignIn()
})

test('a real session passes before and after all of them', async () =>
  expect(await party.userOf(cookie())).toBe('alice'))
