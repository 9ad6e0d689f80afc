import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startScriptedServer } from '../../stand-ins/network/scripted-server.ts'
import {
  AUDIENCE,
  asProgram,
  type BearerParty,
  bearerRule,
  expectTokenRefusal,
  mintAccessToken,
  nowSeconds,
  startBearerParty,
} from '../support/bearers.ts'
import { letRequestsTakeForever } from '../support/endless-requests.ts'
import { faults, startTestProvider, type TestProvider } from '../support/provider.ts'

let party: BearerParty
let other: TestProvider

beforeAll(async () => {
  other = await startTestProvider()
  party = await startBearerParty(
    [
      bearerRule('/scoped/**', { scopes: ['read', 'write'] }),
      bearerRule('/tenant/**', { claims: { tenant: ['a', 42], 'realm.roles': 'operator' } }),
      bearerRule('/people/**', {}, { emails: ['alice@example.com'], groups: ['admins'] }),
      bearerRule('/plain-jwt/**', { tokenType: 'jwt' }),
      bearerRule('/other/**', { issuers: [other.issuer] }),
      bearerRule('/once/**', {}, { oneTime: true }),
      bearerRule('/once-scoped/**', { scopes: ['write'] }, { oneTime: true }),
      bearerRule('/api/**', {}, { preflight: 'pass' }),
      { paths: ['/both/a/**'], access: 'signed-in' },
      bearerRule('/both/**'),
    ],
    { PASS_ACCESS_TOKEN: 'true', PASS_AUTHORIZATION: 'true' },
  )
})
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  await other.close()
})

describe('an access token that a rule accepts', () => {
  test('passes any number of times, with the identity headers of its claims', async () => {
    const token = await party.mint({
      sub: 'robot-7',
      email: 'robot@example.com',
      email_verified: true,
      preferred_username: 'robot',
      name: 'The Robot',
      groups: ['machines', 'a,b'],
    })
    for (let round = 0; round < 3; round += 1) {
      const { status, headers, body, setCookies } = await party.present(token)
      expect({ status, body, setCookies }).toEqual({ status: 200, body: '', setCookies: [] })
      expect(headers).toMatchObject({
        'x-auth-request-user': 'robot-7',
        'x-auth-request-email': 'robot@example.com',
        'x-auth-request-preferred-username': 'robot',
        'x-auth-request-name': 'The Robot',
        'x-auth-request-groups': 'machines,a%2Cb',
        'x-auth-request-access-token': token,
        authorization: `Bearer ${token}`,
      })
    }
  })

  test('passes for any number of parallel requests, and the keys are fetched once', async () => {
    const tokens = await Promise.all(Array.from({ length: 5 }, () => party.mint()))
    const visits = await Promise.all(
      Array.from({ length: 50 }, (_, index) => party.present(tokens[index % 5] as string)),
    )
    expect(new Set(visits.map(({ status }) => status))).toEqual(new Set([200]))
    expect(party.provider.count('jwks')).toBe(1)
  })

  test.for(['Bearer', 'bearer', 'BEARER', 'bEaReR'])(
    'the scheme may be spelled %s',
    async (scheme) => {
      const token = await party.mint()
      const visit = await party.present(token, {}, { Authorization: `${scheme}  ${token}` })
      expect(visit.status).toBe(200)
    },
  )

  test.for<[string, () => Record<string, unknown>]>([
    ['several audiences', () => ({ aud: ['https://else.example.com', AUDIENCE] })],
    ['an exp with a fraction', () => ({ exp: nowSeconds() + 300.5 })],
    ['an exp within the tolerance', () => ({ exp: nowSeconds() - 10 })],
    ['an iat within the tolerance', () => ({ iat: nowSeconds() + 15 })],
    ['an nbf within the tolerance', () => ({ nbf: nowSeconds() + 15 })],
    ['an old iat', () => ({ iat: nowSeconds() - 90_000 })],
  ])('may have %s', async ([, changes]) => {
    expect((await party.present(await party.mint(changes()))).status).toBe(200)
  })

  test.for(['at+jwt', 'AT+JWT', 'application/at+jwt'])('may have the typ %s', async (typ) => {
    const token = await party.mint({}, { header: { typ } })
    expect((await party.present(token)).status).toBe(200)
  })

  test('may be signed with ES256', async () => {
    expect((await party.present(await party.mint({}, { as: 'provider-es256' }))).status).toBe(200)
  })

  test('is let in by a browser that asks for a page, too', async () => {
    const token = await party.mint()
    const visit = await party.vestibule.check(
      { uri: '/api/' },
      { Authorization: `Bearer ${token}` },
    )
    expect(visit.status).toBe(200)
  })

  test('does not outlive its end because it is remembered', async () => {
    const token = await party.mint({ exp: nowSeconds() - 27 })
    expect((await party.present(token)).status).toBe(200)
    expect((await party.present(token)).status).toBe(200)
    await expect.poll(async () => (await party.present(token)).status, { interval: 250 }).toBe(401)
  })

  test('is counted as what the answer rests on', async () => {
    await party.present(await party.mint())
    const { body } = await party.vestibule.internal('/metrics')
    expect(body).toMatch(/vestibule_checks_total\{outcome="allow",source="bearer"\} [1-9]/)
    expect(body).toContain('vestibule_replays_refused_total{kind="dpop"} 0')
  })
})

describe('a token that no rule accepts', () => {
  test.for<[string, Record<string, unknown>, string]>([
    ['expired', { exp: nowSeconds() - 60 }, 'the token has expired'],
    ['from the future', { iat: nowSeconds() + 120 }, 'the token is not valid'],
    ['not yet valid', { nbf: nowSeconds() + 120 }, 'the token is not valid'],
    [
      'for another audience',
      { aud: 'https://else.example.com' },
      'the token is not for this place',
    ],
    ['for no audience', { aud: undefined }, 'the token is not valid'],
    ['for an empty list', { aud: [] }, 'the token is not for this place'],
    ['for a part of it', { aud: 'https://api.example.co' }, 'the token is not for this place'],
    ['without iss', { iss: undefined }, 'the issuer is not trusted'],
    ['without exp', { exp: undefined }, 'the token is not valid'],
    ['without iat', { iat: undefined }, 'the token is not an access token'],
    ['without sub', { sub: undefined }, 'the token is not valid'],
    ['without jti', { jti: undefined }, 'the token is not an access token'],
    ['without client_id', { client_id: undefined }, 'the token is not an access token'],
    ['with an empty sub', { sub: '' }, 'the token is not valid'],
    ['with a sub that is a number', { sub: 7 }, 'the token is not valid'],
    ['with a control character in sub', { sub: 'robot\n' }, 'the token is not valid'],
    ['with a huge exp', { exp: 1e300 }, 'the token is not valid'],
    ['with an exp as text', { exp: '4102444800' }, 'the token is not valid'],
    ['with a key binding nobody knows', { cnf: { 'x5t#S256': 'x' } }, 'the token is not valid'],
    ['with a second key binding', { cnf: { jkt: 'x', 'x5t#S256': 'x' } }, 'the token is not valid'],
    ['with a key binding as text', { cnf: 'x' }, 'the token is not valid'],
    ['of another rule’s issuer', { iss: 'https://else.example.com' }, 'the issuer is not trusted'],
  ])('%s', async ([, changes, description]) => {
    const visit = await party.present(await party.mint(changes))
    expectTokenRefusal(visit, 'invalid_token')
    expect(visit.headers['www-authenticate']).toBe(
      `Bearer realm="app.example.com", error="invalid_token", error_description="${description}"`,
    )
  })

  test('of an issuer that another rule trusts', async () => {
    const visit = await party.present(await mintAccessToken(other))
    expectTokenRefusal(visit, 'invalid_token')
    expect((await party.present(await mintAccessToken(other), { uri: '/other/' })).status).toBe(200)
    expectTokenRefusal(await party.present(await party.mint(), { uri: '/other/' }), 'invalid_token')
  })

  test('with a signature of another key', async () => {
    for (const as of ['stranger', 'unknown-kid'] as const) {
      expectTokenRefusal(await party.present(await party.mint({}, { as })), 'invalid_token')
    }
  })
})

describe('what a rule asks beyond the token being valid', () => {
  test.for<[string, Record<string, unknown>, number]>([
    ['scope as text', { scope: 'openid write read' }, 200],
    ['scp as text', { scp: 'read write' }, 200],
    ['scp as a list', { scp: ['read', 'write'] }, 200],
    ['one of two', { scope: 'read' }, 403],
    ['none', {}, 403],
    ['another case', { scope: 'READ WRITE' }, 403],
    ['a longer word', { scope: 'reader writer' }, 403],
    ['scope before scp', { scope: 'read', scp: 'read write' }, 403],
    ['a number', { scope: 7 }, 403],
  ])('scopes: %s', async ([, changes, status]) => {
    const visit = await party.present(await party.mint(changes), { uri: '/scoped/a' })
    expect(visit.status).toBe(status)
    if (status === 200) return
    expectTokenRefusal(visit, 'insufficient_scope', 403)
    expect(visit.headers['www-authenticate']).toContain('scope="read write"')
  })

  test.for<[string, Record<string, unknown>, number]>([
    ['both', { tenant: 'a', realm: { roles: ['user', 'operator'] } }, 200],
    ['a number', { tenant: 42, 'realm.roles': 'operator' }, 200],
    ['one of them', { tenant: 'a' }, 403],
    ['another value', { tenant: 'b', realm: { roles: ['operator'] } }, 403],
    ['an object', { tenant: { a: true }, realm: { roles: ['operator'] } }, 403],
    ['a part of a value', { tenant: 'a', realm: { roles: ['operators'] } }, 403],
  ])('claims: %s', async ([, changes, status]) => {
    const visit = await party.present(await party.mint(changes), { uri: '/tenant/a' })
    expect(visit.status).toBe(status)
    if (status === 403) expectTokenRefusal(visit, 'forbidden', 403)
  })

  test.for<[string, Record<string, unknown>, number]>([
    ['a verified address', { email: 'alice@example.com', email_verified: true }, 200],
    ['a group', { groups: ['admins'] }, 200],
    ['an address that is not verified', { email: 'alice@example.com' }, 403],
    ['nobody', {}, 403],
  ])('lists of users: %s', async ([, changes, status]) => {
    const visit = await party.present(await party.mint(changes), { uri: '/people/a' })
    expect(visit.status).toBe(status)
    if (status === 403) expectTokenRefusal(visit, 'forbidden', 403)
  })

  test.for<[string, Record<string, unknown>, Record<string, unknown>, number]>([
    ['no typ', { client_id: undefined }, { typ: undefined }, 200],
    ['JWT', { client_id: undefined, jti: undefined, iat: undefined }, { typ: 'JWT' }, 200],
    ['at+jwt', {}, {}, 200],
    ['at+jwt that is none', { client_id: undefined }, {}, 401],
    ['a nonce', { nonce: 'n' }, { typ: 'JWT' }, 401],
    ['our client as audience', { aud: [AUDIENCE, 'vestibule'] }, { typ: 'JWT' }, 401],
    ['a logout token', {}, { typ: 'logout+jwt' }, 401],
    ['a proof', {}, { typ: 'dpop+jwt' }, 401],
    ['a typ that is no text', {}, { typ: 7 }, 401],
  ])('the type jwt: %s', async ([, changes, header, status]) => {
    const token = await party.mint(changes, { header })
    expect((await party.present(token, { uri: '/plain-jwt/a' })).status).toBe(status)
  })

  test('a token without its mark is not accepted where a rule does not say so', async () => {
    const token = await party.mint({}, { header: { typ: 'JWT' } })
    expectTokenRefusal(await party.present(token), 'invalid_token')
    expect((await party.present(token, { uri: '/plain-jwt/a' })).status).toBe(200)
  })

  test('where the path may be read in two ways and one rule knows no tokens, none counts', async () => {
    const token = await party.mint()
    expect((await party.present(token, { uri: '/both/b' })).status).toBe(200)
    const visit = await party.present(token, { uri: '/both/%61/x' })
    expect(visit.status).toBe(401)
    expect(visit.body).toContain('login_required')
  })
})

describe('a caller without a token', () => {
  test('is sent to sign in or told to, as on every rule', async () => {
    expect((await party.vestibule.check({ uri: '/api/' })).status).toBe(302)
    const program = await party.vestibule.check({ uri: '/api/' }, asProgram)
    expect(program.status).toBe(401)
    expect(program.headers['www-authenticate']).toBe('Bearer realm="app.example.com"')
  })

  test('passes with a session', async () => {
    const cookie = await party.vestibule.signIn('alice')
    expect((await party.vestibule.check({ uri: '/api/' }, { Cookie: cookie })).status).toBe(200)
  })

  test('passes as nobody where preflights pass', async () => {
    const headers = { Origin: 'https://else.example.com', 'Access-Control-Request-Method': 'GET' }
    const visit = await party.vestibule.check({ uri: '/api/', method: 'OPTIONS' }, headers)
    expect(visit.status).toBe(200)
    expect(visit.headers['x-auth-request-user']).toBe('')
  })
})

describe('a token for one use', () => {
  test('passes once', async () => {
    const token = await party.mint()
    expect((await party.present(token, { uri: '/once/a' })).status).toBe(200)
    const again = await party.present(token, { uri: '/once/a' })
    expectTokenRefusal(again, 'invalid_token')
    expect(again.headers['www-authenticate']).toContain('the token has been used before')
    const { body } = await party.vestibule.internal('/metrics')
    expect(body).toContain('vestibule_replays_refused_total{kind="bearer"} 1')
  })

  test('passes for one of many that arrive at once', async () => {
    const token = await party.mint()
    const visits = await Promise.all(
      Array.from({ length: 30 }, () => party.present(token, { uri: '/once/a' })),
    )
    expect(visits.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(visits.filter(({ status }) => status === 401)).toHaveLength(29)
  })

  test('is not spent by a refusal, nor where it may be used again', async () => {
    const token = await party.mint()
    expect((await party.present(token, { uri: '/once-scoped/a' })).status).toBe(403)
    expect((await party.present(token, { uri: '/api/' })).status).toBe(200)
    expect((await party.present(token, { uri: '/once/a' })).status).toBe(200)
  })

  test.for<[string, Record<string, unknown>, number]>([
    ['ten minutes of life', { exp: nowSeconds() + 500, iat: nowSeconds() - 100 }, 200],
    ['more than ten minutes', { exp: nowSeconds() + 501, iat: nowSeconds() - 100 }, 401],
    ['a day', { exp: nowSeconds() + 86_400 }, 401],
  ])('must be short-lived: %s', async ([, changes, status]) => {
    const visit = await party.present(await party.mint(changes), { uri: '/once/a' })
    expect(visit.status).toBe(status)
  })

  test('is the only thing that counts there: no session, no redirect', async () => {
    const cookie = await party.vestibule.signIn('alice')
    for (const headers of [{}, { Cookie: cookie }, asProgram]) {
      const visit = await party.vestibule.check({ uri: '/once/a' }, headers)
      expectTokenRefusal(visit, 'token_required')
      expect(visit.headers['www-authenticate']).toBe('Bearer realm="app.example.com"')
    }
  })
})

describe('an issuer whose keys cannot be had', () => {
  test('is a matter of time, not of the token: 503, and no page', async () => {
    await using away = await startBearerParty([bearerRule('/**')], {
      OIDC_ISSUER_URL: 'http://127.0.0.1:9',
    })
    const token = await mintAccessToken({ issuer: 'http://127.0.0.1:9', sign: away.provider.sign })
    const visit = await away.vestibule.check({}, { Authorization: `Bearer ${token}` })
    expect(visit.status).toBe(503)
    expect(visit.headers['retry-after']).toMatch(/^\d+$/)
    expect(visit.headers['content-type']).toBe('application/json')
    expect(visit.location).toBeUndefined()
    const { body } = await away.vestibule.internal('/metrics')
    expect(body).toContain('vestibule_checks_total{outcome="unavailable",source="none"} 1')
  })

  test.for(['discovery', 'jwks'] as const)(
    'is not waited for while its %s hangs',
    async (endpoint) => {
      await using slow = await startBearerParty([bearerRule('/**')], {}, (provider) =>
        provider.set(endpoint, faults.hangs),
      )
      const token = await slow.mint()
      using _ = letRequestsTakeForever()
      expect((await slow.present(token)).status).toBe(503)
    },
  )
})

describe('an issuer that makes tokens and signs nobody in', () => {
  test('needs to publish nothing but its keys, and is asked when the first token is there', async () => {
    await using issuer = await startScriptedServer()
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const answer = {
      issuer: issuer.url,
      jwks_uri: `${issuer.url}/keys`,
      keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }],
    }
    issuer.script({
      headers: ['Content-Type', 'application/json'],
      body: JSON.stringify(answer),
    })
    await using party = await startBearerParty([
      bearerRule('/**', { issuers: [issuer.url], tokenType: 'jwt' }),
    ])
    expect(issuer.seen).toEqual([])
    const endless = await new SignJWT({ iss: issuer.url, aud: AUDIENCE, sub: 'build', exp: 4e9 })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .sign(privateKey)
    const soon = nowSeconds() + 60
    const good = await new SignJWT({ iss: issuer.url, aud: AUDIENCE, sub: 'build', exp: soon })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .sign(privateKey)
    expectTokenRefusal(await party.present(endless), 'invalid_token')
    expect((await party.present(good)).headers['x-auth-request-user']).toBe('build')
    expect(issuer.seen.map(({ url }) => url)).toEqual([
      '/.well-known/openid-configuration',
      '/keys',
    ])
  })
})
