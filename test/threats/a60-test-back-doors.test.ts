import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { expectLogin } from '../support/refusal.ts'
import { type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { startVestibuleProcess } from '../support/vestibule-process.ts'

let party: RelyingParty

/** Everything that has switched some service into a test mode. */
const testMode = {
  NODE_ENV: 'test',
  VITEST: 'true',
  JEST_WORKER_ID: '1',
  CI: 'true',
  TEST: '1',
  TEST_MODE: 'true',
  DEBUG: '*',
  INSECURE: 'true',
  SKIP_AUTH: 'true',
  DISABLE_AUTH: 'true',
}

beforeAll(async () => {
  party = await startRelyingParty(testMode, {}, undefined, startVestibuleProcess)
})
afterAll(() => party[Symbol.asyncDispose]())

const root = fileURLToPath(new URL('../../src/', import.meta.url))
const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => [path, withoutComments(readFileSync(`${root}${path}`, 'utf8'))] as const)

const backDoors: readonly (readonly [string, RegExp])[] = [
  ['the runtime’s environment name', /NODE_ENV|VITEST|JEST|MOCHA/],
  ['a test mode', /is_?test|test_?mode|for_?testing|testOnly|__test/i],
  ['a literal token', /eyJ[A-Za-z0-9_-]{6,}/],
  ['a literal key', /-----BEGIN|['"`][A-Za-z0-9+/_-]{43}=?['"`]|['"`][0-9a-f]{64}['"`]/],
  [
    'a skipped verification',
    /rejectUnauthorized\s*:\s*false|NODE_TLS_REJECT|decodeJwt\b|UnsecuredJWT/,
  ],
  // `client.eval` runs a script of ours in Redis.
  ['code from text', /(?<!\.)\beval\(|new Function\(/],
]

/** Which of the trusted issuers a token is of must be known before it can be verified. */
const CHOOSES_ISSUER = 'oidc/bearer.ts'
/** Looks into tokens from which nothing is believed that was not verified. */
const LOOKS_INSIDE: ReadonlySet<string> = new Set([
  CHOOSES_ISSUER,
  // The ID token of a session, which was verified when it came.
  'oidc/end-session.ts',
  // The same, and who a refreshed one is about, to refuse it sooner than its signature can be looked at.
  'oidc/refresh.ts',
  // The name of a token that an operator denies.
  'oidc/token-name.ts',
])

describe('A60 test back doors', () => {
  test('there is code to look at', () => {
    expect(sources.length).toBeGreaterThan(40)
  })

  test.for(backDoors)('no source file has %s', ([, pattern]) => {
    const found = sources.filter(([, text]) => pattern.test(text)).map(([path]) => path)
    expect(found.filter((path) => !LOOKS_INSIDE.has(path))).toEqual([])
  })

  test('who looks inside has no other back door', () => {
    const others = backDoors.filter(([what]) => what !== 'a skipped verification')
    const lookers = sources.filter(([path]) => LOOKS_INSIDE.has(path))
    expect(lookers).toHaveLength(LOOKS_INSIDE.size)
    for (const [path, text] of lookers) {
      expect(text, path).toContain('decodeJwt(')
      expect(
        others.filter(([, pattern]) => pattern.test(text)),
        path,
      ).toEqual([])
    }
  })

  test('the look that chooses an issuer is followed by a verification of the same token', () => {
    const [, text = ''] = sources.find(([path]) => path === CHOOSES_ISSUER) ?? []
    expect(text.match(/decodeJwt\(/g)).toHaveLength(1)
    expect(text).toMatch(/const \{ iss \} = decodeJwt\(token\)/)
    expect(text).toMatch(/jwtVerify\(token, keys, \{\s*issuer,/)
  })

  test('a refreshed token that was looked into is verified before its claims count', () => {
    const [, text = ''] = sources.find(([path]) => path === 'oidc/refresh.ts') ?? []
    expect(text.match(/decodeJwt\(/g)).toHaveLength(2)
    expect(text).toMatch(/requireSame\(decodeJwt\(idToken\)[^]*?verifyIdToken\(idToken, /)
  })

  test('only the process itself reads its arguments and environment', () => {
    const readers = sources
      .filter(([, text]) => /process\.(?:argv|env|execArgv)\b/.test(text))
      .map(([path]) => path)
    expect(readers).toEqual(['main.ts'])
  })

  const seedPrefix = 'eyJhbGciOiJSUzI1NiIsImtpZCI6InRlc3Qta2V5LWlkIiwidHlwIjoiSldUIn0'
  const unsecured = new UnsecuredJWT({ sub: 'alice', email: 'alice@example.com' }).encode()
  test.for<[string, Record<string, string>]>([
    ['the seed’s test key id as a bearer', { Authorization: `Bearer ${seedPrefix}.e30.x` }],
    ['an unsecured bearer', { Authorization: `Bearer ${unsecured}` }],
    ['a test bearer', { Authorization: 'Bearer test' }],
    ['basic test:test', { Authorization: `Basic ${Buffer.from('test:test').toString('base64')}` }],
    ['a test cookie', { Cookie: '__Host-vestibule=test' }],
    ['an all-zero cookie', { Cookie: `__Host-vestibule=v1.${'0'.repeat(43)}.${'0'.repeat(43)}` }],
    ['an all-A cookie', { Cookie: `__Host-vestibule=v1.${'A'.repeat(43)}.${'A'.repeat(43)}` }],
    ['a token as a cookie', { Cookie: `__Host-vestibule=${seedPrefix}.e30.x` }],
    ['a test agent', { 'User-Agent': 'test', 'X-Test-User': 'alice', 'X-Test-Mode': '1' }],
  ])('in what looks like a test nobody is let in by %s', async ([, headers]) => {
    expectLogin(await party.vestibule.check({}, headers), 'https://app.example.com/')
    const me = await party.vestibule.visitor().get('https://app.example.com/oauth2/me', { headers })
    expect(me.status).toBe(401)
  })

  test.for(['none', 'stranger', 'public-key-as-secret'] as const)(
    'in what looks like a test an ID token signed by %s is refused',
    async (as) => {
      party.provider.tamperIdToken({}, { as })
      const { isSignedIn } = await party.attempt()
      party.provider.reset()
      expect(isSignedIn).toBe(false)
    },
  )

  const good = {
    PROTECTED_HOSTS: 'app.example.com',
    ALLOW_ANY_USER: 'true',
    OIDC_ISSUER_URL: 'https://id.example.com',
    OIDC_CLIENT_ID: 'vestibule',
  }
  test.for([
    'test',
    'changeme',
    'secret',
    '0'.repeat(64),
    'A'.repeat(44),
    Buffer.from('short').toString('base64'),
  ])('a default or short secret does not start: %s', (key) => {
    expect(() => loadConfig({ ...good, SESSION_ENCRYPTION_KEY: key })).toThrow(
      /SESSION_ENCRYPTION_KEY/,
    )
  })

  test('the legitimate twins start and are signed in', async () => {
    const key = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')
    expect(loadConfig({ ...good, SESSION_ENCRYPTION_KEY: key }).keys).toHaveLength(1)
    expect((await party.attempt()).isSignedIn).toBe(true)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
}
