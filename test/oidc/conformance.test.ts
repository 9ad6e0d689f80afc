import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { JWK } from 'jose'
import { describe, expect, test } from 'vitest'
import { sendLogoutToken } from '../support/backchannel-logout.ts'
import { readMetric } from '../support/outage.ts'
import { takeTime } from '../support/passing-time.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, LOGOUT } from '../support/sign-in-steps.ts'
import type { ClaimChanges, SignOptions } from '../support/tokens.ts'
import { useParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

/** The one configuration that passes every module below; docs/provider.md quotes it. */
const CERTIFICATION = {
  OIDC_TOKEN_ENDPOINT_AUTH_METHOD: 'client_secret_basic',
  OIDC_USERINFO: 'always',
  OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG: 'RS256',
} as const

/**
 * Modules of the OpenID Foundation's conformance suite for relying parties (5.2.4) by plan, each without the
 * `oidcc-client-test-` before its id.
 */
const PLANS: Readonly<Record<string, readonly string[]>> = {
  'oidcc-client-basic-certification-test-plan': words`
    oidcc-client-test invalid-iss missing-sub invalid-aud missing-iat kid-absent-single-jwks
    kid-absent-multiple-jwks idtoken-sig-rs256 idtoken-sig-none invalid-sig-rs256
    userinfo-invalid-sub nonce-invalid scope-userinfo-claims client-secret-basic
  `,
  'oidcc-client-config-certification-test-plan': words`
    discovery-openid-config discovery-jwks-uri-keys discovery-issuer-mismatch idtoken-sig-none
    signing-key-rotation-just-before-signing signing-key-rotation
  `,
  'oidcc-client-rp-initiated-logout-rp-basic': words`
    rp-init-logout rp-init-logout-other-state rp-init-logout-no-state
  `,
  'oidcc-client-back-channel-logout-rp-basic': words`
    rp-backchannel-rpinitlogout rp-backchannel-rpinitlogout-alg-none
    rp-backchannel-rpinitlogout-no-event rp-backchannel-rpinitlogout-with-nonce
    rp-backchannel-rpinitlogout-wrong-alg rp-backchannel-rpinitlogout-wrong-aud
    rp-backchannel-rpinitlogout-wrong-event rp-backchannel-rpinitlogout-wrong-iss
  `,
  'oidcc-client-refreshtoken-test-plan': words`
    refresh-token refresh-token-invalid-issuer refresh-token-invalid-sub
  `,
}

const time = takeTime()
const party = useParty(CERTIFICATION)
const EVIL = 'https://evil.example'
const ISSUER = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string
const SIGNED_OUT = `${APP}/oauth2/signed-out`

type Facts = Readonly<Record<string, unknown>>

/** Proves, module by module, that Vestibule shows what it must. */
const PROOFS: Readonly<Record<string, () => Promise<unknown>>> = {
  'oidcc-client-test': async () => {
    await expectSignIn()
    const [authorization] = party.provider.requests('authorization').slice(-2)
    const query = new URL(authorization?.url ?? '', party.provider.issuer).searchParams
    expect(query.get('response_type')).toBe('code')
    expect(query.get('scope')?.split(' ')).toContain('openid')
    expect(query.get('nonce')).toMatch(/^[\w-]{43}$/)
    expect(query.get('code_challenge_method')).toBe('S256')
  },
  'invalid-iss': () =>
    expectRefused({ iss: EVIL }, { claim: 'iss', expected: ISSUER, received: EVIL }),
  'missing-sub': () => expectRefused({ sub: undefined }, { claim: 'sub', received: 'none' }),
  'invalid-aud': () =>
    expectRefused({ aud: 'other' }, { claim: 'aud', expected: 'vestibule', received: 'other' }),
  'missing-iat': () => expectRefused({ iat: undefined }, { claim: 'iat', received: 'none' }),
  'kid-absent-single-jwks': () =>
    expectSignInWithoutKid((keys) => keys.filter(({ kty }) => kty === 'RSA')),
  'kid-absent-multiple-jwks': () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const further = { ...publicKey.export({ format: 'jwk' }), kid: 'x', alg: 'RS256', use: 'sig' }
    return expectSignInWithoutKid((keys) => [further, ...keys])
  },
  'idtoken-sig-rs256': () => expectSignIn(),
  'idtoken-sig-none': () =>
    expectRefused({}, { claim: 'alg', expected: 'RS256', received: 'none' }, { as: 'none' }),
  'invalid-sig-rs256': () => {
    time.pass(1000)
    return expectRefused({}, { claim: 'signature' }, { as: 'stranger' })
  },
  'userinfo-invalid-sub': async () => {
    party.provider.set('userinfo', { rewrite: (body) => ({ ...body, sub: 'eve' }) })
    await party.expectNoSignIn()
  },
  'nonce-invalid': async () => {
    await expectRefused({ nonce: 'of-another-login' }, { claim: 'nonce' })
    expect(party.vestibule.output()).not.toContain('of-another-login')
  },
  'scope-userinfo-claims': async () => {
    party.provider.tamperIdToken({ email: undefined, name: undefined, email_verified: undefined })
    expect(await expectSignIn()).toMatchObject({
      'x-auth-request-email': 'alice@example.com',
      'x-auth-request-name': 'Alice Liddell',
    })
    const [asked] = party.provider.requests('userinfo')
    expect(asked?.headers.authorization).toMatch(/^Bearer \S+$/)
    expect(party.provider.count('userinfo')).toBe(1)
  },
  'client-secret-basic': async () => {
    await expectSignIn()
    const sent = party.provider.requests('token').at(-1)
    const [, basic = ''] = sent?.headers.authorization?.split(' ') ?? []
    const [id = '', secret = ''] = Buffer.from(basic, 'base64').toString().split(':')
    const decode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '))
    const { clientId, clientSecret } = party.provider
    expect([decode(id), decode(secret)]).toEqual([clientId, clientSecret])
    expect(sent?.body).not.toContain('client_secret')
  },
  'discovery-openid-config': async () => {
    await using fresh = await startRelyingParty(CERTIFICATION)
    await expectSignIn(fresh)
    const [asked] = fresh.provider.requests('discovery')
    expect(asked?.url).toBe('/.well-known/openid-configuration')
  },
  'discovery-jwks-uri-keys': async () => {
    await using fresh = await startRelyingParty(CERTIFICATION)
    expect(fresh.provider.count('jwks')).toBe(0)
    await expectSignIn(fresh)
    expect(fresh.provider.count('jwks')).toBe(1)
  },
  'discovery-issuer-mismatch': async () => {
    await using other = await startRelyingParty(CERTIFICATION, {}, (provider) =>
      provider.set('discovery', { rewrite: (metadata) => ({ ...metadata, issuer: EVIL }) }),
    )
    const { status } = await other.vestibule.visitor().get(`${APP}/oauth2/login?rd=/`)
    expect([status, other.provider.count('authorization')]).toEqual([503, 0])
    await expectLine('provider_discovery_failed', { issuer: other.provider.issuer }, other)
  },
  'signing-key-rotation-just-before-signing': async () => {
    const { browser, callbackUrl } = await party.untilCallback()
    await party.provider.rotateKeys()
    expect((await browser.get(callbackUrl)).location).toBe(`${APP}/`)
  },
  'signing-key-rotation': async () => {
    await expectSignIn()
    await party.provider.rotateKeys({ keepOld: true })
    await expectSignIn()
  },
  'rp-init-logout': () => expectSignedOut((state) => `?state=${state}`),
  'rp-init-logout-other-state': () => expectSignedOut(() => '?state=another'),
  'rp-init-logout-no-state': () => expectSignedOut(() => ''),
  'rp-backchannel-rpinitlogout': async () => {
    const { cookie, status } = await sendLogout()
    expect([status, await party.userOf(cookie)]).toEqual([200, 302])
  },
  'rp-backchannel-rpinitlogout-alg-none': () =>
    expectLogoutRefused({}, { reason: 'The logout token is not a signed JWT.' }, { as: 'none' }),
  'rp-backchannel-rpinitlogout-no-event': () =>
    expectLogoutRefused({ events: undefined }, { claim: 'events' }),
  'rp-backchannel-rpinitlogout-with-nonce': () =>
    expectLogoutRefused({ nonce: 'n' }, { claim: 'nonce' }),
  'rp-backchannel-rpinitlogout-wrong-alg': () =>
    expectLogoutRefused({}, { claim: 'alg', received: 'ES256' }, { as: 'provider-es256' }),
  'rp-backchannel-rpinitlogout-wrong-aud': () =>
    expectLogoutRefused({ aud: 'other' }, { claim: 'aud', received: 'other' }),
  'rp-backchannel-rpinitlogout-wrong-event': () =>
    expectLogoutRefused(
      { events: { 'http://schemas.openid.net/event/x': {} } },
      { claim: 'events' },
    ),
  'rp-backchannel-rpinitlogout-wrong-iss': () =>
    expectLogoutRefused({ iss: EVIL }, { claim: 'iss', expected: ISSUER, received: EVIL }),
  'refresh-token': async () => {
    const cookie = await refreshWith({})
    await expect.poll(() => refreshes('refreshed')).toBe(1)
    expect(party.provider.requests('userinfo').at(-1)?.headers.authorization).toMatch(/^Bearer /)
    expect(await party.userOf(cookie)).toBe('alice')
  },
  'refresh-token-invalid-issuer': () => expectRefreshRejected({ iss: EVIL }, 'iss'),
  'refresh-token-invalid-sub': () => expectRefreshRejected({ sub: 'eve' }, 'sub'),
}

describe.for(Object.entries(PLANS))('%s', ([, modules]) => {
  test.for([...modules])('%s shows what it must', async (name) => {
    expect(Object.keys(PROOFS)).toContain(name)
    await PROOFS[name]?.()
  })
})

test('docs/provider.md quotes the configuration that passes', () => {
  const [, section = ''] = readFileSync('docs/provider.md', 'utf8').split('\n## Certification\n')
  const quoted = [...section.matchAll(/^([A-Z_]+)=(\S+)$/gm)].map(([, name, value]) => [
    name,
    value,
  ])
  expect(Object.fromEntries(quoted)).toEqual(CERTIFICATION)
})

async function expectSignIn(by: RelyingParty = party): Promise<Record<string, unknown>> {
  const { answer, identity } = await by.attempt()
  expect([answer.location, identity?.['x-auth-request-user']]).toEqual([`${APP}/`, 'alice'])
  return { ...identity }
}

/** Asserts that a changed ID token makes no session, and that the log names the claim. */
async function expectRefused(changes: ClaimChanges, facts: Facts, how?: SignOptions) {
  party.provider.tamperIdToken(changes, how)
  await party.expectNoSignIn()
  await expectLine('refused', facts)
}

async function expectLine(event: string, facts: Facts, by: RelyingParty = party) {
  await expect
    .poll(() => by.vestibule.log().findLast((line) => line['event'] === event))
    .toMatchObject(facts)
}

/** Signs in with a token without a key id, with these keys published. */
async function expectSignInWithoutKid(change: (keys: readonly JWK[]) => readonly JWK[]) {
  await using other = await startRelyingParty(CERTIFICATION)
  other.provider.set('jwks', { rewrite: ({ keys }) => ({ keys: change(keys as JWK[]) }) })
  other.provider.tamperIdToken({}, { header: { kid: undefined } })
  await expectSignIn(other)
}

/** Signs out at the provider, which leads back with the query that `queryOf` makes of the state. */
async function expectSignedOut(queryOf: (state: string | null) => string) {
  const { browser } = await party.attempt()
  const cookie = cookieHeader(browser)
  const leaving = new URL((await browser.post(LOGOUT)).location ?? '')
  expect(leaving.origin).toBe(party.provider.issuer)
  expect(leaving.searchParams.get('post_logout_redirect_uri')).toBe(SIGNED_OUT)
  const back = await browser.get(SIGNED_OUT + queryOf(leaving.searchParams.get('state')))
  expect([back.status, await party.userOf(cookie)]).toEqual([200, 302])
  expect(back.body).toContain('You are signed out')
}

async function sendLogout(changes: ClaimChanges = {}, how?: SignOptions) {
  const sid = crypto.randomUUID()
  party.provider.tamperIdToken({ sid })
  const cookie = cookieHeader((await party.attempt()).browser)
  const token = await party.provider.mintLogoutToken({ sid, ...changes }, how)
  return { cookie, status: (await sendLogoutToken(party.vestibule, token)).status }
}

async function expectLogoutRefused(changes: ClaimChanges, facts: Facts, how?: SignOptions) {
  const { cookie, status } = await sendLogout(changes, how)
  expect([status, await party.userOf(cookie)]).toEqual([400, 'alice'])
  await expectLine('backchannel_logout_refused', facts)
}

/** Starts the refresh of a session whose access token has ended, and returns its cookie. */
async function refreshWith(changes: ClaimChanges) {
  const ended = { rewrite: (body: object) => ({ ...body, expires_in: 0 }) }
  party.provider.set('token', ended)
  const { browser, callbackUrl } = await party.untilCallback()
  await browser.get(callbackUrl)
  party.provider.tamperIdToken(changes)
  const cookie = cookieHeader(browser)
  expect(await party.userOf(cookie)).toBe('alice')
  return cookie
}

async function expectRefreshRejected(changes: ClaimChanges, claim: string) {
  const cookie = await refreshWith(changes)
  await expect.poll(() => party.userOf(cookie)).toBe(302)
  const reason = expect.stringMatching(new RegExp(`\\b${claim}: expected `)) as string
  await expectLine('session_not_refreshed', { result: 'rejected', reason })
}

function refreshes(result: string): Promise<number | undefined> {
  return readMetric(party.vestibule, `vestibule_refreshes_total{result="${result}"}`)
}
