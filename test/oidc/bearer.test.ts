import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { startScriptedServer } from '../../stand-ins/network/scripted-server.ts'
import {
  AUDIENCE,
  asProgram,
  bearerRule,
  expectTokenRefusal,
  mintAccessToken,
  nowSeconds,
  startBearerParty,
} from '../support/bearers.ts'
import { letRequestsTakeForever } from '../support/endless-requests.ts'
import { prepared } from '../support/prepared.ts'
import { faults, startTestProvider } from '../support/provider.ts'
import type { ClaimChanges as Claims, SignOptions } from '../support/tokens.ts'
import { members, words } from '../support/words.ts'

const other = prepared(() => startTestProvider())
const party = prepared(() =>
  startBearerParty(
    [
      bearerRule('/scoped/**', { scopes: ['read', 'write'] }),
      bearerRule('/tenant/**', { claims: { tenant: ['a', 42], 'realm.roles': 'operator' } }),
      bearerRule('/people/**', {}, { emails: ['alice@example.com'], groups: ['admins'] }),
      bearerRule('/plain-jwt/**', { tokenType: 'jwt' }),
      bearerRule('/other/**', { issuers: [other().issuer] }),
      bearerRule('/once/**', {}, { oneTime: true }),
      bearerRule('/once-scoped/**', { scopes: ['write'] }, { oneTime: true }),
      bearerRule('/api/**', {}, { preflight: 'pass' }),
      { paths: ['/both/a/**'], access: 'signed-in' },
      bearerRule('/both/**'),
    ],
    { PASS_ACCESS_TOKEN: 'true', PASS_AUTHORIZATION: 'true' },
  ),
)

async function presentWith(changes: Claims = {}, uri = '/api/', how: SignOptions = {}) {
  return party().present(await party().mint(changes, how), { uri })
}

async function statusAt(uri: string, token: string): Promise<number> {
  return (await party().present(token, { uri })).status
}

async function metrics(): Promise<string> {
  return (await party().vestibule.internal('/metrics')).body
}

describe('an access token that a rule accepts', () => {
  test('passes any number of times, with the identity headers of its claims', async () => {
    const token = await party().mint({
      sub: 'robot-7',
      email: 'robot@example.com',
      email_verified: true,
      preferred_username: 'robot',
      name: 'The Robot',
      groups: ['machines', 'a,b'],
    })
    for (let round = 0; round < 3; round += 1) {
      expect(await party().present(token)).toMatchObject({
        status: 200,
        body: '',
        setCookies: [],
        headers: {
          'x-auth-request-user': 'robot-7',
          'x-auth-request-email': 'robot@example.com',
          'x-auth-request-preferred-username': 'robot',
          'x-auth-request-name': 'The Robot',
          'x-auth-request-groups': 'machines,a%2Cb',
          'x-auth-request-access-token': token,
          authorization: `Bearer ${token}`,
        },
      })
    }
  })

  test('passes for any number of parallel requests, and the keys are fetched once', async () => {
    const tokens = await Promise.all(Array.from({ length: 5 }, () => party().mint()))
    const all = Array.from({ length: 10 }, () => tokens).flat()
    const statuses = await Promise.all(all.map((token) => statusAt('/api/', token)))
    expect([statuses.length, ...new Set(statuses)]).toEqual([50, 200])
    expect(party().provider.count('jwks')).toBe(1)
  })

  test.for(words`Bearer bearer BEARER bEaReR`)('the scheme may be spelled %s', async (scheme) => {
    const token = await party().mint()
    const headers = { Authorization: `${scheme}  ${token}` }
    expect((await party().present(token, {}, headers)).status).toBe(200)
  })

  test.for<[string, () => Claims, SignOptions?]>([
    ['have several audiences', () => ({ aud: ['https://else.example.com', AUDIENCE] })],
    ['have an exp with a fraction', () => ({ exp: nowSeconds() + 300.5 })],
    ['have an exp within the tolerance', () => ({ exp: nowSeconds() - 10 })],
    ['have an iat within the tolerance', () => ({ iat: nowSeconds() + 15 })],
    ['have an nbf within the tolerance', () => ({ nbf: nowSeconds() + 15 })],
    ['have an old iat', () => ({ iat: nowSeconds() - 90_000 })],
    ...words`at+jwt AT+JWT application/at+jwt`.map((typ): [string, () => Claims, SignOptions] => [
      `have the typ ${typ}`,
      () => ({}),
      { header: { typ } },
    ]),
    ['be signed with ES256', () => ({}), { as: 'provider-es256' }],
  ])('may %s', async ([, changes, how]) =>
    expect((await presentWith(changes(), '/api/', how)).status).toBe(200),
  )

  test('is let in by a browser that asks for a page, too', async () => {
    const headers = { Authorization: `Bearer ${await party().mint()}` }
    expect((await party().vestibule.check({ uri: '/api/' }, headers)).status).toBe(200)
  })

  test('does not outlive its end because it is remembered', async () => {
    const token = await party().mint({ exp: nowSeconds() - 27 })
    const status = () => statusAt('/api/', token)
    expect([await status(), await status()]).toEqual([200, 200])
    await expect.poll(status, { interval: 250 }).toBe(401)
  })

  test('is counted as what the answer rests on', async () => {
    await presentWith()
    const body = await metrics()
    expect(body).toMatch(/vestibule_checks_total\{outcome="allow",source="bearer"\} [1-9]/)
    expect(body).toContain('vestibule_replays_refused_total{kind="dpop"} 0')
  })
})

describe('a token that no rule accepts', () => {
  const refusals: Readonly<Record<string, readonly (readonly [string, Claims])[]>> = {
    'the token has expired': [['an end that is past', { exp: nowSeconds() - 60 }]],
    'the issuer is not trusted': [
      ['no iss', { iss: undefined }],
      ['another issuer', { iss: 'https://else.example.com' }],
    ],
    'the token is not for this place': members`
      aud="https://else.example.com" aud=[] aud="https://api.example.co"
    `,
    'the token is not an access token': members`iat jti client_id`,
    'the token is not valid': [
      ['an iat in the future', { iat: nowSeconds() + 120 }],
      ['an nbf in the future', { nbf: nowSeconds() + 120 }],
      ...members`
        aud exp sub sub="" sub=7 sub="robot\\n" exp=1e300 exp="4102444800" cnf={"x5t#S256":"x"}
        cnf={"jkt":"x","x5t#S256":"x"} cnf="x"
      `,
    ],
  }
  test.for(
    Object.entries(refusals).flatMap(([description, all]) =>
      all.map((each) => [...each, description] as const),
    ),
  )('a token with %s is refused', async ([, changes, description]) => {
    const visit = await presentWith(changes)
    expectTokenRefusal(visit, 'invalid_token')
    expect(visit.headers['www-authenticate']).toBe(
      `Bearer realm="app.example.com", error="invalid_token", error_description="${description}"`,
    )
  })

  test('of an issuer that another rule trusts', async () => {
    const token = await mintAccessToken(other())
    expectTokenRefusal(await party().present(token), 'invalid_token')
    expect(await statusAt('/other/', token)).toBe(200)
    expectTokenRefusal(await presentWith({}, '/other/'), 'invalid_token')
  })
})

describe('what a rule asks beyond the token being valid', () => {
  const given = (status: number) => (template: TemplateStringsArray) =>
    members(template).map((row): [string, Claims, number] => [...row, status])
  test.for<[string, Claims, number]>([
    ...given(200)`scope="openid\x20write\x20read" scp="read\x20write" scp=["read","write"]`,
    ...given(403)`
      scope="read" other scope="READ\x20WRITE" scope="reader\x20writer"
      scope="read"&scp="read\x20write" scope=7
    `,
  ])('scopes: %s', async ([, changes, status]) => {
    const visit = await presentWith(changes, '/scoped/a')
    expect(visit.status).toBe(status)
    if (status === 200) return
    expectTokenRefusal(visit, 'insufficient_scope', 403)
    expect(visit.headers['www-authenticate']).toContain('scope="read write"')
  })

  const operator = { realm: { roles: ['operator'] } }
  const alice = { email: 'alice@example.com' }
  test.for<[string, string, Claims, number]>([
    ['tenant', 'both', { tenant: 'a', realm: { roles: ['user', 'operator'] } }, 200],
    ['tenant', 'a number', { tenant: 42, 'realm.roles': 'operator' }, 200],
    ['tenant', 'another value', { tenant: 'b', ...operator }, 403],
    ['tenant', 'a part of a value', { tenant: 'a', realm: { roles: ['operators'] } }, 403],
    ['people', 'a verified address', { ...alice, email_verified: true }, 200],
    ['people', 'a group', { groups: ['admins'] }, 200],
    ['people', 'an address that is not verified', alice, 403],
    ['people', 'nobody', {}, 403],
  ])('the rule for /%s: %s', async ([path, , changes, status]) => {
    const visit = await presentWith(changes, `/${path}/a`)
    expect(visit.status).toBe(status)
    if (status === 403) expectTokenRefusal(visit, 'forbidden', 403)
  })

  test.for<[string, Claims, Claims, number]>([
    ['no typ', { client_id: undefined }, { typ: undefined }, 200],
    ['JWT', { client_id: undefined, jti: undefined, iat: undefined }, { typ: 'JWT' }, 200],
    ['at+jwt', {}, {}, 200],
    ['at+jwt that is none', { client_id: undefined }, {}, 401],
    ['a nonce', { nonce: 'n' }, { typ: 'JWT' }, 401],
    ['our client as audience', { aud: [AUDIENCE, 'vestibule'] }, { typ: 'JWT' }, 401],
    ['a typ that is no text', {}, { typ: 7 }, 401],
  ])('the type jwt: %s', async ([, changes, header, status]) =>
    expect((await presentWith(changes, '/plain-jwt/a', { header })).status).toBe(status),
  )

  test('a token without its mark is not accepted where a rule does not say so', async () => {
    const token = await party().mint({}, { header: { typ: 'JWT' } })
    expectTokenRefusal(await party().present(token), 'invalid_token')
    expect(await statusAt('/plain-jwt/a', token)).toBe(200)
  })

  test('where the path may be read in two ways and one rule knows no tokens, none counts', async () => {
    const token = await party().mint()
    expect(await statusAt('/both/b', token)).toBe(200)
    const visit = await party().present(token, { uri: '/both/%61/x' })
    expect(visit.status).toBe(401)
    expect(visit.body).toContain('login_required')
  })
})

describe('a caller without a token', () => {
  test('is sent to sign in or told to, as on every rule', async () => {
    expect((await party().vestibule.check({ uri: '/api/' })).status).toBe(302)
    const program = await party().vestibule.check({ uri: '/api/' }, asProgram)
    expect(program.status).toBe(401)
    expect(program.headers['www-authenticate']).toBe('Bearer realm="app.example.com"')
  })

  test('passes as nobody where preflights pass', async () => {
    const headers = { Origin: 'https://else.example.com', 'Access-Control-Request-Method': 'GET' }
    const visit = await party().vestibule.check({ uri: '/api/', method: 'OPTIONS' }, headers)
    expect([visit.status, visit.headers['x-auth-request-user']]).toEqual([200, ''])
  })
})

describe('a token for one use', () => {
  test('passes once', async () => {
    const token = await party().mint()
    expect(await statusAt('/once/a', token)).toBe(200)
    const again = await party().present(token, { uri: '/once/a' })
    expectTokenRefusal(again, 'invalid_token')
    expect(again.headers['www-authenticate']).toContain('the token has been used before')
    expect(await metrics()).toContain('vestibule_replays_refused_total{kind="bearer"} 1')
  })

  test('is not spent by a refusal, nor where it may be used again', async () => {
    const token = await party().mint()
    expect(await statusAt('/once-scoped/a', token)).toBe(403)
    expect([await statusAt('/api/', token), await statusAt('/once/a', token)]).toEqual([200, 200])
  })

  test.for<[string, Claims, number]>([
    ['ten minutes of life', { exp: nowSeconds() + 500, iat: nowSeconds() - 100 }, 200],
    ['more than ten minutes', { exp: nowSeconds() + 501, iat: nowSeconds() - 100 }, 401],
    ['a day', { exp: nowSeconds() + 86_400 }, 401],
  ])('must be short-lived: %s', async ([, changes, status]) =>
    expect((await presentWith(changes, '/once/a')).status).toBe(status),
  )

  test('is the only thing that counts there: no session, no redirect', async () => {
    for (const headers of [{}, { Cookie: await party().vestibule.signIn('alice') }, asProgram]) {
      const visit = await party().vestibule.check({ uri: '/once/a' }, headers)
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
    expect([visit.status, visit.location]).toEqual([503, undefined])
    expect(visit.headers).toMatchObject({
      'retry-after': expect.stringMatching(/^\d+$/) as string,
      'content-type': 'application/json',
    })
    const { body } = await away.vestibule.internal('/metrics')
    expect(body).toContain('vestibule_checks_total{outcome="unavailable",source="none"} 1')
  })

  test.for(['discovery', 'jwks'] as const)(
    'is not awaited while its %s hangs',
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
    issuer.script({ headers: ['Content-Type', 'application/json'], body: JSON.stringify(answer) })
    await using own = await startBearerParty([
      bearerRule('/**', { issuers: [issuer.url], tokenType: 'jwt' }),
    ])
    expect(issuer.seen).toEqual([])
    const sign = (exp: number) =>
      new SignJWT({ iss: issuer.url, aud: AUDIENCE, sub: 'build', exp })
        .setProtectedHeader({ alg: 'ES256', kid: 'k' })
        .sign(privateKey)
    expectTokenRefusal(await own.present(await sign(4e9)), 'invalid_token')
    const { headers } = await own.present(await sign(nowSeconds() + 60))
    expect(headers['x-auth-request-user']).toBe('build')
    const asked = issuer.seen.map(({ url }) => url)
    expect(asked).toEqual(['/.well-known/openid-configuration', '/keys'])
  })
})
