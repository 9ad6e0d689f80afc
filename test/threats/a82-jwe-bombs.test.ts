import { randomBytes } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'

let party: RelyingParty
let cookie: string

beforeAll(async () => {
  party = await startRelyingParty()
  const { browser } = await party.attempt()
  cookie = browser.cookies.header(new URL(APP)) ?? ''
})
afterAll(() => party[Symbol.asyncDispose]())

const jwe = (header: Readonly<Record<string, unknown>>, ciphertext = randomBytes(64)): string =>
  [
    Buffer.from(JSON.stringify(header)),
    randomBytes(40),
    randomBytes(12),
    ciphertext,
    randomBytes(16),
  ]
    .map((part) => part.toString('base64url'))
    .join('.')

const bombs: readonly [string, string][] = [
  [
    'PBES2 with two thousand million rounds',
    jwe({ alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 2e9, p2s: 'c2FsdHNhbHQ' }),
  ],
  [
    'PBES2 with a count that is no number',
    jwe({ alg: 'PBES2-HS512+A256KW', enc: 'A256GCM', p2c: '1e9', p2s: 'c2FsdHNhbHQ' }),
  ],
  [
    'a compressed text that grows a thousandfold',
    jwe({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' }, deflateRawSync(Buffer.alloc(20_000_000))),
  ],
  [
    'an ephemeral key of 15 KB',
    jwe({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      epk: { kty: 'EC', crv: 'P-256', x: 'A'.repeat(15_000), y: 'A' },
    }),
  ],
  [
    'an RSA key of 15 KB in the header',
    jwe({ alg: 'RSA-OAEP', enc: 'A256GCM', jwk: { kty: 'RSA', n: 'A'.repeat(15_000), e: 'AQAB' } }),
  ],
  ['five empty parts', '....'],
  ['ten thousand parts', '.'.repeat(10_000)],
]

describe('A82 JWE bombs', () => {
  test.for(bombs)('in place of the session cookie: %s', async ([, bomb], { expect }) => {
    const visit = await party.vestibule.check({}, { Cookie: `__Host-vestibule=${bomb}` })
    expect(visit.status).toBe(302)
    expect(visit.location).toMatch(/^https:\/\/app\.example\.com\/oauth2\/login\?rd=/)
    expect(visit.headers['cache-control']).toBe('no-store')
  })

  test.for(bombs)(
    'in place of the login cookies and of state: %s',
    async ([, bomb], { expect }) => {
      const { browser, callbackUrl } = await party.untilCallback()
      const url = new URL(callbackUrl)
      const genuine = browser.cookies.header(url)
      const asState = `${APP}/oauth2/callback?code=x&state=${bomb.slice(0, 15_000)}`
      const forState = await browser.get(asState)
      const forCookie = await browser.get(callbackUrl, {
        headers: { Cookie: `__Host-vestibule_login=${bomb}` },
      })
      const forTarget = await browser.get(callbackUrl, {
        headers: { Cookie: `${genuine}; __Host-vestibule_target=${bomb}` },
      })
      expect([forState.status, forCookie.status]).toEqual([400, 400])
      // The target's cookie is only looked at where `state` has none, so the sign-in goes on.
      expect(forTarget.location).toBe(`${APP}/`)
    },
  )

  test.for([
    ...bombs,
    ['900 KB of nothing', jwe({ alg: 'dir', enc: 'A256GCM' }, Buffer.alloc(600_000))],
  ] as const)('in place of the ID token: %s', async ([, bomb], { expect }) => {
    party.provider.set('token', { rewrite: (body) => ({ ...body, id_token: bomb }) })
    const { browser, callbackUrl } = await party.untilCallback()
    const answer = await browser.get(callbackUrl)
    party.provider.reset()
    expect([400, 502]).toContain(answer.status)
    expect(browser.cookies.find('__Host-vestibule')).toBeUndefined()
  })

  test.for(bombs)('as a bearer: %s', async ([, bomb], { expect }) => {
    expect((await party.vestibule.check({}, { Authorization: `Bearer ${bomb}` })).status).toBe(302)
  })

  test('a real session passes before and after all of them', async () => {
    expect((await party.vestibule.check({}, { Cookie: cookie })).status).toBe(200)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
