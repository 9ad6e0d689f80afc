import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { claimsOf } from '../support/tokens.ts'

let party: RelyingParty

beforeAll(async () => {
  party = await startRelyingParty()
})
afterAll(() => party[Symbol.asyncDispose]())

describe('A83 token type confusion', () => {
  test.for([
    ['JWT', { typ: 'JWT' }],
    ['jwt', { typ: 'jwt' }],
    ['none', {}],
  ] as const)('an ID token may have the type: %s', async ([, header], { expect }) => {
    party.provider.tamperIdToken({}, { header })
    expect((await party.attempt()).isSignedIn).toBe(true)
  })

  test.for<[unknown]>([
    ['at+jwt'],
    ['AT+JWT'],
    ['application/at+jwt'],
    ['logout+jwt'],
    ['dpop+jwt'],
    ['secevent+jwt'],
    ['token-introspection+jwt'],
    ['JWT '],
    ['JWE'],
    [''],
    [42],
    [['JWT']],
    [null],
  ])('the same claims under another type are no ID token: %j', async ([typ], { expect }) => {
    party.provider.tamperIdToken({}, { header: { typ } })
    const { answer, isSignedIn } = await party.attempt()
    expect([400, 502]).toContain(answer.status)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(isSignedIn).toBe(false)
  })

  test('a logout token is no ID token, with the right nonce as well as without', async () => {
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
    for (const changes of [{ events }, { events, nonce: undefined }]) {
      party.provider.tamperIdToken(changes, { header: { typ: 'logout+jwt' } })
      expect(await party.attempt()).toMatchObject({ answer: { status: 400 }, isSignedIn: false })
    }
    const token = await party.provider.mintLogoutToken()
    party.provider.set('token', { rewrite: (body) => ({ ...body, id_token: token }) })
    expect(await party.attempt()).toMatchObject({ answer: { status: 400 }, isSignedIn: false })
  })

  test.for<[string, (body: Record<string, unknown>) => unknown]>([
    ['the opaque access token', (body) => body['access_token']],
    ['a number', () => 42],
    ['an object', (body) => ({ token: body['id_token'] })],
    ['a list', (body) => [body['id_token']]],
    ['an empty text', () => ''],
    ['nothing', () => undefined],
    ['null', () => null],
  ])(
    'what stands in place of the ID token makes no session: %s',
    async ([, replace], { expect }) => {
      party.provider.set('token', { rewrite: (body) => ({ ...body, id_token: replace(body) }) })
      const { answer, isSignedIn } = await party.attempt()
      expect([400, 502]).toContain(answer.status)
      expect(isSignedIn).toBe(false)
    },
  )

  test('an ID token minted for nobody’s login, with a nonce of its own, makes no session', async () => {
    for (const nonce of [undefined, 'of another login']) {
      const token = await party.provider.mintIdToken({ nonce })
      party.provider.set('token', { rewrite: (body) => ({ ...body, id_token: token }) })
      expect(await party.attempt()).toMatchObject({ answer: { status: 400 }, isSignedIn: false })
    }
  })

  test('neither ID token nor access token nor logout token opens the check', async () => {
    party.provider.reset()
    let seen: Record<string, unknown> = {}
    party.provider.set('token', {
      rewrite: (body) => {
        seen = body
        return body
      },
    })
    const { browser } = await party.attempt()
    const idToken = String(seen['id_token'])
    expect(claimsOf(idToken).sub).toBe('alice')
    const tokens = [idToken, String(seen['access_token']), await party.provider.mintLogoutToken()]
    for (const token of tokens) {
      const asBearer = await party.vestibule.check({}, { Authorization: `Bearer ${token}` })
      const asCookie = await party.vestibule.check({}, { Cookie: `__Host-vestibule=${token}` })
      const inQuery = await party.vestibule.check({ uri: `/?access_token=${token}` })
      expect([asBearer.status, asCookie.status, inQuery.status]).toEqual([302, 302, 302])
      expect(asBearer.setCookies).toEqual([])
    }
    const own = browser.cookies.header(new URL(APP))
    expect((await party.vestibule.check({}, { Cookie: own })).status).toBe(200)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})
