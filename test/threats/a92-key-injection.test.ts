import { describe, expect, test } from 'vitest'
import { digestOfParts } from '../../src/crypto/digest.ts'
import { recordKey } from '../../src/store/store.ts'
import { cookieHeader, LOGIN, LOGOUT } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty({
  OIDC_USERINFO: 'never',
  IDENTITY_HEADERS: 'X-Proto=__proto__,X-Maker=constructor,X-Deep=a.__proto__.b',
})

const hostile: readonly [string, string][] = [
  ['a wildcard', '*'],
  ['a pattern', '[a-z]?*'],
  ['the separator of keys', 'a:b'],
  ['a hash tag', '{tag}'],
  ['braces the wrong way round', '}{'],
  ['a line break and a command', 'a\r\nFLUSHALL\r\n'],
  ['the end of a Lua string', '"]] redis.call("flushall") --'],
  ['NUL', 'a\0b'],
  ['a path', '../../etc/passwd'],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  ['letters beyond ASCII', 'ålice—𝒶'],
  ['2000 characters', 'x'.repeat(2000)],
]

describe('A92 key and pattern injection', () => {
  const isControlled = ([, value]: readonly [string, string]) => /[\0\r\n]/.test(value)

  test.for(hostile.filter(isControlled))('as sub it signs nobody in: %s', async ([, value]) => {
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

  test.for(hostile)('a used jti is refused as a replay: %s', async ([name, value]) => {
    party.provider.tamperIdToken({ jti: `${name} ${value}` })
    expect((await party.attempt()).isSignedIn).toBe(true)
    await party.expectNoSignIn([400])
  })

  test('jti values that differ only in where the parts end are different ones', async () => {
    for (const jti of ['1:2', '1', '2', '', ':', '1:', ':2', '1*', '1**']) {
      party.provider.tamperIdToken({ jti })
      expect((await party.attempt()).isSignedIn).toBe(true)
    }
    expect(digestOfParts('a', 'bc')).not.toBe(digestOfParts('ab', 'c'))
    expect(digestOfParts('a', '')).not.toBe(digestOfParts('', 'a'))
  })

  test.for([...hostile, ['a megabyte', 'x'.repeat(1_000_000)]] as const)(
    'every variable part of a key is a digest of fixed length: %s',
    ([, value], { expect }) => {
      expect(digestOfParts(value, value)).toMatch(/^[A-Za-z0-9_-]{43}$/)
      expect(recordKey('vestibule:', digestOfParts(value), 'identity')).toMatch(
        /^vestibule:\{[A-Za-z0-9_-]{43}\}:s$/,
      )
    },
  )

  test('a sub of 100 KB signs in and is then too large for the headers, which says so', async () => {
    party.provider.tamperIdToken({ sub: 's'.repeat(100_000) })
    const { browser, answer } = await party.attempt()
    expect(answer.status).toBe(302)
    const check = await party.checkWith(browser)
    expect(check.status).toBe(403)
    expect(check.body).toContain('IDENTITY_HEADERS_MAX_BYTES')
    expect(check.body).not.toContain('ssssssssss')
    expect(check.headers['x-auth-request-user']).toBeUndefined()
  })

  test('a sub of a megabyte is more than a provider may answer', async () => {
    party.provider.tamperIdToken({ sub: 's'.repeat(1_000_000) })
    await party.expectNoSignIn([502, 503])
  })

  test('a claim named __proto__ gives nobody anything', async () => {
    const claims: Record<string, unknown> = {
      ['__proto__']: { email: 'root@example.com', name: 'root', x: 'y' },
    }
    expect(Object.keys(claims)).toEqual(['__proto__'])
    party.provider.tamperIdToken({ ...claims, email: undefined, name: undefined, jti: undefined })
    const { identity } = await party.attempt()
    const none = { 'x-auth-request-email': '', 'x-auth-request-name': '' }
    expect(identity).toMatchObject({ ...none, 'x-maker': '', 'x-deep': '' })
    party.provider.reset()
    const other = await party.attempt('bob')
    expect(other.identity).toMatchObject({ 'x-proto': '', 'x-auth-request-user': 'bob' })
  })

  test.for(['*', '__proto__', 'constructor', '{app.example.com}', 'app.example.com:*', 'app\0'])(
    'a host of this name is not found among the protected ones: %j',
    async (host) => {
      const { status, headers, location } = await party.check({ host: host.replace('\0', '%00') })
      expect([status, headers['cache-control'], location]).toEqual([400, 'no-store', undefined])
    },
  )

  test.for(['v1.*.*', 'v1.{a}.{a}', 'v1.__proto__.__proto__', '__proto__', 'v1..', '*'])(
    'a session cookie of this form is no session: %s',
    async (value) => expect(await party.userOf(`__Host-vestibule=${value}`)).toBe(302),
  )

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
})

/** Control characters dropped, the rest as UTF-8 bytes, which Node shows as Latin-1. */
function asHeader(value: string): string {
  return Buffer.from(value.replaceAll(/\p{Cc}/gu, ''))
    .toString('latin1')
    .trim()
}
