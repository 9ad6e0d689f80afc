import { expect, test } from 'vitest'
import { digestOfParts } from '../../src/crypto/digest.ts'
import { recordKey } from '../../src/store/store.ts'
import { nowSeconds } from '../support/bearers.ts'
import { APP } from '../support/relying-party.ts'
import { cookieHeader, LOGIN, LOGOUT } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { labelled, members, words } from '../support/words.ts'

const party = useParty({ OIDC_USERINFO: 'never' })
const A_YEAR_SECONDS = 365 * 86_400

type Row = [string, Record<string, unknown> | (() => Record<string, unknown>)]

function tamper([, changes]: Row): void {
  party.provider.tamperIdToken(typeof changes === 'function' ? changes() : changes)
}

test.for<Row>([
  ['as the provider made it', () => ({})],
  ['exp with a fraction', () => ({ exp: nowSeconds() + 300.5 })],
  ['iat with a fraction', () => ({ iat: nowSeconds() - 1.5 })],
  ['exp 20 s ago, within the skew', () => ({ exp: nowSeconds() - 20 })],
  ['iat in 20 s, within the skew', () => ({ iat: nowSeconds() + 20 })],
  ['nbf in 20 s, within the skew', () => ({ nbf: nowSeconds() + 20 })],
  ['nbf in the past', () => ({ nbf: nowSeconds() - 60 })],
  ['exp in a year', () => ({ exp: nowSeconds() + A_YEAR_SECONDS })],
  ...members`aud=["vestibule"] azp="vestibule" aud=["vestibule","x"]&azp="vestibule"`,
])('A84: an ID token is accepted: %s', async (row) => {
  tamper(row)
  const { answer, identity } = await party.attempt()
  expect(answer).toMatchObject({ status: 302, location: `${APP}/` })
  expect(identity?.['x-auth-request-user']).toBe('alice')
})

test.for<Row>([
  ...members`
    aud aud="" aud=[] aud="other" aud="Vestibule" aud="vestibule\x20" aud="vestibule-admin"
    aud="vestibule,other" aud={"0":"vestibule"} aud=[["vestibule"]] aud=["vestibule","other"]
    aud=["vestibule","other"]&azp="other" azp="other" iss iss="https://evil.example" exp exp=1e300
    exp=9007199254740991 exp=null exp=-1 exp=0 nbf="now" iat iat=-1 sub sub="" sub=42 sub=0 sub=true
    sub=["alice"] sub={"admin":true} sub=null
  `,
  ['iss has a slash more', () => ({ iss: `${party.provider.issuer}/` })],
  ['iss is in capitals', () => ({ iss: party.provider.issuer.toUpperCase() })],
  ['iss is an array', () => ({ iss: [party.provider.issuer] })],
  ['exp is text', () => ({ exp: String(nowSeconds() + 300) })],
  ['exp is in eleven years', () => ({ exp: nowSeconds() + 11 * A_YEAR_SECONDS })],
  ['exp was two minutes ago', () => ({ exp: nowSeconds() - 120 })],
  ['nbf is in two minutes', () => ({ nbf: nowSeconds() + 120 })],
  ['iat is text', () => ({ iat: String(nowSeconds()) })],
  ['iat is in two minutes', () => ({ iat: nowSeconds() + 120 })],
  ['iat is far in the future, with exp', () => ({ iat: 1e299, exp: nowSeconds() + 300 })],
  ['iat was an hour ago', () => ({ iat: nowSeconds() - 3600 })],
])('A84: an ID token is refused (A35, A56): %s', async (row) => {
  tamper(row)
  // 502 where the token is no usable JWT at all, which is a fault of the provider.
  await party.expectNoSignIn([400, 502])
})

const hostile = labelled(words`
  * [a-z]?* a:b {tag} }{ a\r\nFLUSHALL\r\n "]]\x20redis.call("flushall")\x20-- a\0b ../../etc/passwd
  __proto__ constructor ålice—𝒶 ${'x'.repeat(2000)}
`)

const isControlled = ([, value]: readonly [string, string]) => /[\0\r\n]/.test(value)

test.for(hostile.filter(isControlled))('A92: as sub it signs nobody in: %s', async ([, value]) => {
  party.provider.tamperIdToken({ sub: value })
  await party.expectNoSignIn([400])
})

test.for(hostile.filter((each) => !isControlled(each)))(
  'as sub, sid and jti it is one user among others: %s',
  async ([, value]) => {
    const bystander = await party.attempt('bob')
    party.provider.tamperIdToken({ sub: value, sid: value, jti: value })
    const first = await party.attempt()
    expect(first.isSignedIn).toBe(true)
    expect(first.identity?.['x-auth-request-user']).toBe(asHeader(value))
    await first.browser.post(LOGOUT)
    expect(await party.userOf(bystander.browser)).toBe('bob')
  },
)

test.for(hostile)('A92: a used jti is refused as a replay: %s', async ([, value]) => {
  party.provider.tamperIdToken({ jti: `again ${value}` })
  expect((await party.attempt()).isSignedIn).toBe(true)
  await party.expectNoSignIn([400])
})

test('A92: jti values that differ only in where the parts end are different ones', async () => {
  for (const jti of ['1:2', '1', '2', '', ':', '1:', ':2', '1*', '1**']) {
    party.provider.tamperIdToken({ jti })
    expect((await party.attempt()).isSignedIn).toBe(true)
  }
})

test.for([...hostile, ['a megabyte', 'x'.repeat(1_000_000)]] as const)(
  'every variable part of a key is a digest of fixed length: %s',
  ([, value]) => {
    expect(digestOfParts(value, value)).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(recordKey('vestibule:', digestOfParts(value), 'identity')).toMatch(
      /^vestibule:\{[A-Za-z0-9_-]{43}\}:s$/,
    )
  },
)

test('A92: a sub of a megabyte is more than a provider may answer', async () => {
  party.provider.tamperIdToken({ sub: 's'.repeat(1_000_000) })
  await party.expectNoSignIn([502, 503])
})

test.for(['__proto__=1', 'constructor=1', 'hasOwnProperty=1', '__proto__[a]=1; toString=2'])(
  'cookies and parameters with such names change nothing: %s',
  async (pair) => {
    const { browser } = await party.attempt()
    const query = pair.replace('; ', '&')
    const Cookie = `${pair}; ${cookieHeader(browser)}`
    const { status, headers } = await party.check({ uri: `/?${query}` }, { Cookie })
    expect([status, headers.cookie]).toEqual([200, pair])
    expect((await browser.get(`${LOGIN}?${query}&rd=/`)).status).toBe(302)
  },
)

/** Control characters dropped, the rest as UTF-8 bytes, which Node shows as Latin-1. */
function asHeader(value: string): string {
  return Buffer.from(value.replaceAll(/\p{Cc}/gu, ''))
    .toString('latin1')
    .trim()
}
