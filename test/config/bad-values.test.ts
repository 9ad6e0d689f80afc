import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import { settings as schema } from '../../src/config/settings/settings.ts'
import { anyText } from '../support/any-text.ts'
import { problemsOf, problemsWith, CLIENT_SECRET as SECRET } from '../support/configuration.ts'
import { rows, words } from '../support/words.ts'

const PLAIN = /use https, or set ALLOW_INSECURE_HTTP=true/
const between = (least: number, most: number) =>
  new RegExp(`between ${least} and ${most}|whole number`)

const single: readonly (readonly [string | undefined, string, RegExp])[] = [
  ...rows`auth.example.com https://auth.example.com/path https://auth.example.com?x ftp://x
    https://u:p@x https://`(
    'PUBLIC_URL',
    /origin such as https:\/\/auth\.example\.com; a path goes into BASE_PATH/,
  ),
  ...rows`oauth2 / /OAuth2 /a/ /a//b /a\x20b /ä /.. /a?b /%61`(
    'BASE_PATH',
    /lower-case path such as \/oauth2/,
  ),
  ...rows`https://app.example.com/ app.*.com * ä.example user@app.example.com [::1]
    app.example.com:99999`(
    'PROTECTED_HOSTS',
    /of the form app\.example\.com, \*\.example\.com or http:\/\/app\.localhost:8080/,
  ),
  ['http://app.example.com', 'PROTECTED_HOSTS', PLAIN],
  ...['', ',', ' '].map((value) => [value, 'PROTECTED_HOSTS', /is empty\. Name the ho/] as const),
  ...rows`localhost 10.0.0.0/33 10.0.0.0/8;::1`(
    'TRUSTED_PROXIES',
    /write 10\.0\.0\.0\/8 or a single address/,
  ),
  ...rows`http://x 127.0.0.1:4180 a\x20b`('HOST', /is not an address/),
  ...rows`allow REJECT`('ALIAS_HEADERS', /"reject"\|"ignore"/),
  ...rows`public/** /public* /a/**/b/** /a?b`(
    'PUBLIC_PATHS',
    /path pattern starts with|whole segments|may occur once|written decoded and plain/,
  ),
  ...rows`Remote-User Remote\x20User=sub =sub Remote-User= Remote_User=sub X:Y=sub`(
    'IDENTITY_HEADERS',
    /of the form Remote-User=sub/,
  ),
  ...rows`Cookie=sub authorization=sub Content-Length=sub Location=sub X-Forwarded-Host=sub
    X-Auth-Request-User=email Set-Cookie=sub Host=sub`(
    'IDENTITY_HEADERS',
    /a header name that is free to use/,
  ),
  ...rows`0 255 32769 8k -1 1e3 8192.5`('IDENTITY_HEADERS_MAX_BYTES', between(256, 32768)),
  ...['', undefined].flatMap((value) => [
    [value, 'OIDC_ISSUER_URL', /is missing\. Issuer URL, exactly as the provider wri/] as const,
    [value, 'OIDC_CLIENT_ID', /is missing\. Client id at the provider/] as const,
  ]),
  ...rows`id.example.com https://id.example.com/?a=b https://id.example.com/#a ldap://id`(
    'OIDC_ISSUER_URL',
    /URL such as https:\/\/id\.example\.com/,
  ),
  ['http://id.example.com', 'OIDC_ISSUER_URL', PLAIN],
  ...rows`https://u@id.example.com https://u:p@id.example.com`('OIDC_ISSUER_URL', /is not a URL/),
  ...rows`https://id.example.com/.well-known/openid-configuration
    https://id.example.com/.well-known https://id.example.com/.well-known/oauth-authorization-server
    https://id.example.com/protocol/openid-connect/auth`(
    'OIDC_ISSUER_URL',
    /is the address of the metadata or an endpoint.*; write https:\/\/id\.example\.com$/,
  ),
  ...rows`https://login.microsoftonline.com/common/v2.0 https://login.microsoftonline.com/Common
    https://login.microsoftonline.com/organizations/v2.0
    https://login.microsoftonline.com/{tenantid}/v2.0 https://login.microsoftonline.com/{`(
    'OIDC_ISSUER_URL',
    /several tenants.*; write https:\/\/login\.microsoftonline\.com\/<tenant id>\/v2\.0$/,
  ),
  [
    'https://login.microsoftonline.com/consumers/v2.0',
    'OIDC_ISSUER_URL',
    /write .*\/9188040d-6c67-/,
  ],
  ...rows`keycloak:8080 http:// ftp://keycloak http://keycloak/?a http://keycloak/#a http://u:p@keycloak`(
    'OIDC_INTERNAL_URL',
    /is not a URL such as http:\/\/keycloak:8080\/realms\/x/,
  ),
  [
    'http://keycloak/.well-known/openid-configuration',
    'OIDC_INTERNAL_URL',
    /write http:\/\/keycloak$/,
  ],
  ...['HTTPS_PROXY', 'HTTP_PROXY'].flatMap((name) =>
    rows`socks5://proxy:1080 ftp://proxy http:// http://proxy:0x http://proxy:99999 http://proxy/path
      http://proxy/?a http://u:${SECRET}%@proxy:3128 http://u%ff:p@proxy`(
      name,
      /; write http:\/\/proxy\.example\.com:3128$/,
    ),
  ),
  ...rows`profile\x20email openids OpenID`('OIDC_SCOPES', /does not contain openid/),
  ...rows`client_secret_jwt basic`(
    'OIDC_TOKEN_ENDPOINT_AUTH_METHOD',
    /`client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`/,
  ),
  ['prompt=none', 'OIDC_AUTHORIZATION_PARAMS', /remove it/],
  ...rows`https://id.example.com/out?x={user} https://id.example.com/out?x={}
    https://id.example.com/out?x={CLIENT_ID}`(
    'OIDC_END_SESSION_URL',
    /\{(?:user|CLIENT_ID|)\} is none of \{client_id\}/,
  ),
  ...rows`https://{client_id}.example.com/out https://id.example.com/{client_id}/out?x=1`(
    'OIDC_END_SESSION_URL',
    /placeholders are allowed only after the \?/,
  ),
  ...rows`https://id.example.com/out?x={state https://id.example.com/out?x=state}`(
    'OIDC_END_SESSION_URL',
    /an unmatched brace/,
  ),
  ...rows`/out?client_id={client_id} javascript:alert(1) https://user@id.example.com/out
    https://id.example.com/out?x={state}#a https:id.example.com https://id.example.com\\out`(
    'OIDC_END_SESSION_URL',
    /is not a URL such as/,
  ),
  ['http://id.example.com/out', 'OIDC_END_SESSION_URL', PLAIN],
  ...rows`/bye www.example.com //www.example.com/ https://*.example.com/ javascript:alert(1)
    https://a@www.example.com/ https://user:pw@www.example.com/ https://www.example.com/#a
    data:text/html;x`('POST_LOGOUT_REDIRECT_URIS', /is not an absolute URL such as/),
  ['http://www.example.com/', 'POST_LOGOUT_REDIRECT_URIS', PLAIN],
  ...rows`true sometimes`('OIDC_USERINFO', /"auto"\|"always"\|"never"/),
  ...rows`HS256 none rs256 RS256,ES256`('OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG', /"RS256"\|"RS384"/),
  ...rows`JWT Any logout`('OIDC_LOGOUT_TOKEN_TYPE', /"logout\+jwt"\|"any"/),
  ['/nowhere/ca.pem', 'OIDC_CA_FILE', /name a readable PEM file/],
  ...rows`short ${'0'.repeat(64)} a\x20b\x20c`(
    'SESSION_ENCRYPTION_KEY',
    /make one with: openssl rand -base64 32/,
  ),
  ...rows`59 31536001 1d 6\x200`('SESSION_MAX_AGE', between(60, 31_536_000)),
  ...rows`1 59 -1 31536001 off`('SESSION_IDLE_TIMEOUT', /60 or more; 0 = off/),
  ...rows`-1 31536001 never`('SESSION_REFRESH_GRACE', between(0, 31_536_000)),
  ...rows`0 10001 many`('SIGN_IN_CONCURRENCY', between(1, 10_000)),
  ...rows`0 10001 many`('SESSIONS_PER_USER', between(1, 10_000)),
  ...rows`__Host-x a\x20b a=b ä ${'x'.repeat(41)} a;b`('COOKIE_NAME', /not a plain cookie name/),
  ...rows`.example.com Example.com example.com:443 https://example.com a..b`(
    'COOKIE_DOMAIN',
    /domain such as example\.com/,
  ),
  ...rows`Lax off`('COOKIE_SAMESITE', /"lax"\|"strict"\|"none"/),
  ...rows`65536 -1 http 41\x2080`('PORT', between(0, 65_535)),
  ...rows`65536 0x10`('INTERNAL_PORT', between(0, 65_535)),
  ...rows`301 soon`('DRAIN_SECONDS', between(0, 300)),
  ...rows`verbose INFO`('LOG_LEVEL', /Lowest level that is logged/),
  ...rows`Redis disk redis,memory`('REDIS_CACHE_MODE', /"memory"\|"redis"\|"hybrid"/),
  ...rows`1000000000 -1 db1 1.5`('REDIS_DB', between(0, 999_999_999)),
  ...rows`a\x20b {a}: a* a? [a]: a\\ ä: a\nb ${'x'.repeat(65)}`(
    'REDIS_KEY_PREFIX',
    /plain prefix such as vestibule:/,
  ),
  ...rows`0 61 5s`('REDIS_CONNECT_TIMEOUT', between(1, 60)),
  ...rows`0 61 0.25`('REDIS_READ_TIMEOUT', between(1, 60)),
  ...rows`0 61 3000ms`('REDIS_WRITE_TIMEOUT', between(1, 60)),
  ...rows`9 1001 250ms`('CHECK_STORE_TIMEOUT_MS', between(10, 1000)),
  ...rows`0 1001 ten`('REDIS_POOL_SIZE', between(1, 1000)),
  ...rows`0 1000001 1e3`('REDIS_HYBRID_L1_SIZE', between(1, 1_000_000)),
  ...rows`0 10001 10MB`('REDIS_HYBRID_L1_MEMORY_MB', between(1, 10_000)),
  ...rows`0 31 5s 0.5`('REDIS_HYBRID_L1_TTL', between(1, 30)),
  ...rows`901 -1 5m`('SESSION_OUTAGE_GRACE', between(0, 900)),
  ...rows`0 1001 x`('REDIS_CIRCUIT_BREAKER_THRESHOLD', between(1, 1000)),
  ...rows`0 3601 1m`('REDIS_CIRCUIT_BREAKER_TIMEOUT', between(1, 3600)),
  ...rows`0 3601 30s`('REDIS_HEALTH_CHECK_INTERVAL', between(1, 3600)),
  ...words`
    REDIS_ENABLED REDIS_ENABLE_TLS REDIS_TLS_SKIP_VERIFY REDIS_CLUSTER PASS_ACCESS_TOKEN
    REDIS_ENABLE_CIRCUIT_BREAKER REDIS_ENABLE_HEALTH_CHECK ALLOW_INSECURE_HTTP OIDC_TRUST_EMAIL
    PASS_AUTHORIZATION COOKIE_PERSISTENT DISABLE_REPLAY_DETECTION
  `.flatMap((name) => rows`yes 1 on tr\x20ue`(name, /neither true nor false/)),
]
/** Looked at only where Redis is used. */
const ofRedis: typeof single = [
  ...['', undefined].map((value): (typeof single)[number] => [
    value,
    'REDIS_ADDRESS',
    /is missing, and REDIS_ENABLED is true: set host:port, REDIS_URL, or REDIS_SENTINEL_ADDRESSES$/,
  ]),
  ...rows`:6379 a\x20b host:0 host:65536 redis.example.com:redis`(
    'REDIS_ADDRESS',
    /does not begin with host:port/,
  ),
  ...rows`redis:// http://redis redis://redis:x`('REDIS_URL', /URL such as redis:\/\//),
  ...words`REDIS_SENTINEL_MASTER REDIS_SENTINEL_USERNAME REDIS_SENTINEL_PASSWORD`.flatMap((name) =>
    rows`x`(name, /: has no use without Sentinels: set REDIS_SENTINEL_ADDRESSES$/),
  ),
  ...words`REDIS_CA_FILE REDIS_CERT_FILE REDIS_KEY_FILE`.flatMap((name) =>
    rows`/nowhere/redis.pem`(name, /: has no use without TLS: set REDIS_ENABLE_TLS=true$/),
  ),
]
const withRedis = {
  REDIS_ENABLED: 'true',
  REDIS_ADDRESS: 'redis.example.com',
  SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
}

test.for(single)('%j in %s is one problem with a remedy', ([value, name, remedy]) => {
  const problems = problemsWith({ [name]: value })
  expect(problems).toEqual([expect.stringMatching(new RegExp(`^${name}: `))])
  expect(problems[0]).toMatch(remedy)
  expect(problems[0]).not.toContain(SECRET)
})

test.for(ofRedis)('%j in %s is one problem where Redis is used', ([value, name, remedy]) => {
  const used = { ...withRedis, ...(name === 'REDIS_URL' && { REDIS_ADDRESS: '' }), [name]: value }
  const problems = problemsWith(used)
  expect(problems).toEqual([expect.stringMatching(new RegExp(`^${name}: `))])
  expect(problems[0]).toMatch(remedy)
  expect(problemsWith({ ...used, REDIS_ENABLED: 'false' })).toEqual([])
  expect(problemsWith({ ...used, REDIS_CACHE_MODE: 'memory' })).toEqual([])
})

test('every setting is tried here, free texts aside', () => {
  // Sentinels are tried in config/redis.test.ts, private keys in config/client-credentials.test.ts, exceptions from
  // proxies in config/proxies.test.ts, TLS of the internal listener in config/internal-tls.test.ts.
  const free = words`
    REDIS_USERNAME REDIS_PASSWORD REDIS_SENTINEL_ADDRESSES ADMIN_TOKEN BROADCAST_TOKEN OIDC_CLIENT_SECRET
    OIDC_CLIENT_PRIVATE_KEY OIDC_GROUPS_CLAIM OIDC_GROUPS_SEPARATOR OIDC_EMAIL_CLAIM NO_PROXY VESTIBULE_CONFIG ALLOWED_EMAILS
    ALLOWED_EMAIL_DOMAINS ALLOWED_GROUPS ALLOW_ANY_USER INTERNAL_TLS_CERT_FILE INTERNAL_TLS_KEY_FILE
    INTERNAL_TLS_CLIENT_CA_FILE
  `
  const tried = new Set([...[...single, ...ofRedis].map(([, name]) => name), ...free])
  expect(Object.keys(schema.shape).filter((name) => !tried.has(name))).toEqual([])
})

test('all of them together are all told, each once', () => {
  const first = new Map(single.toReversed().map(([value, name]) => [name, value]))
  const problems = problemsOf({ ...Object.fromEntries(first), OIDC_CLIENT_SECRET: SECRET })
  const toldOf = (name: string) => problems.filter((each) => each.startsWith(`${name}: `)).length
  for (const name of first.keys()) expect(toldOf(name), name).toBe(1)
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

test('one token for operators and for apps that broadcast is a problem, which does not tell it', () => {
  expect(problemsWith({ ADMIN_TOKEN: SECRET, BROADCAST_TOKEN: SECRET })).toEqual([
    'BROADCAST_TOKEN: is the same as ADMIN_TOKEN, so it would open all of /admin: make another one',
  ])
  expect(problemsWith({ ADMIN_TOKEN: SECRET, BROADCAST_TOKEN: `${SECRET}2` })).toEqual([])
  expect(problemsWith({ ADMIN_TOKEN: '', BROADCAST_TOKEN: '' })).toEqual([])
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
