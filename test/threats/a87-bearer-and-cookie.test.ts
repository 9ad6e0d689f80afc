import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  asProgram,
  type BearerParty,
  bearerRule,
  createProofKey,
  expectTokenRefusal,
  startBearerParty,
} from '../support/bearers.ts'
import { breakSignature } from '../support/tokens.ts'

let party: BearerParty
let cookie: string
let token: string

beforeAll(async () => {
  party = await startBearerParty([bearerRule('/api/**'), { access: 'signed-in' }])
  cookie = await party.vestibule.signIn('alice')
  token = await party.mint()
})
afterAll(() => party[Symbol.asyncDispose]())

/** A navigation with the good session, and whatever else. */
const withSession = (
  headers: Readonly<Record<string, string | readonly string[]>>,
  uri = '/api/',
) => party.vestibule.check({ uri }, { Cookie: cookie, ...headers })

describe('A87 a bearer beside a cookie, and headers that are malformed', () => {
  test('a good bearer beside a good session is who the request is from', async () => {
    const visit = await withSession({ Authorization: `Bearer ${token}` })
    expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'robot' } })
  })

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
    expect((await withSession({ Authorization: `Bearer ${'A'.repeat(100_000)}` })).status).toBe(431)
  })

  test.for(['Basic eDp5', 'Digest username="x"', 'Negotiate abc', 'Bearerish x', 'Token x'])(
    'another scheme is the app’s, and the session decides: %s',
    async (value) => {
      const visit = await withSession({ Authorization: value })
      expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
      expect(visit.headers.authorization).toBeUndefined()
      expect((await party.vestibule.check({ uri: '/api/' }, { Authorization: value })).status).toBe(
        302,
      )
    },
  )

  test('where a rule knows no tokens the header is neither read nor an error', async () => {
    for (const value of [`Bearer ${token}`, 'Bearer a b', 'DPoP x']) {
      const visit = await withSession({ Authorization: value }, '/')
      expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': 'alice' } })
      expect((await party.vestibule.check({ uri: '/' }, { Authorization: value })).status).toBe(302)
    }
  })

  test.for(['access_token', 'token', 'bearer', 'Authorization'])(
    'a token in the query as %s is none',
    async (name) => {
      const uri = `/api/?${name}=${token}`
      expect((await party.vestibule.check({ uri })).status).toBe(302)
      expect((await party.vestibule.check({ uri }, asProgram)).status).toBe(401)
      expect((await withSession({}, uri)).headers['x-auth-request-user']).toBe('alice')
    },
  )

  test.for([
    'X-Authorization',
    'Proxy-Authorization',
    'X-Forwarded-Authorization',
    'X-Access-Token',
  ])('a token in %s is none', async (name) => {
    const visit = await party.vestibule.check(
      { uri: '/api/' },
      { ...asProgram, [name]: `Bearer ${token}` },
    )
    expect(visit.status).toBe(401)
  })

  test('a token that is bound to a key is not accepted from somebody who merely bears it', async () => {
    const { thumbprint } = await createProofKey()
    const bound = await party.mint({ cnf: { jkt: thumbprint } })
    const visit = await party.present(bound)
    expectTokenRefusal(visit, 'invalid_token')
  })

  test.for<[string, () => Promise<Awaited<ReturnType<typeof withSession>>>, number]>([
    ['a path of ours', () => withSession({ Authorization: 'Bearer x' }, '/oauth2/login'), 403],
    [
      'a host that is not ours',
      () => party.vestibule.check({ host: 'evil.test' }, { Authorization: 'Bearer x' }),
      400,
    ],
    [
      'another spelling of a header',
      () => withSession({ Authorization: 'Bearer x', X_Auth_Request_User: 'root' }),
      400,
    ],
    [
      'a method nobody knows',
      () => party.vestibule.check({ method: 'FOO' }, { Authorization: 'Bearer x' }),
      400,
    ],
  ])('a browser’s headers around a bearer get no page for %s', async ([, ask, status]) => {
    const visit = await ask()
    expect(visit.status).toBe(status)
    expect(visit.headers['content-type']).toBe('application/json')
    expect(visit.setCookies).toEqual([])
    expect(visit.location).toBeUndefined()
  })

  test('nothing of a token is logged', async () => {
    const [, payload = '', signature = ''] = token.split('.')
    for (const part of [token, payload, signature]) {
      expect(party.vestibule.output()).not.toContain(part)
    }
  })
})
