import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { ConfigError } from '../../src/config/config-error.ts'
import { settings as schema } from '../../src/config/settings/settings.ts'
import { anyText } from '../support/any-text.ts'
import { CLIENT_SECRET, base as minimum, problemsOf } from '../support/configuration.ts'

const SECRET = CLIENT_SECRET
const base = { ...minimum, OIDC_CLIENT_SECRET: CLIENT_SECRET } as const
function problemsWith(changes: Environment): readonly string[] {
  return problemsOf({ ...base, ...changes })
}

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
