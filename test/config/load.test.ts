import { describe, expect, test } from 'vitest'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { durationOf } from '../../src/config/settings/setting-kinds.ts'
import {
  formatValue,
  type SettingName,
  settings as schema,
} from '../../src/config/settings/settings.ts'
import { CLIENT_SECRET, base as minimum, problemsOf } from '../support/configuration.ts'

const base = { ...minimum, OIDC_CLIENT_SECRET: CLIENT_SECRET } as const
function problemsWith(changes: Environment): readonly string[] {
  return problemsOf({ ...base, ...changes })
}

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
