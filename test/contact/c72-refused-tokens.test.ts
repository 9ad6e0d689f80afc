import { describe, expect, test } from 'vitest'
import { sendLogoutToken } from '../support/backchannel-logout.ts'
import { nowSeconds } from '../support/bearers.ts'
import { takeTime } from '../support/passing-time.ts'
import type { ClaimChanges, SignOptions } from '../support/tokens.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty({ OIDC_USERINFO: 'never' })
const time = takeTime()

const EVIL = 'https://evil.example/realms/x'
const ISSUER = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string
const ISSUER_SETTING = { setting: 'OIDC_ISSUER_URL' }
const CLIENT_SETTING = { setting: 'OIDC_CLIENT_ID' }
const KEYS = 'a key of the provider’s key set'

type Facts = Readonly<Record<string, unknown>>
type Row = readonly [string, () => ClaimChanges, Facts, SignOptions?]

/** Matches a time by our clock, a few seconds more or less. */
function clock(seconds: number, where: 'ahead of' | 'behind'): string {
  const near = [-3, -2, -1, 0, 1, 2, 3].map((more) => seconds + more).join('|')
  return expect.stringMatching(
    new RegExp(`\\b(?:${near}) s ${where} our clock.*; compare the clocks`),
  ) as string
}

const AGREED: readonly Row[] = [
  [
    'iss of another',
    () => ({ iss: EVIL }),
    { claim: 'iss', expected: ISSUER, received: EVIL, ...ISSUER_SETTING },
  ],
  ['no iss', () => ({ iss: undefined }), { claim: 'iss', received: 'none', ...ISSUER_SETTING }],
  [
    'aud of another',
    () => ({ aud: ['a', 'b'] }),
    { claim: 'aud', expected: 'vestibule', received: 'a b', ...CLIENT_SETTING },
  ],
  [
    'iat ahead',
    () => ({ iat: nowSeconds() + 120, exp: nowSeconds() + 500 }),
    { claim: 'iat', received: clock(120, 'ahead of') },
  ],
  [
    'exp behind',
    () => ({ iat: nowSeconds() - 400, exp: nowSeconds() - 100 }),
    { claim: 'exp', received: clock(400, 'behind') },
  ],
  [
    'iat as a text',
    () => ({ iat: 'now' }),
    { claim: 'iat', expected: 'a number', received: 'another value' },
  ],
  [
    'sub as a number',
    () => ({ sub: 47114711 }),
    { claim: 'sub', received: 'a value of type number' },
  ],
  [
    'another typ',
    () => ({}),
    { claim: 'typ', received: 'dpop+jwt' },
    { header: { typ: 'dpop+jwt' } },
  ],
  [
    'a typ that is a list',
    () => ({}),
    { claim: 'typ', received: 'JWT' },
    { header: { typ: ['JWT'] } },
  ],
  ['HS256', () => ({}), { claim: 'alg', received: 'HS256' }, { as: 'public-key-as-secret' }],
  [
    'an unknown key',
    () => ({}),
    { claim: 'kid', expected: KEYS, received: 'unknown' },
    { as: 'unknown-kid' },
  ],
  [
    'a stranger’s signature',
    () => ({}),
    { claim: 'signature', expected: `by ${KEYS}` },
    { as: 'stranger' },
  ],
]

describe('C72 a refused ID token is one line that names the claim', () => {
  test.for<Row>([
    ...AGREED,
    ['azp as a list', () => ({ azp: [] }), { claim: 'azp', received: 'a list' }],
    [
      'azp of another',
      () => ({ azp: 'other' }),
      { claim: 'azp', expected: 'vestibule', received: 'other', ...CLIENT_SETTING },
    ],
    [
      'a second audience',
      () => ({ aud: ['vestibule', 'x'] }),
      { claim: 'aud', received: 'vestibule x' },
    ],
    ['no sub', () => ({ sub: undefined }), { claim: 'sub', received: 'none' }],
    ['no iat', () => ({ iat: undefined }), { claim: 'iat', received: 'none' }],
    ['no exp', () => ({ exp: undefined }), { claim: 'exp', received: 'none' }],
    [
      'no nonce',
      () => ({ nonce: undefined }),
      { code: 'sign_in_failed', claim: 'nonce', received: 'none' },
    ],
    [
      'a foreign nonce',
      () => ({ nonce: 'foreign' }),
      {
        code: 'sign_in_failed',
        claim: 'nonce',
        expected: 'the nonce of this sign-in',
        received: 'another value',
      },
    ],
    [
      'an old iat',
      () => ({ iat: nowSeconds() - 4000 }),
      { claim: 'iat', received: clock(4000, 'behind') },
    ],
    [
      'nbf ahead',
      () => ({ nbf: nowSeconds() + 90 }),
      { claim: 'nbf', received: clock(90, 'ahead of') },
    ],
    [
      'exp too far away',
      () => ({ exp: 9_007_199_254_740_991 }),
      { claim: 'exp', expected: 'less than ten years after iat' },
    ],
    [
      'a sub with a line break',
      () => ({ sub: 'a\nb' }),
      { claim: 'sub', received: 'another value' },
    ],
  ])('%s', async ([, changes, facts, how]) => {
    time.pass(1000)
    party.provider.tamperIdToken(changes(), how)
    await party.expectNoSignIn()
    await expectLine('refused', facts)
  })

  const READABLE = 'the token endpoint of the provider sent an ID token that '
  test.for<[string, (token: string) => string, string]>([
    ['one part', () => 'x', 'is no JWT'],
    ['no base64', () => 'a.b.c', 'is no JWT'],
    ['a list of claims', (token) => replacePart(token, 1, '[1]'), 'is no JWT'],
    ['no header', (token) => replacePart(token, 0, 'hello'), 'is no JWT'],
    ['encrypted', () => 'a.b.c.d.e', 'is encrypted; let the provider sign it only'],
    [
      'an extension',
      (token) => replacePart(token, 0, '{"alg":"RS256","crit":["x"],"x":1}'),
      'demands an extension (crit) that is not supported',
    ],
  ])('cannot be read: %s', async ([, change, said]) => {
    time.pass(1000)
    party.replaceIdToken(change)
    const { body } = await party.expectNoSignIn([400])
    expect(body).toContain('This site is set up wrongly')
    await expectLine('refused', { endpoint: 'token_endpoint', reason: `${READABLE}${said}` })
  })

  test('signed by a stranger, without a kid', async () => {
    time.pass(1000)
    party.provider.tamperIdToken({}, { as: 'stranger', header: { kid: undefined } })
    await party.expectNoSignIn()
    await expectLine('refused', { claim: 'signature', expected: `by ${KEYS}` })
  })

  test('an authorization response with another issuer (RFC 9207)', async () => {
    const { browser, callbackUrl } = await party.untilCallback()
    const url = new URL(callbackUrl)
    url.searchParams.set('iss', EVIL)
    expect((await browser.get(url.href)).location).toBeUndefined()
    await expectLine('refused', { claim: 'iss', expected: ISSUER, received: EVIL })
  })

  test('no line has a nonce, a sub or a token in it', () =>
    expect(party.vestibule.output()).not.toMatch(/foreign|47114711|eyJ[\w-]+\./))
})

describe('C72 a refused logout token is one line that names the claim', () => {
  test.for<Row>([
    ...AGREED.filter(([name]) => name !== 'a typ that is a list'),
    ['no event', () => ({ events: undefined }), { claim: 'events' }],
    ['a nonce', () => ({ nonce: 'foreign' }), { claim: 'nonce' }],
    ['no jti', () => ({ jti: undefined }), { claim: 'jti', received: 'none' }],
  ])('%s', async ([, changes, facts, how]) => {
    time.pass(1000)
    const token = await party.provider.mintLogoutToken(changes(), how)
    expect((await sendLogoutToken(party.vestibule, token)).status).toBe(400)
    await expectLine('backchannel_logout_refused', facts)
  })
})

function replacePart(token: string, at: number, text: string): string {
  return token.split('.').with(at, Buffer.from(text).toString('base64url')).join('.')
}

async function expectLine(event: string, facts: Facts) {
  const last = () => party.vestibule.log().findLast((line) => line['event'] === event)
  await expect.poll(last).toMatchObject(facts)
}
