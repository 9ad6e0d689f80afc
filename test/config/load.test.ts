import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/load.ts'
import { durationOf } from '../../src/config/settings/setting-kinds.ts'
import {
  formatValue,
  type SettingName,
  settings as schema,
} from '../../src/config/settings/settings.ts'
import { createAccessFinder } from '../../src/core/access-rule.ts'
import { parseForwardedRequest } from '../../src/core/forwarded-request.ts'
import { createSites } from '../../src/core/site.ts'
import { anyText } from '../support/any-text.ts'
import { forwarded, rawRequest } from '../support/raw-request.ts'

const SECRET = 'the-client-secret-nobody-prints'
const base = {
  PROTECTED_HOSTS: 'app.example.com',
  ALLOW_ANY_USER: 'true',
  OIDC_ISSUER_URL: 'https://id.example.com',
  OIDC_CLIENT_ID: 'vestibule',
  OIDC_CLIENT_SECRET: SECRET,
} as const satisfies Environment

/** What is wrong with a configuration; nothing when it can be used. */
const problemsOf = (environment: Environment): readonly string[] => {
  try {
    loadConfig(environment)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}
const problemsWith = (changes: Environment) => problemsOf({ ...base, ...changes })

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vestibule-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

let files = 0
const write = async (text: string): Promise<string> => {
  files += 1
  const path = join(folder, `file-${files}`)
  await writeFile(path, text)
  return path
}
const withFile = async (yaml: string, changes: Environment = {}): Promise<Environment> => ({
  ...base,
  ALLOW_ANY_USER: '',
  VESTIBULE_CONFIG: await write(yaml),
  ...changes,
})

describe('a configuration that can be used', () => {
  test('the least one has defaults for the rest', () => {
    const config = loadConfig(base)
    expect(config.settings).toMatchObject({
      BASE_PATH: '/oauth2',
      PORT: 4180,
      INTERNAL_PORT: 4181,
      DRAIN_SECONDS: durationOf(5),
      SESSION_MAX_AGE: durationOf(86_400),
      SESSION_IDLE_TIMEOUT: durationOf(0),
      SESSION_REFRESH_GRACE: durationOf(3600),
      SIGN_IN_CONCURRENCY: 50,
      REDIS_ENABLED: false,
      REDIS_CACHE_MODE: 'redis',
      REDIS_DB: 0,
      REDIS_KEY_PREFIX: 'vestibule:',
      REDIS_CONNECT_TIMEOUT: durationOf(5),
      REDIS_READ_TIMEOUT: durationOf(3),
      REDIS_WRITE_TIMEOUT: durationOf(3),
      CHECK_STORE_TIMEOUT_MS: 250,
      REDIS_POOL_SIZE: 10,
      REDIS_ENABLE_TLS: false,
      REDIS_TLS_SKIP_VERIFY: false,
      REDIS_HYBRID_L1_SIZE: 500,
      REDIS_HYBRID_L1_MEMORY_MB: 10,
      REDIS_HYBRID_L1_TTL: durationOf(5),
      SESSION_OUTAGE_GRACE: durationOf(300),
      REDIS_ENABLE_CIRCUIT_BREAKER: true,
      REDIS_CIRCUIT_BREAKER_THRESHOLD: 5,
      REDIS_CIRCUIT_BREAKER_TIMEOUT: durationOf(60),
      REDIS_ENABLE_HEALTH_CHECK: true,
      REDIS_HEALTH_CHECK_INTERVAL: durationOf(30),
      ADMIN_TOKEN: undefined,
      COOKIE_NAME: 'vestibule',
      COOKIE_SAMESITE: 'lax',
      ALIAS_HEADERS: 'reject',
      IDENTITY_HEADERS_MAX_BYTES: 8192,
      PASS_ACCESS_TOKEN: false,
      OIDC_SCOPES: 'openid profile email',
      OIDC_USERINFO: 'auto',
      OIDC_LOGOUT_TOKEN_TYPE: 'logout+jwt',
      LOG_LEVEL: 'info',
      ALLOW_ANY_USER: true,
    })
    expect(config.publicSite).toBeUndefined()
    expect(config.keys).toBeUndefined()
    expect(config.keyFile).toBeUndefined()
    expect(config.redis).toBeUndefined()
    expect(config.hosts).toEqual([
      { scheme: 'https', hostname: 'app.example.com', port: '', isWildcard: false },
    ])
    expect(config.identityHeaders.map(({ name }) => name)).toHaveLength(5)
  })

  test.for<[SettingName, number, number]>([
    ['REDIS_HYBRID_L1_SIZE', 1, 1_000_000],
    ['REDIS_HYBRID_L1_MEMORY_MB', 1, 10_000],
    ['REDIS_HYBRID_L1_TTL', 1, 30],
    ['SESSION_OUTAGE_GRACE', 0, 900],
    ['REDIS_CIRCUIT_BREAKER_THRESHOLD', 1, 1000],
    ['REDIS_CIRCUIT_BREAKER_TIMEOUT', 1, 3600],
    ['REDIS_HEALTH_CHECK_INTERVAL', 1, 3600],
  ])('%s goes from %i to %i', ([name, least, most], { expect }) => {
    for (const value of [least, most]) {
      const { settings } = loadConfig({ ...base, [name]: `${value}` })
      expect(formatValue(settings[name])).toBe(`${value}`)
    }
  })

  test('circuit breakers and health checks can be switched off', () => {
    const off = { REDIS_ENABLE_CIRCUIT_BREAKER: 'false', REDIS_ENABLE_HEALTH_CHECK: 'False' }
    expect(loadConfig({ ...base, ...off }).settings).toMatchObject({
      REDIS_ENABLE_CIRCUIT_BREAKER: false,
      REDIS_ENABLE_HEALTH_CHECK: false,
    })
  })

  test('lists are separated by commas or lines, blanks and empty entries aside', () => {
    const { hosts } = loadConfig({ ...base, PROTECTED_HOSTS: ' a.test ,\n b.test,,\n\n*.c.test ' })
    expect(hosts.map(({ hostname }) => hostname)).toEqual(['a.test', 'b.test', 'c.test'])
  })

  test('an empty value is as good as none', () => {
    const empty = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, '']))
    expect(loadConfig({ ...empty, ...base })).toEqual(loadConfig(base))
  })

  test('a public address is an origin, written plainly', () => {
    const shared = { COOKIE_DOMAIN: 'example.com' }
    for (const url of [
      'https://auth.example.com',
      'https://auth.example.com/',
      'https://AUTH.example.com:443',
    ]) {
      expect(loadConfig({ ...base, ...shared, PUBLIC_URL: url }).publicSite?.origin).toBe(
        'https://auth.example.com',
      )
    }
    const own = { PUBLIC_URL: 'https://app.example.com' }
    expect(loadConfig({ ...base, ...own }).publicSite?.host).toBe('app.example.com')
  })

  test('further headers come after the fixed ones', () => {
    const { identityHeaders } = loadConfig({
      ...base,
      IDENTITY_HEADERS: 'Remote-User=sub,X-Roles=realm_access.roles',
    })
    expect(identityHeaders.slice(5)).toEqual([
      { name: 'Remote-User', claim: 'sub' },
      { name: 'X-Roles', claim: 'realm_access.roles' },
    ])
  })

  test('flags are true and false in any case', () => {
    expect(loadConfig({ ...base, PASS_ACCESS_TOKEN: 'TRUE' }).settings.PASS_ACCESS_TOKEN).toBe(true)
    expect(loadConfig({ ...base, PASS_ACCESS_TOKEN: 'False' }).settings.PASS_ACCESS_TOKEN).toBe(
      false,
    )
  })

  test.for<[string, Environment]>([
    [
      'http on this machine',
      { PROTECTED_HOSTS: 'http://app.localhost:8080,http://127.0.0.1:8080' },
    ],
    [
      'http where it is allowed',
      { PROTECTED_HOSTS: 'http://app.test', ALLOW_INSECURE_HTTP: 'true' },
    ],
    ['a provider on this machine', { OIDC_ISSUER_URL: 'http://localhost:9000' }],
    ['an issuer with a path', { OIDC_ISSUER_URL: 'https://id.example.com/realms/a' }],
    ['no client secret', { OIDC_CLIENT_SECRET: '' }],
    ['a public client', { OIDC_CLIENT_SECRET: '', OIDC_TOKEN_ENDPOINT_AUTH_METHOD: 'none' }],
    ['no idle time', { SESSION_IDLE_TIMEOUT: '0' }],
    ['the shortest idle time', { SESSION_IDLE_TIMEOUT: '60' }],
    ['any port', { PORT: '0', INTERNAL_PORT: '65535' }],
    ['a deep base path', { BASE_PATH: '/account/sign-in' }],
    ['users by name', { ALLOW_ANY_USER: '', ALLOWED_EMAILS: 'alice@example.com' }],
    ['users by domain', { ALLOW_ANY_USER: '', ALLOWED_EMAIL_DOMAINS: 'example.com' }],
    ['users by group', { ALLOW_ANY_USER: 'false', ALLOWED_GROUPS: 'admins' }],
    ['Redis switched off', { REDIS_ENABLED: 'false' }],
    ['what belongs to other software', { PATH: '/bin', NODE_ENV: 'production', VESTIBULE: 'x' }],
  ])('%s is taken', ([, changes], { expect }) => {
    expect(problemsWith(changes)).toEqual([])
  })
})

describe('a bad value', () => {
  const rows: readonly (readonly [name: string, values: readonly string[], remedy: RegExp])[] = [
    [
      'PUBLIC_URL',
      [
        'auth.example.com',
        'https://auth.example.com/path',
        'https://auth.example.com?x',
        'ftp://x',
        'https://u:p@x',
        'https://',
      ],
      /origin such as https:\/\/auth\.example\.com; a path goes into BASE_PATH/,
    ],
    [
      'BASE_PATH',
      ['oauth2', '/', '/OAuth2', '/a/', '/a//b', '/a b', '/ä', '/..', '/a?b', '/%61'],
      /lower-case path such as \/oauth2/,
    ],
    [
      'PROTECTED_HOSTS',
      [
        'https://app.example.com/',
        'app.*.com',
        '*',
        'ä.example',
        'user@app.example.com',
        '[::1]',
        'app.example.com:99999',
      ],
      /of the form app\.example\.com, \*\.example\.com or http:\/\/app\.localhost:8080/,
    ],
    ['PROTECTED_HOSTS', ['http://app.example.com'], /use https, or set ALLOW_INSECURE_HTTP=true/],
    ['PROTECTED_HOSTS', ['', ',', ' '], /is empty\. Name the hosts to protect/],
    [
      'TRUSTED_PROXIES',
      ['localhost', '10.0.0.0/33', '10.0.0.0/8;::1'],
      /write 10\.0\.0\.0\/8 or a single address/,
    ],
    ['ALIAS_HEADERS', ['allow', 'REJECT'], /"reject"\|"ignore"/],
    [
      'PUBLIC_PATHS',
      ['public/**', '/public*', '/a/**/b/**', '/a?b'],
      /path pattern starts with|whole segments|may occur once|written decoded and plain/,
    ],
    [
      'IDENTITY_HEADERS',
      ['Remote-User', 'Remote User=sub', '=sub', 'Remote-User=', 'Remote_User=sub', 'X:Y=sub'],
      /of the form Remote-User=sub/,
    ],
    [
      'IDENTITY_HEADERS',
      [
        'Cookie=sub',
        'authorization=sub',
        'Content-Length=sub',
        'Location=sub',
        'X-Forwarded-Host=sub',
        'X-Auth-Request-User=email',
        'Set-Cookie=sub',
        'Host=sub',
      ],
      /a header name that is free to use/,
    ],
    [
      'IDENTITY_HEADERS_MAX_BYTES',
      ['0', '255', '32769', '8k', '-1', '1e3', '8192.5'],
      /between 256 and 32768|whole number/,
    ],
    [
      'OIDC_ISSUER_URL',
      ['', undefined as never],
      /is missing\. Issuer URL, exactly as the provider writes it/,
    ],
    [
      'OIDC_ISSUER_URL',
      ['id.example.com', 'https://id.example.com/?a=b', 'https://id.example.com/#a', 'ldap://id'],
      /URL such as https:\/\/id\.example\.com/,
    ],
    ['OIDC_ISSUER_URL', ['http://id.example.com'], /use https, or set ALLOW_INSECURE_HTTP=true/],
    ['OIDC_CLIENT_ID', ['', undefined as never], /is missing\. Client id at the provider/],
    ['OIDC_SCOPES', ['profile email', 'openids', 'OpenID'], /does not contain openid/],
    [
      'OIDC_TOKEN_ENDPOINT_AUTH_METHOD',
      ['client_secret_jwt', 'basic'],
      /`client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`/,
    ],
    [
      'OIDC_AUTHORIZATION_PARAMS',
      ['prompt=none', 'scope=openid', 'max_age=1h', 'acr_values'],
      /remove it|set OIDC_SCOPES|whole number of seconds|of the form acr_values=urn%3Amfa/,
    ],
    [
      'OIDC_END_SESSION_URL',
      ['/logout', 'https://id.example.com/{client_id}', 'https://id.example.com/?a={user}'],
      /is not a URL such as|placeholders are allowed only after the \?|is none of \{client_id\}/,
    ],
    [
      'POST_LOGOUT_REDIRECT_URIS',
      ['/bye', 'www.example.com', 'https://a@www.example.com/', 'javascript:alert(1)'],
      /is not an absolute URL such as/,
    ],
    ['OIDC_USERINFO', ['true', 'sometimes'], /"auto"\|"always"\|"never"/],
    ['OIDC_LOGOUT_TOKEN_TYPE', ['JWT', 'Any', 'logout'], /"logout\+jwt"\|"any"/],
    ['OIDC_CA_FILE', ['/nowhere/ca.pem'], /name a readable PEM file/],
    [
      'SESSION_ENCRYPTION_KEY',
      ['short', '0'.repeat(64), 'a b c'],
      /make one with: openssl rand -base64 32/,
    ],
    [
      'SESSION_MAX_AGE',
      ['59', '31536001', '1d', '', ' 60'].filter(Boolean),
      /between 60 and 31536000|whole number/,
    ],
    ['SESSION_IDLE_TIMEOUT', ['1', '59', '-1', '31536001', 'off'], /60 or more; 0 = off/],
    ['SESSION_REFRESH_GRACE', ['-1', '31536001', 'never'], /between 0 and|whole number/],
    ['SIGN_IN_CONCURRENCY', ['0', '10001', 'many'], /between 1 and 10000|whole number/],
    ['SESSIONS_PER_USER', ['0', '10001', 'many'], /between 1 and 10000|whole number/],
    [
      'COOKIE_NAME',
      ['__Host-x', 'a b', 'a=b', 'ä', 'x'.repeat(41), 'a;b'],
      /not a plain cookie name/,
    ],
    [
      'COOKIE_DOMAIN',
      ['.example.com', 'Example.com', 'example.com:443', 'https://example.com', 'a..b'],
      /domain such as example\.com/,
    ],
    ['COOKIE_SAMESITE', ['Lax', 'off'], /"lax"\|"strict"\|"none"/],
    ['PORT', ['65536', '-1', 'http', '4180 '], /between 0 and 65535|whole number/],
    ['INTERNAL_PORT', ['65536', '0x10'], /between 0 and 65535|whole number/],
    ['DRAIN_SECONDS', ['301', 'soon'], /between 0 and 300|whole number/],
    ['LOG_LEVEL', ['verbose', 'INFO'], /Lowest level that is logged/],
    ['REDIS_CACHE_MODE', ['Redis', 'disk', 'redis,memory'], /"memory"\|"redis"\|"hybrid"/],
    ['REDIS_DB', ['1000000000', '-1', 'db1', '1.5'], /between 0 and 999999999|whole number/],
    [
      'REDIS_KEY_PREFIX',
      ['a b', '{a}:', 'a*', 'a?', '[a]:', 'a\\', 'ä:', 'a\n', 'x'.repeat(65)],
      /plain prefix such as vestibule:/,
    ],
    ['REDIS_CONNECT_TIMEOUT', ['0', '61', '5s'], /between 1 and 60|whole number/],
    ['REDIS_READ_TIMEOUT', ['0', '61', '0.25'], /between 1 and 60|whole number/],
    ['REDIS_WRITE_TIMEOUT', ['0', '61', '3000ms'], /between 1 and 60|whole number/],
    ['CHECK_STORE_TIMEOUT_MS', ['9', '1001', '250ms'], /between 10 and 1000|whole number/],
    ['REDIS_POOL_SIZE', ['0', '1001', 'ten'], /between 1 and 1000|whole number/],
    ['REDIS_HYBRID_L1_SIZE', ['0', '1000001', '1e3'], /between 1 and 1000000|whole number/],
    ['REDIS_HYBRID_L1_MEMORY_MB', ['0', '10001', '10MB'], /between 1 and 10000|whole number/],
    ['REDIS_HYBRID_L1_TTL', ['0', '31', '5s', '0.5'], /between 1 and 30|whole number/],
    ['SESSION_OUTAGE_GRACE', ['901', '-1', '5m'], /between 0 and 900|whole number/],
    ['REDIS_CIRCUIT_BREAKER_THRESHOLD', ['0', '1001', 'x'], /between 1 and 1000|whole number/],
    ['REDIS_CIRCUIT_BREAKER_TIMEOUT', ['0', '3601', '1m'], /between 1 and 3600|whole number/],
    ['REDIS_HEALTH_CHECK_INTERVAL', ['0', '3601', '30s'], /between 1 and 3600|whole number/],
    ...[
      'REDIS_ENABLED',
      'REDIS_ENABLE_TLS',
      'REDIS_TLS_SKIP_VERIFY',
      'REDIS_CLUSTER',
      'REDIS_ENABLE_CIRCUIT_BREAKER',
      'REDIS_ENABLE_HEALTH_CHECK',
      'ALLOW_INSECURE_HTTP',
      'PASS_ACCESS_TOKEN',
      'PASS_AUTHORIZATION',
      'OIDC_TRUST_EMAIL',
      'DISABLE_REPLAY_DETECTION',
    ].map((name) => [name, ['yes', '1', 'on', ' true'], /neither true nor false/] as const),
  ]
  const single = rows.flatMap(([name, values, remedy]) =>
    values.map((value) => [name, value, remedy] as const),
  )
  /** Looked at only where Redis is used. */
  const redisRows: typeof rows = [
    [
      'REDIS_ADDRESS',
      ['', undefined as never],
      /is missing, and REDIS_ENABLED is true: set host:port, REDIS_URL, or REDIS_SENTINEL_ADDR/,
    ],
    ['REDIS_ADDRESS', [':6379', 'a b', 'host:0', 'host:65536'], /does not begin with host:port/],
    ['REDIS_URL', ['redis://', 'http://redis', 'redis://redis:x'], /URL such as redis:\/\//],
    ...['REDIS_SENTINEL_MASTER', 'REDIS_SENTINEL_USERNAME', 'REDIS_SENTINEL_PASSWORD'].map(
      (name) => [name, ['x'], /without Sentinels: set REDIS_SENTINEL_ADDRESSES/] as const,
    ),
    ...['REDIS_CA_FILE', 'REDIS_CERT_FILE', 'REDIS_KEY_FILE'].map(
      (name) => [name, ['/nowhere/redis.pem'], /without TLS: set REDIS_ENABLE_TLS=true/] as const,
    ),
  ]
  const withRedis = {
    REDIS_ENABLED: 'true',
    REDIS_ADDRESS: 'redis.example.com',
    SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  }

  test.for(single)('%s=%s is one problem with a remedy', ([name, value, remedy], { expect }) => {
    const problems = problemsWith({ [name]: value })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(new RegExp(`^${name}: `))
    expect(problems[0]).toMatch(remedy)
    expect(problems[0]).not.toContain(SECRET)
  })

  test.for(
    redisRows.flatMap(([name, values, remedy]) =>
      values.map((value) => [name, value, remedy] as const),
    ),
  )('%s=%s is one problem where Redis is used', ([name, value, remedy], { expect }) => {
    const address = name === 'REDIS_URL' ? { REDIS_ADDRESS: '' } : {}
    const problems = problemsWith({ ...withRedis, ...address, [name]: value })
    expect(problems).toEqual([expect.stringMatching(new RegExp(`^${name}: `))])
    expect(problems[0]).toMatch(remedy)
    const elsewhere = { ...withRedis, ...address, [name]: value }
    expect(problemsWith({ ...elsewhere, REDIS_ENABLED: 'false' })).toEqual([])
    expect(problemsWith({ ...elsewhere, REDIS_CACHE_MODE: 'memory' })).toEqual([])
  })

  test('every setting is tried here, free texts aside', () => {
    const free = [
      'REDIS_USERNAME',
      'REDIS_PASSWORD',
      // Tried beside the other settings about servers, in config/redis.test.ts.
      'REDIS_SENTINEL_ADDRESSES',
      'ADMIN_TOKEN',
      'OIDC_CLIENT_SECRET',
      // Tried in config/client-credentials.test.ts.
      'OIDC_CLIENT_PRIVATE_KEY',
      'OIDC_GROUPS_CLAIM',
      'HOST',
      'VESTIBULE_CONFIG',
      'ALLOWED_EMAILS',
      'ALLOWED_EMAIL_DOMAINS',
      'ALLOWED_GROUPS',
      'ALLOW_ANY_USER',
    ]
    const tried = new Set([...[...rows, ...redisRows].map(([name]) => name), ...free])
    expect(Object.keys(schema.shape).filter((name) => !tried.has(name))).toEqual([])
  })

  test('all of them together are all told, each once', () => {
    const first = new Map(single.toReversed().map(([name, value]) => [name, value]))
    const problems = problemsOf({ ...Object.fromEntries(first), OIDC_CLIENT_SECRET: SECRET })
    for (const name of first.keys()) {
      expect(
        problems.filter((problem) => problem.startsWith(`${name}: `)),
        name,
      ).toHaveLength(1)
    }
  })

  test('the message is a list of the problems', () => {
    const problems = problemsWith({ PORT: 'x', LOG_LEVEL: 'y' })
    expect(problems).toHaveLength(2)
    expect(new ConfigError(problems).message).toBe(
      `the configuration cannot be used:\n  - ${problems[0]}\n  - ${problems[1]}`,
    )
  })

  test('of several bad entries each is told, and of a key never what it holds', () => {
    expect(problemsWith({ TRUSTED_PROXIES: 'bad1,10.0.0.0/8,bad2/99' })).toEqual([
      'TRUSTED_PROXIES: bad1 is not a network; bad2/99 is not a network; write 10.0.0.0/8 or a single address',
    ])
    const good = randomBytes(32).toString('hex')
    expect(problemsWith({ SESSION_ENCRYPTION_KEY: `short,${good},söcret` })).toEqual([
      'SESSION_ENCRYPTION_KEY: key 1 has 3 bytes, at least 32 are needed; key 3 is neither hex, base64 nor base64url; make one with: openssl rand -base64 32',
    ])
  })

  test('a port for both listeners is one problem, unless the system is to choose', () => {
    expect(problemsWith({ PORT: '5000', INTERNAL_PORT: '5000' })).toEqual([
      'INTERNAL_PORT: is 5000, the same as PORT: give each listener its own port',
    ])
    expect(problemsWith({ INTERNAL_PORT: '4180' })).toHaveLength(1)
    expect(problemsWith({ PORT: '0', INTERNAL_PORT: '0' })).toEqual([])
  })

  test('nothing at all is told as what is missing', () => {
    expect(problemsOf({}).map((problem) => problem.split(/[:.]/)[0])).toEqual([
      'OIDC_ISSUER_URL',
      'OIDC_CLIENT_ID',
      'PROTECTED_HOSTS',
      'Nobody may enter',
    ])
  })

  test('whatever a setting holds, the outcome is a configuration or problems that hold no secret', () => {
    const names = Object.keys(schema.shape).filter((name) => !/FILE|CONFIG|_KEY|SECRET/.test(name))
    fc.assert(
      fc.property(fc.constantFrom(...names), anyText, (name, value) => {
        for (const problem of problemsWith({ [name]: value })) expect(problem).not.toContain(SECRET)
      }),
      { numRuns: 300 },
    )
  })
})

describe('settings that do not go together', () => {
  test.for<[string, Environment, string, RegExp]>([
    [
      'a cookie domain that does not cover the public address',
      { PUBLIC_URL: 'https://auth.other.test', COOKIE_DOMAIN: 'example.com' },
      'COOKIE_DOMAIN',
      /does not cover PUBLIC_URL \(auth\.other\.test\)/,
    ],
    [
      'a cookie domain that is only the end of a word',
      { PUBLIC_URL: 'https://badexample.com', COOKIE_DOMAIN: 'example.com' },
      'COOKIE_DOMAIN',
      /does not cover/,
    ],
    [
      'a host that never gets the cookie',
      { PUBLIC_URL: 'https://auth.example.com' },
      'PROTECTED_HOSTS',
      /would never get the session cookie.*set COOKIE_DOMAIN/,
    ],
    [
      'a protected host outside the cookie domain',
      { COOKIE_DOMAIN: 'other.test' },
      'COOKIE_DOMAIN',
      /other\.test does not cover the protected host app\.example\.com/,
    ],
    [
      'a wildcard beside a public address without a domain',
      { PUBLIC_URL: 'https://example.com', PROTECTED_HOSTS: '*.example.com' },
      'PROTECTED_HOSTS',
      /would never get the session cookie/,
    ],
    [
      'another port of the same host',
      { PUBLIC_URL: 'https://app.example.com', PROTECTED_HOSTS: 'app.example.com:8443' },
      'PROTECTED_HOSTS',
      /would never get the session cookie/,
    ],
    [
      'an http host beside an https address',
      {
        PUBLIC_URL: 'https://auth.app.localhost',
        COOKIE_DOMAIN: 'app.localhost',
        PROTECTED_HOSTS: 'http://app.localhost',
      },
      'PROTECTED_HOSTS',
      /is an http host and PUBLIC_URL is not/,
    ],
    [
      'SameSite=None over http',
      { PROTECTED_HOSTS: 'http://app.localhost', COOKIE_SAMESITE: 'none' },
      'COOKIE_SAMESITE',
      /none needs https/,
    ],
    [
      'a method that needs a secret',
      { OIDC_CLIENT_SECRET: '', OIDC_TOKEN_ENDPOINT_AUTH_METHOD: 'client_secret_post' },
      'OIDC_CLIENT_SECRET',
      /is missing, and OIDC_TOKEN_ENDPOINT_AUTH_METHOD is client_secret_post/,
    ],
    [
      'everybody and somebody',
      { ALLOWED_GROUPS: 'admins' },
      'ALLOW_ANY_USER',
      /names users too: remove one of them/,
    ],
    ['nobody', { ALLOW_ANY_USER: 'false' }, 'Nobody may enter', /or set ALLOW_ANY_USER=true/],
    [
      'an address that is none',
      { ALLOW_ANY_USER: '', ALLOWED_EMAILS: 'alice@example.com,example.com' },
      'ALLOWED_…',
      /example\.com is not an e-mail address or domain/,
    ],
    [
      'a domain with its at sign',
      { ALLOW_ANY_USER: '', ALLOWED_EMAIL_DOMAINS: '@example.com' },
      'ALLOWED_…',
      /@example\.com is not an e-mail address or domain/,
    ],
    [
      'a domain with a star',
      { ALLOW_ANY_USER: '', ALLOWED_EMAIL_DOMAINS: '*.example.com' },
      'ALLOWED_…',
      /\*\.example\.com is not an e-mail address or domain/,
    ],
  ])('%s', ([, changes, name, remedy], { expect }) => {
    const problems = problemsWith(changes)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.startsWith(name)).toBe(true)
    expect(problems[0]).toMatch(remedy)
  })

  test('a public address over http is for this machine, or for somebody who says so', () => {
    const plain = { PUBLIC_URL: 'http://app.test', PROTECTED_HOSTS: 'http://app.test' }
    const remedy =
      'PUBLIC_URL: http is for loopback and *.localhost; use https, or set ALLOW_INSECURE_HTTP=true'
    expect(problemsWith(plain)).toContain(remedy)
    expect(problemsWith({ ...plain, ALLOW_INSECURE_HTTP: 'true' })).toEqual([])
  })

  test('hosts below the cookie domain and the public address itself go together', () => {
    const problems = problemsWith({
      PUBLIC_URL: 'https://auth.example.com',
      COOKIE_DOMAIN: 'example.com',
      PROTECTED_HOSTS: 'app.example.com,*.apps.example.com,auth.example.com,example.com:8443',
    })
    expect(problems).toEqual([])
  })
})

describe('secrets from files', () => {
  const key = randomBytes(32)

  test('a file holds the secret, its last line end aside', async () => {
    const path = await write(`${SECRET}\n`)
    const { settings } = loadConfig({
      ...base,
      OIDC_CLIENT_SECRET: undefined,
      OIDC_CLIENT_SECRET_FILE: path,
    })
    expect(settings.OIDC_CLIENT_SECRET).toBe(SECRET)
  })

  test('so it does for the token of operators, which has no default', async () => {
    const path = await write(`${SECRET}\n`)
    const { settings } = loadConfig({ ...base, ADMIN_TOKEN_FILE: path })
    expect(settings.ADMIN_TOKEN).toBe(SECRET)
    expect(loadConfig({ ...base, ADMIN_TOKEN: '' }).settings.ADMIN_TOKEN).toBeUndefined()
    const [problem] = problemsWith({ ADMIN_TOKEN: 'the-other-secret', ADMIN_TOKEN_FILE: path })
    expect(problem).toContain('ADMIN_TOKEN and ADMIN_TOKEN_FILE are both set')
    expect(problem).not.toContain('the-other-secret')
  })

  test('a key file is remembered, to be read again', async () => {
    const path = await write(`${key.toString('base64')}\n${randomBytes(32).toString('hex')}\n`)
    const config = loadConfig({ ...base, SESSION_ENCRYPTION_KEY_FILE: path })
    expect(config.keyFile).toBe(path)
    expect(config.keys).toHaveLength(2)
    expect(config.keys?.[0]?.equals(key)).toBe(true)
  })

  test('a key that is given by itself is not looked for in a file', () => {
    const config = loadConfig({ ...base, SESSION_ENCRYPTION_KEY: key.toString('hex') })
    expect(config.keyFile).toBeUndefined()
    expect(config.keys?.[0]?.equals(key)).toBe(true)
  })

  test('both at once is a problem that shows neither', async () => {
    const path = await write('the-other-secret')
    const [problem, ...others] = problemsWith({ OIDC_CLIENT_SECRET_FILE: path })
    expect(others).toEqual([])
    expect(problem).toContain('OIDC_CLIENT_SECRET and OIDC_CLIENT_SECRET_FILE are both set')
    expect(problem).not.toContain('the-other-secret')
    expect(problem).not.toContain(SECRET)
  })

  test('a file that is not there or holds nothing is named', async () => {
    const missing = problemsWith({ SESSION_ENCRYPTION_KEY_FILE: join(folder, 'nowhere') })
    expect(missing).toHaveLength(1)
    expect(missing[0]).toMatch(/^SESSION_ENCRYPTION_KEY_FILE: .*nowhere cannot be read \(ENOENT\)/)
    const path = await write(' \n')
    const empty = problemsWith({ OIDC_CLIENT_SECRET: '', OIDC_CLIENT_SECRET_FILE: path })
    expect(empty).toEqual([`OIDC_CLIENT_SECRET_FILE: ${path} is empty`])
  })

  test('a bad key in a file is told by its position alone', async () => {
    const path = await write(`${key.toString('base64')},weak-key-material`)
    const problems = problemsWith({ SESSION_ENCRYPTION_KEY_FILE: path })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain('SESSION_ENCRYPTION_KEY: key 2')
    expect(problems[0]).not.toContain('weak-key')
  })

  test('only secrets come from files', async () => {
    const path = await write('5000')
    expect(loadConfig({ ...base, PORT_FILE: path }).settings.PORT).toBe(4180)
  })
})

describe('the rules file', () => {
  const sites = createSites(loadConfig(base).hosts)
  const accessOf = (environment: Environment, path: string, method = 'GET') =>
    createAccessFinder(loadConfig(environment).rules)(
      parseForwardedRequest(
        rawRequest(forwarded({ 'X-Forwarded-Uri': path, 'X-Forwarded-Method': method })),
        sites,
      ),
    )
  const person = (groups: readonly string[], email?: string) => ({
    issuer: 'https://id.example.com',
    subject: 'u1',
    groups,
    claims: {},
    ...(email !== undefined && { email }),
  })

  test('its rules come first, then public paths, then everybody who is named', async () => {
    const environment = await withFile(
      `rules:
  - { paths: [/public/secret/**], access: deny }
  - { paths: [/api/**], methods: [GET], access: signed-in, groups: [readers], preflight: pass }
  - { paths: [/team/**], access: signed-in, emails: [Alice@Example.com], emailDomains: [Corp.example] }
`,
      { PUBLIC_PATHS: '/public/**', ALLOWED_GROUPS: 'admins' },
    )
    expect(accessOf(environment, '/public/a').kind).toBe('public')
    expect(accessOf(environment, '/public/secret/a').kind).toBe('deny')
    const api = accessOf(environment, '/api/a')
    expect(api.passesPreflight).toBe(true)
    expect(api.permits(person(['readers']))).toBe(true)
    expect(api.permits(person(['admins']))).toBe(false)
    expect(accessOf(environment, '/api/a', 'HEAD').permits(person(['readers']))).toBe(true)
    expect(accessOf(environment, '/api/a', 'POST').permits(person(['readers']))).toBe(false)
    expect(accessOf(environment, '/team/a').permits(person([], 'alice@example.com'))).toBe(true)
    expect(accessOf(environment, '/team/a').permits(person([], 'bob@corp.example'))).toBe(true)
    expect(accessOf(environment, '/').permits(person(['admins']))).toBe(true)
    expect(accessOf(environment, '/').permits(person(['readers']))).toBe(false)
  })

  test('public paths alone are enough, and nobody enters anything else', () => {
    const environment = { ...base, ALLOW_ANY_USER: '', PUBLIC_PATHS: '/public/**' }
    expect(accessOf(environment, '/public/a').kind).toBe('public')
    const rest = accessOf(environment, '/')
    expect(rest.kind).not.toBe('public')
    expect(rest.permits(person(['admins'], 'alice@example.com'))).toBe(false)
  })

  test('a rule may say that nobody passes it on the strength of what was known before an outage', async () => {
    const environment = await withFile(
      'rules: [{ paths: [/admin/**], access: signed-in, degraded: deny }, { access: signed-in }]',
    )
    expect(accessOf(environment, '/admin/a').deniesDegraded).toBe(true)
    expect(accessOf(environment, '/a').deniesDegraded).toBe(false)
  })

  test('a rule for HEAD is a rule for GET, whatever else it names', async () => {
    const environment = await withFile(
      'rules: [{ methods: [HEAD], access: signed-in, emailDomains: [example.com] }]',
    )
    expect(accessOf(environment, '/', 'GET').permits(person([], 'a@example.com'))).toBe(true)
    expect(accessOf(environment, '/', 'HEAD').permits(person([], 'a@example.com'))).toBe(true)
    expect(accessOf(environment, '/', 'POST').kind).toBe('deny')
  })

  test('rules alone are enough, and what they do not name is denied', async () => {
    const environment = await withFile('rules: [{ paths: [/a], access: signed-in }]')
    expect(accessOf(environment, '/a').kind).toBe('signed-in')
    expect(accessOf(environment, '/b').kind).toBe('deny')
  })

  test('its lists count where the environment has none; the environment wins over them', async () => {
    const yaml = `protectedHosts: [a.test, b.test]
publicPaths: [/open/**]
allowedEmails: [alice@example.com]
allowedEmailDomains: [example.com]
allowedGroups: [admins]
trustedProxies: [192.0.2.0/24]
`
    const fromFile = loadConfig(await withFile(yaml, { PROTECTED_HOSTS: '' }))
    expect(fromFile.settings).toMatchObject({
      PROTECTED_HOSTS: ['a.test', 'b.test'],
      PUBLIC_PATHS: ['/open/**'],
      ALLOWED_EMAILS: ['alice@example.com'],
      ALLOWED_EMAIL_DOMAINS: ['example.com'],
      ALLOWED_GROUPS: ['admins'],
      TRUSTED_PROXIES: ['192.0.2.0/24'],
    })
    const given = {
      PROTECTED_HOSTS: 'c.test',
      PUBLIC_PATHS: '/x',
      ALLOWED_EMAILS: 'bob@example.com',
      ALLOWED_EMAIL_DOMAINS: 'b.test',
      ALLOWED_GROUPS: 'ops',
      TRUSTED_PROXIES: '::1',
    }
    const { settings } = loadConfig(await withFile(yaml, given))
    for (const [name, value] of Object.entries(given)) {
      expect(settings[name as keyof typeof given], name).toEqual([value])
    }
  })

  test('an entry of a list is one entry, also with a comma in it', async () => {
    const { settings } = loadConfig(await withFile('allowedGroups: ["CN=admins,OU=staff"]'))
    expect(settings.ALLOWED_GROUPS).toEqual(['CN=admins,OU=staff'])
  })

  test('an empty file is a file without rules', async () => {
    const given = { ALLOWED_GROUPS: 'admins' }
    expect(problemsOf(await withFile('', given))).toEqual([])
    expect(problemsOf(await withFile('# nothing yet\n', given))).toEqual([])
  })

  test.for([
    ['an unknown key', 'rulez: []', /the file: Unrecognized key: "rulez"/],
    [
      'an unknown key of a rule',
      'rules: [{ access: deny, path: /a }]',
      /rules\.0: Unrecognized key: "path"/,
    ],
    ['a setting that belongs to the environment', 'PORT: 1', /Unrecognized key: "PORT"/],
    ['a rule without access', 'rules: [{ paths: [/a] }]', /rules\.0\.access/],
    ['an unknown access', 'rules: [{ access: allow }]', /rules\.0\.access/],
    ['a path that is no list', 'rules: [{ access: deny, paths: /a }]', /rules\.0\.paths/],
    ['an empty name', 'allowedGroups: [""]', /allowedGroups\.0/],
    ['a number for a name', 'allowedGroups: [7]', /allowedGroups\.0/],
    ['another preflight', 'rules: [{ access: deny, preflight: allow }]', /rules\.0\.preflight/],
    ['rules that are no list', 'rules: { access: deny }', /rules/],
    ['a text', 'just text', /the file/],
    ['no YAML', 'rules: [', /not YAML/],
    ['a key twice', 'rules: []\nrules: []', /not YAML/],
  ] as const)('%s is one problem', async ([, yaml, reason], { expect }) => {
    const problems = problemsOf(await withFile(yaml, { ALLOWED_GROUPS: 'admins' }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^VESTIBULE_CONFIG: /)
    expect(problems[0]).toMatch(reason)
  })

  test.for([
    ['a bad pattern', '{ access: deny, paths: [a] }', /rules\.0\.paths: a: .*starts with \//],
    [
      'a bad host',
      '{ access: deny, hosts: ["https://a/b"] }',
      /rules\.0\.hosts: https:\/\/a\/b is not a host/,
    ],
    [
      'a method in small letters',
      '{ access: deny, methods: [get] }',
      /rules\.0\.methods: write methods in capitals/,
    ],
    [
      'users of a public rule',
      '{ access: public, groups: [a] }',
      /rules\.0: .*belong to access: signed-in/,
    ],
    [
      'users of a deny rule',
      '{ access: deny, emails: [a@b.test] }',
      /rules\.0: .*belong to access: signed-in/,
    ],
    [
      'tokens on a public rule',
      '{ access: public, bearer: { audiences: [a] } }',
      /rules\.0\.bearer: belongs to access: signed-in/,
    ],
    [
      'one use without tokens',
      '{ access: signed-in, oneTime: true }',
      /rules\.0\.oneTime: belongs to a rule with bearer/,
    ],
    [
      'an issuer that is no address',
      '{ access: signed-in, bearer: { audiences: [a], issuers: [id] } }',
      /rules\.0\.bearer\.issuers: id: is not a URL/,
    ],
    [
      'an issuer by plain http',
      '{ access: signed-in, bearer: { audiences: [a], issuers: ["http://id.example.com"] } }',
      /rules\.0\.bearer\.issuers: .*http is for loopback/,
    ],
    [
      'two scopes in one text',
      '{ access: signed-in, bearer: { audiences: [a], scopes: [read write] } }',
      /rules\.0\.bearer\.scopes: read write is not one scope/,
    ],
    [
      'a scope that would end a challenge',
      `{ access: signed-in, bearer: { audiences: [a], scopes: ['a"b'] } }`,
      /rules\.0\.bearer\.scopes: a"b is not one scope/,
    ],
    [
      'our own client as the audience of plain JWTs',
      '{ access: signed-in, bearer: { audiences: [vestibule], tokenType: jwt } }',
      /rules\.0\.bearer\.audiences: vestibule is OIDC_CLIENT_ID/,
    ],
    [
      'an address that is none',
      '{ access: signed-in, emails: [alice] }',
      /rules\.0: alice is not an e-mail address/,
    ],
  ] as const)('%s is one problem of its rule', async ([, rule, reason], { expect }) => {
    const problems = problemsOf(await withFile(`rules: [${rule}]`))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(reason)
  })

  test('tokens are those of the provider unless the rule says otherwise', async () => {
    const { rules } = loadConfig(
      await withFile(
        'rules: [{ access: signed-in, bearer: { audiences: [api] }, degraded: deny }]',
      ),
    )
    expect(rules[0]).toMatchObject({
      bearer: {
        issuers: new Set(['https://id.example.com']),
        audiences: new Set(['api']),
        scopes: [],
        claims: new Map(),
        type: 'at+jwt',
      },
      isOneTime: false,
      deniesDegraded: true,
    })
  })

  test('a rule names issuers, scopes and the values that claims may have', async () => {
    const { rules } = loadConfig(
      await withFile(
        `rules:
          - access: signed-in
            oneTime: true
            bearer:
              issuers: [https://ci.example.com, http://127.0.0.1:9]
              audiences: [api]
              scopes: [read, write]
              claims: { tenant: [a, 42], trusted: true }
              tokenType: jwt`,
      ),
    )
    expect(rules[0]).toMatchObject({
      bearer: {
        issuers: new Set(['https://ci.example.com', 'http://127.0.0.1:9']),
        scopes: ['read', 'write'],
        claims: new Map([
          ['tenant', new Set(['a', '42'])],
          ['trusted', new Set(['true'])],
        ]),
        type: 'jwt',
      },
      isOneTime: true,
      deniesDegraded: false,
    })
  })

  test.for([
    ['no audience', 'bearer: {}', /rules\.0\.bearer\.audiences/],
    ['an empty list', 'bearer: { audiences: [] }', /rules\.0\.bearer\.audiences/],
    ['an unknown key', 'bearer: { audiences: [a], iss: b }', /Unrecognized key: "iss"/],
    ['another type', 'bearer: { audiences: [a], tokenType: id }', /rules\.0\.bearer\.tokenType/],
    ['no values', 'bearer: { audiences: [a], claims: { b: [] } }', /rules\.0\.bearer\.claims\.b/],
    ['no for once', 'bearer: { audiences: [a] }, oneTime: false', /rules\.0\.oneTime/],
    ['another degraded', 'degraded: allow', /rules\.0\.degraded/],
  ] as const)('what a rule asks of tokens is checked: %s', async ([, part, reason]) => {
    const problems = problemsOf(await withFile(`rules: [{ access: signed-in, ${part} }]`))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(reason)
  })

  test('an empty list of users is a problem of its rule, and never lets everybody in', async () => {
    for (const name of ['groups', 'emails', 'emailDomains']) {
      const problems = problemsOf(await withFile(`rules: [{ access: signed-in, ${name}: [] }]`))
      expect(problems, name).toEqual([expect.stringContaining(`rules.0.${name}`)])
    }
  })

  test('an empty list of conditions is a problem of its rule, which could never match', async () => {
    for (const name of ['paths', 'hosts', 'methods']) {
      const problems = problemsOf(await withFile(`rules: [{ access: deny, ${name}: [] }]`))
      expect(problems, name).toEqual([expect.stringContaining(`rules.0.${name}`)])
    }
  })

  test.for([
    ['an unknown key', 'protectedHosts: [a.test]\nallowedGroups: [a]\nrulez: []'],
    ['a key twice', 'protectedHosts: [a.test]\nrules: []\nrules: []'],
    ['no YAML', 'protectedHosts: [a.test]\nallowedGroups: ['],
  ] as const)('what else is in a file with %s is not said to be missing', async ([, yaml]) => {
    const problems = problemsOf(await withFile(yaml, { PROTECTED_HOSTS: '' }))
    expect(problems).toEqual([expect.stringMatching(/^VESTIBULE_CONFIG: /)])
  })

  test('a file that cannot be read is named', () => {
    const problems = problemsWith({ VESTIBULE_CONFIG: join(folder, 'nowhere.yaml') })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^VESTIBULE_CONFIG: .*nowhere\.yaml cannot be read \(ENOENT\)/)
  })

  test('problems of the file and of the environment are told together', async () => {
    const environment = await withFile('rules: [{ access: deny, paths: [a] }]', { PORT: 'x' })
    expect(problemsOf(environment).map((problem) => problem.split(':')[0])).toEqual([
      'PORT',
      'rules.0.paths',
    ])
  })
})
