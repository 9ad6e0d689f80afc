import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { UnsecuredJWT } from 'jose'
import { expect, test } from 'vitest'
import { expectLogin } from '../support/refusal.ts'
import { useParty } from '../support/used-party.ts'
import { startVestibuleProcess } from '../support/vestibule-process.ts'

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

const party = useParty(testMode, {}, undefined, startVestibuleProcess)
const root = fileURLToPath(new URL('../../src/', import.meta.url))
const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => [path, withoutComments(readFileSync(`${root}${path}`, 'utf8'))] as const)
const backDoors: readonly (readonly [string, RegExp])[] = [
  ['the runtime’s environment name', /NODE_ENV|VITEST|JEST|MOCHA/],
  ['a test mode', /is_?test|test_?mode|for_?testing|testOnly|__test/i],
  ['a literal token', /eyJ[A-Za-z0-9_-]{6,}/],
  // Words of small letters alone, such as the name of a metric, are no key.
  [
    'a literal key',
    /-----BEGIN (?!CERTIFICATE)|['"`](?![a-z_-]+['"`])[A-Za-z0-9+/_-]{43}=?['"`]|['"`][0-9a-f]{64}['"`]/,
  ],
  [
    'a skipped verification',
    /rejectUnauthorized\s*:\s*false|NODE_TLS_REJECT|decodeJwt\b|UnsecuredJWT/,
  ],

  // `client.eval` runs a script of the service's own in Redis.
  ['code from text', /(?<!\.)\beval\(|new Function\(/],
]

/** The file that has to know the issuer of a token before it can verify it. */
const CHOOSES_ISSUER = 'bearer/verify-bearer.ts'

/** The files that read a token before its verification and trust nothing of it. */
const LOOKS_INSIDE: ReadonlySet<string> = new Set([
  CHOOSES_ISSUER,
  // Reads the ID token of a session, which was verified when it came, and the subject of a refreshed token, to refuse it
  // before its signature can be verified.
  'oidc/request/provider-answer.ts',
  // Reads the name of a token that an operator denies.
  'bearer/token-name.ts',
])

/** The file that reads claims behind their signature, as of an unsecured token, because jose refuses empty ones. */
const READS_VERIFIED = 'oidc/tokens/verify-jwt.ts'

/** The listener, which asks for client certificates and leaves it to each route to refuse (C63). */
const ASKS_CLIENTS = 'listener/tls-server.ts'

test('there is code to look at', () => expect(sources.length).toBeGreaterThan(40))

test.for(backDoors)('no source file has %s', ([, pattern]) => {
  const found = sources.filter(([, text]) => pattern.test(text)).map(([path]) => path)
  const known = new Set([...LOOKS_INSIDE, READS_VERIFIED, ASKS_CLIENTS])
  expect(found.filter((path) => !known.has(path))).toEqual([])
})

test('the listener leaves out the verification of clients alone', () => {
  const [, text = ''] = sources.find(([path]) => path === ASKS_CLIENTS) ?? []
  expect(text).toMatch(/requestCert: .*\n\s*rejectUnauthorized: false/)
  const doors = backDoors.filter(([, pattern]) => pattern.test(text)).map(([what]) => what)
  expect(doors).toEqual(['a skipped verification'])
})

test('the files that read a token have no other back door', () => {
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

test('the reading that chooses an issuer is followed by a verification of the same token', () => {
  const [, text = ''] = sources.find(([path]) => path === CHOOSES_ISSUER) ?? []
  expect(text.match(/decodeJwt\(/g)).toHaveLength(1)
  expect(text).toMatch(/const \{ iss \} = decodeJwt\(token\)/)
  expect(text).toMatch(/await verify\(token, \{\s*issuer,/)
})

test('claims that are read as of an unsecured token have a verified signature', () => {
  const [, text = ''] = sources.find(([path]) => path === READS_VERIFIED) ?? []
  expect(text.match(/UnsecuredJWT\./g)).toHaveLength(1)
  expect(text).toMatch(
    /\{ payload, protectedHeader \} = await compactVerify\(jwt, keySet, [^]*UnsecuredJWT/,
  )
})

test('a refreshed token that was read is verified before its claims count', () => {
  const [, text = ''] = sources.find(([path]) => path === 'oidc/refresh.ts') ?? []
  expect(text.match(/decodeClaims\(/g)).toHaveLength(2)
  expect(text).toMatch(/requireSame\(decodeClaims\(idToken\)[^]*?verifyIdToken\(\{ idToken, /)
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
])('in an apparent test mode nobody is let in by %s', async ([, headers]) => {
  expectLogin(await party.check({}, headers), 'https://app.example.com/')
  expect((await party.get('/oauth2/me', { headers })).status).toBe(401)
})

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
}
