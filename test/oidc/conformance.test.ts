import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { takeTime } from '../support/passing-time.ts'
import type { TestProvider } from '../support/provider.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { breakSignature } from '../support/tokens.ts'

/** Modules of the OpenID Foundation's conformance suite for relying parties, by their ids. */
const time = takeTime()
let party: RelyingParty
beforeAll(async () => {
  party = await startRelyingParty({ OIDC_USERINFO: 'always' })
})
afterEach(() => party.provider.reset())
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  time[Symbol.dispose]()
})

async function expectSignIn(by: RelyingParty = party): Promise<Record<string, unknown>> {
  const { answer, identity } = await by.attempt()
  expect(answer.location).toBe(`${APP}/`)
  expect(identity?.['x-auth-request-user']).toBe('alice')
  return { ...identity }
}

async function expectRefusal(by: RelyingParty = party): Promise<void> {
  const { answer, isSignedIn, browser } = await by.attempt()
  expect([400, 502]).toContain(answer.status)
  expect(answer.setCookies).toEqual([])
  expect(browser.cookies.find('__Host-vestibule')).toBeUndefined()
  expect(isSignedIn).toBe(false)
}

async function furtherRsaKey(): Promise<JWK> {
  const { publicKey } = await generateKeyPair('RS256', { extractable: true })
  return { ...(await exportJWK(publicKey)), kid: 'further', alg: 'RS256', use: 'sig' }
}

function withBrokenSignature(body: Record<string, unknown>) {
  return {
    ...body,
    id_token: breakSignature(String(body['id_token'])),
  }
}

/** Passes the pause after which Vestibule fetches an unknown key again. */
function untilKeysMayBeFetched() {
  return time.pass(1000)
}

function rsaOnly({ keys }: { keys: readonly JWK[] }) {
  return keys.filter(({ kty }) => kty === 'RSA')
}

describe('oidcc-client-basic-certification-test-plan', () => {
  test('oidcc-client-test', async () => {
    const identity = await expectSignIn()
    const [authorization] = party.provider.requests('authorization').slice(-2)
    const query = new URL(authorization?.url ?? '', party.provider.issuer).searchParams
    expect(query.get('response_type')).toBe('code')
    expect(query.get('scope')?.split(' ')).toContain('openid')
    expect(query.get('nonce')).toMatch(/^[\w-]{43}$/)
    expect(query.get('code_challenge_method')).toBe('S256')
    expect(identity['x-auth-request-email']).toBe('alice@example.com')
  })

  test.for<[string, (provider: TestProvider) => void]>([
    ['invalid-iss', (provider) => provider.tamperIdToken({ iss: `${provider.issuer}/other` })],
    ['missing-sub', (provider) => provider.tamperIdToken({ sub: undefined })],
    ['invalid-aud', (provider) => provider.tamperIdToken({ aud: 'another client' })],
    ['missing-iat', (provider) => provider.tamperIdToken({ iat: undefined })],
    ['idtoken-sig-none', (provider) => provider.tamperIdToken({}, { as: 'none' })],
    ['nonce-invalid', (provider) => provider.tamperIdToken({ nonce: 'of another sign-in' })],
    [
      'userinfo-invalid-sub',
      (provider) => provider.set('userinfo', { rewrite: (claims) => ({ ...claims, sub: 'bob' }) }),
    ],
    ['invalid-sig-rs256', (provider) => provider.set('token', { rewrite: withBrokenSignature })],
  ])('oidcc-client-test-%s', async ([, misbehave]) => {
    misbehave(party.provider)
    await expectRefusal()
  })

  test('oidcc-client-test-kid-absent-single-jwks', async () => {
    await using single = await startRelyingParty()
    single.provider.set('jwks', { rewrite: (set) => ({ keys: rsaOnly(set as { keys: JWK[] }) }) })
    single.provider.tamperIdToken({}, { header: { kid: undefined } })
    await expectSignIn(single)
  })

  test('oidcc-client-test-kid-absent-multiple-jwks', async () => {
    await using several = await startRelyingParty()
    const further = await furtherRsaKey()
    several.provider.set('jwks', {
      rewrite: (set) => ({ keys: [...(set as { keys: JWK[] }).keys, further] }),
    })
    several.provider.tamperIdToken({}, { header: { kid: undefined } })
    await expectRefusal(several)
  })

  test('oidcc-client-test-idtoken-sig-rs256', async () => {
    party.provider.tamperIdToken({}, { as: 'provider' })
    await expectSignIn()
  })

  test('oidcc-client-test-scope-userinfo-claims', async () => {
    party.provider.forgetRequests()
    party.provider.tamperIdToken({ email: undefined, name: undefined, email_verified: undefined })
    const identity = await expectSignIn()
    expect(identity['x-auth-request-email']).toBe('alice@example.com')
    expect(identity['x-auth-request-name']).toBe('Alice Liddell')
    const [asked] = party.provider.requests('userinfo')
    expect(asked?.headers.authorization).toMatch(/^Bearer \S+$/)
    expect(party.provider.count('userinfo')).toBe(1)
  })

  test('oidcc-client-test-client-secret-basic', async () => {
    await expectSignIn()
    const sent = party.provider.requests('token').at(-1)
    const [, basic = ''] = sent?.headers.authorization?.split(' ') ?? []
    const [id = '', secret = ''] = Buffer.from(basic, 'base64').toString().split(':')
    const decode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '))
    expect([decode(id), decode(secret)]).toEqual([
      party.provider.clientId,
      party.provider.clientSecret,
    ])
    expect(sent?.body).not.toContain('client_secret')
  })
})

describe('oidcc-client-config-certification-test-plan', () => {
  test('oidcc-client-test-discovery-openid-config', async () => {
    await using fresh = await startRelyingParty()
    await expectSignIn(fresh)
    const [asked] = fresh.provider.requests('discovery')
    expect(asked?.url).toBe('/.well-known/openid-configuration')
  })

  test('oidcc-client-test-discovery-jwks-uri-keys', async () => {
    await using fresh = await startRelyingParty()
    expect(fresh.provider.count('jwks')).toBe(0)
    await expectSignIn(fresh)
    expect(fresh.provider.count('jwks')).toBe(1)
  })

  test('oidcc-client-test-discovery-issuer-mismatch', async () => {
    await using fresh = await startRelyingParty({}, {}, (provider) =>
      provider.set('discovery', {
        rewrite: (found) => ({ ...found, issuer: 'https://other.example' }),
      }),
    )
    const login = await fresh.vestibule.visitor().get(`${APP}/oauth2/login?rd=/`)
    expect(login.status).toBe(503)
    expect(fresh.provider.count('authorization')).toBe(0)
  })

  test('oidcc-client-test-idtoken-sig-none', async () => {
    party.provider.tamperIdToken({}, { as: 'none' })
    await expectRefusal()
  })

  test('oidcc-client-test-signing-key-rotation-just-before-signing', async () => {
    const { browser, callbackUrl } = await party.untilCallback()
    untilKeysMayBeFetched()
    await party.provider.rotateKeys()
    expect((await browser.get(callbackUrl)).location).toBe(`${APP}/`)
  })

  test('oidcc-client-test-signing-key-rotation', async () => {
    await expectSignIn()
    untilKeysMayBeFetched()
    await party.provider.rotateKeys({ keepOld: true })
    await expectSignIn()
  })
})

describe('oidcc-client-rp-initiated-logout-rp-basic-certification-test-plan', () => {
  const comeBackWith = async (query: string) => {
    const { browser } = await party.attempt()
    const cookie = browser.cookies.header(new URL(APP))
    const leaving = await browser.post(`${APP}/oauth2/logout`)
    expect(leaving.location).toMatch(`${party.provider.issuer}/session/end?`)
    const page = await browser.get(`${APP}/oauth2/signed-out${query}`)
    return { page, check: await party.vestibule.check({}, { Cookie: cookie }) }
  }

  test('oidcc-client-test-rp-init-logout', async () => {
    const { browser } = await party.attempt()
    const leaving = await browser.post(`${APP}/oauth2/logout`)
    const query = new URL(String(leaving.location)).searchParams
    expect(leaving.location).toMatch(`${party.provider.issuer}/session/end?`)
    expect(query.get('id_token_hint')).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    expect(query.get('post_logout_redirect_uri')).toBe(`${APP}/oauth2/signed-out`)
    const page = await browser.submit(await browser.get(String(leaving.location)), {
      logout: 'yes',
    })
    expect(page.url).toMatch(`${APP}/oauth2/signed-out`)
    expect(page.status).toBe(200)
  })

  test.for(['other-state', 'no-state'])('oidcc-client-test-rp-init-logout-%s', async (state) => {
    const { page, check } = await comeBackWith(state === 'no-state' ? '' : `?state=${state}`)
    expect([page.status, page.setCookies, check.status]).toEqual([200, [], 302])
    expect(page.body).not.toContain('other-state')
  })
})
