import { beforeAll, describe, expect, test } from 'vitest'
import { asProgram, bearerRule, createProofKey, expectTokenRefusal } from '../support/bearers.ts'
import { breakSignature } from '../support/tokens.ts'
import { useBearerParty } from '../support/used-party.ts'
import type { Visit, VisitHeaders } from '../support/visitor.ts'
import { words } from '../support/words.ts'

const party = useBearerParty([bearerRule('/api/**'), { access: 'signed-in' }])
const { check } = party
let cookie: string
let token: string

beforeAll(async () => {
  cookie = await party.vestibule.signIn('alice')
  token = await party.mint()
})

/** A navigation with the good session and further headers. */
function withSession(headers: VisitHeaders, uri = '/api/'): Promise<Visit> {
  return check({ uri }, { Cookie: cookie, ...headers })
}

async function expectUser(headers: VisitHeaders, user: string, uri?: string): Promise<Visit> {
  const visit = await withSession(headers, uri)
  expect([visit.status, visit.headers['x-auth-request-user']]).toEqual([200, user])
  return visit
}

describe('A87 a bearer beside a cookie, and headers that are malformed', () => {
  test('a good bearer beside a good session names the user', () =>
    expectUser({ Authorization: `Bearer ${token}` }, 'robot'))

  test.for<[string, (good: string) => string | readonly string[]]>([
    ['with a broken signature', (good) => `Bearer ${breakSignature(good)}`],
    ['of two parts', (good) => `Bearer ${good} ${good}`],
    ['after the good one, by a comma', (good) => `Bearer ${good}, Bearer ${good}`],
    ['that is empty', () => 'Bearer'],
    ['that is a blank', () => 'Bearer '],
    ['that is no JWT', () => 'Bearer a b'],
    ['that is opaque', () => 'Bearer 2YotnFZFEjr1zCsicMWpAA'],
    ['that is a JWE', () => 'Bearer a.b.c.d.e'],
    ['in small letters', () => 'bearer x'],
    ['behind a tab', (good) => `Bearer\t${good}`],
    ['in quotes', (good) => `Bearer "${good}"`],
    ['of 40 KB', (good) => `Bearer ${good}${'A'.repeat(40_000)}`],
    ['as DPoP without a proof', (good) => `DPoP ${good}`],
    ['in the first of two headers', (good) => [`Bearer ${good}`, `Bearer ${good}`]],
    ['behind another scheme', (good) => ['Basic eDp5', `Bearer ${good}`]],
    ['before another scheme', (good) => [`Bearer ${good}`, 'Basic eDp5']],
  ])('a bad bearer beside a good session is refused: %s', async ([, make]) => {
    const visit = await withSession({ Authorization: make(token) })
    expectTokenRefusal(visit, 'invalid_token')
    expect(visit.rawHeaders.join('\n') + visit.body).not.toContain(token)
  })

  test('100 KB of header are refused by the listener, and nothing passes', async () => {
    const visit = await withSession({ Authorization: `Bearer ${'A'.repeat(100_000)}` })
    expect(visit.status).toBe(431)
  })

  test.for(['Basic eDp5', 'Digest username="x"', 'Negotiate abc', 'Bearerish x', 'Token x'])(
    'another scheme is the app’s, and the session decides: %s',
    async (Authorization) => {
      const visit = await expectUser({ Authorization }, 'alice')
      expect(visit.headers.authorization).toBeUndefined()
      expect((await check({ uri: '/api/' }, { Authorization })).status).toBe(302)
    },
  )

  test.for([() => `Bearer ${token}`, () => 'Bearer a b', () => 'DPoP x'])(
    'where a rule knows no tokens the header is neither read nor an error: %s',
    async (make) => {
      await expectUser({ Authorization: make() }, 'alice', '/')
      expect((await check({ uri: '/' }, { Authorization: make() })).status).toBe(302)
    },
  )

  test.for(words`access_token token bearer Authorization`)('no token is in ?%s=', async (name) => {
    const uri = `/api/?${name}=${token}`
    expect((await check({ uri })).status).toBe(302)
    expect((await check({ uri }, asProgram)).status).toBe(401)
    expect((await withSession({}, uri)).headers['x-auth-request-user']).toBe('alice')
  })

  test.for(words`
    X-Authorization Proxy-Authorization X-Forwarded-Authorization X-Access-Token
  `)('a token in %s is none', async (name) => {
    const visit = await check({ uri: '/api/' }, { ...asProgram, [name]: `Bearer ${token}` })
    expect(visit.status).toBe(401)
  })

  test('a token that is bound to a key is not accepted without a proof', async () => {
    const { thumbprint } = await createProofKey()
    const bound = await party.mint({ cnf: { jkt: thumbprint } })
    expectTokenRefusal(await party.present(bound), 'invalid_token')
  })

  test.for<[string, number, (headers: VisitHeaders) => Promise<Visit>]>([
    ['a path of ours', 403, (headers) => withSession(headers, '/oauth2/login')],
    ['a host that is not ours', 400, (headers) => check({ host: 'evil.test' }, headers)],
    ['a forged header', 400, (headers) => withSession({ ...headers, X_Auth_Request_User: 'root' })],
    ['an unknown method', 400, (headers) => check({ method: 'FOO' }, headers)],
  ])('a browser’s headers around a bearer get no page for %s', async ([, status, ask]) => {
    const visit = await ask({ Authorization: 'Bearer x' })
    expect(visit).toMatchObject({ status, setCookies: [], location: undefined })
    expect(visit.headers['content-type']).toBe('application/json')
  })

  test('no part of a token is logged', async () => {
    const [, payload = '', signature = ''] = token.split('.')
    for (const part of [token, payload, signature]) {
      expect(party.vestibule.output()).not.toContain(part)
    }
  })
})
