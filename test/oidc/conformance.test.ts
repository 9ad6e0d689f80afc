import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { describe, expect, test } from 'vitest'
import { takeTime } from '../support/passing-time.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { useParty } from '../support/used-party.ts'

/**
 * Modules of the OpenID Foundation's conformance suite for relying parties, by their ids. Others are rows of threats:
 * `userinfo-invalid-sub` of A35, `nonce-invalid` of A57, `idtoken-sig-none` and `invalid-sig-rs256` of A80, `invalid-iss`,
 * `missing-sub`, `invalid-aud` and `missing-iat` of A84, `discovery-issuer-mismatch` of A96.
 */
const time = takeTime()
const party = useParty({ OIDC_USERINFO: 'always' })

async function expectSignIn(by: RelyingParty = party): Promise<Record<string, unknown>> {
  const { answer, identity } = await by.attempt()
  expect([answer.location, identity?.['x-auth-request-user']]).toEqual([`${APP}/`, 'alice'])
  return { ...identity }
}

/** Starts a party whose provider leaves the key id out of its tokens and publishes these keys. */
async function startWithoutKeyId(change: (keys: readonly JWK[]) => readonly JWK[]) {
  const started = await startRelyingParty()
  started.provider.set('jwks', { rewrite: ({ keys }) => ({ keys: change(keys as JWK[]) }) })
  started.provider.tamperIdToken({}, { header: { kid: undefined } })
  return started
}

/** Rotates the keys after the pause behind which Vestibule fetches an unknown key again. */
function rotateKeys(how?: { keepOld: boolean }) {
  time.pass(1000)
  return party.provider.rotateKeys(how)
}

describe('oidcc-client-basic-certification-test-plan', () => {
  test('oidcc-client-test, idtoken-sig-rs256', async () => {
    const identity = await expectSignIn()
    const [authorization] = party.provider.requests('authorization').slice(-2)
    const query = new URL(authorization?.url ?? '', party.provider.issuer).searchParams
    expect(query.get('response_type')).toBe('code')
    expect(query.get('scope')?.split(' ')).toContain('openid')
    expect(query.get('nonce')).toMatch(/^[\w-]{43}$/)
    expect(query.get('code_challenge_method')).toBe('S256')
    expect(identity['x-auth-request-email']).toBe('alice@example.com')
  })

  test('oidcc-client-test-kid-absent-single-jwks', async () => {
    await using single = await startWithoutKeyId((keys) => keys.filter(({ kty }) => kty === 'RSA'))
    await expectSignIn(single)
  })

  test('oidcc-client-test-kid-absent-multiple-jwks', async () => {
    const { publicKey } = await generateKeyPair('RS256', { extractable: true })
    const further = { ...(await exportJWK(publicKey)), kid: 'further', alg: 'RS256', use: 'sig' }
    await using several = await startWithoutKeyId((keys) => [...keys, further])
    const { answer, isSignedIn, browser } = await several.attempt()
    expect([400, 502]).toContain(answer.status)
    expect([answer.setCookies, isSignedIn]).toEqual([[], false])
    expect(browser.cookies.find('__Host-vestibule')).toBeUndefined()
  })

  test('oidcc-client-test-scope-userinfo-claims', async () => {
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
    const { clientId, clientSecret } = party.provider
    expect([decode(id), decode(secret)]).toEqual([clientId, clientSecret])
    expect(sent?.body).not.toContain('client_secret')
  })
})

describe('oidcc-client-config-certification-test-plan', () => {
  test('oidcc-client-test-discovery-openid-config, discovery-jwks-uri-keys', async () => {
    await using fresh = await startRelyingParty()
    expect(fresh.provider.count('jwks')).toBe(0)
    await expectSignIn(fresh)
    expect(fresh.provider.count('jwks')).toBe(1)
    const [asked] = fresh.provider.requests('discovery')
    expect(asked?.url).toBe('/.well-known/openid-configuration')
  })

  test('oidcc-client-test-signing-key-rotation-just-before-signing', async () => {
    const { browser, callbackUrl } = await party.untilCallback()
    await rotateKeys()
    expect((await browser.get(callbackUrl)).location).toBe(`${APP}/`)
  })

  test('oidcc-client-test-signing-key-rotation', async () => {
    await expectSignIn()
    await rotateKeys({ keepOld: true })
    await expectSignIn()
  })
})
