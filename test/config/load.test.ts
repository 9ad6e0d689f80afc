import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import {
  formatValue,
  type SettingName,
  settings as schema,
} from '../../src/config/settings/settings.ts'
import { confidential as base, problemsWith, settingsIn } from '../support/configuration.ts'
import { words } from '../support/words.ts'

test('the least one has defaults for the rest', () => {
  const config = loadConfig(base)
  const written = Object.entries(config.settings).map(([name, value]) => [name, formatValue(value)])
  expect(Object.fromEntries(written)).toMatchObject(
    settingsIn(`BASE_PATH=/oauth2 PORT=4180 INTERNAL_PORT=4181 DRAIN_SECONDS=5 SESSION_MAX_AGE=86400
      SESSION_IDLE_TIMEOUT=0 SESSION_REFRESH_GRACE=3600 SIGN_IN_CONCURRENCY=50 REDIS_ENABLED=false
      REDIS_CACHE_MODE=redis REDIS_DB=0 REDIS_KEY_PREFIX=vestibule: REDIS_CONNECT_TIMEOUT=5
      REDIS_READ_TIMEOUT=3 REDIS_WRITE_TIMEOUT=3 CHECK_STORE_TIMEOUT_MS=250 REDIS_POOL_SIZE=10
      REDIS_ENABLE_TLS=false REDIS_TLS_SKIP_VERIFY=false REDIS_HYBRID_L1_SIZE=500
      REDIS_HYBRID_L1_MEMORY_MB=10 REDIS_HYBRID_L1_TTL=5 SESSION_OUTAGE_GRACE=300
      REDIS_ENABLE_CIRCUIT_BREAKER=true REDIS_CIRCUIT_BREAKER_THRESHOLD=5
      REDIS_CIRCUIT_BREAKER_TIMEOUT=60 REDIS_ENABLE_HEALTH_CHECK=true REDIS_HEALTH_CHECK_INTERVAL=30
      ADMIN_TOKEN= COOKIE_NAME=vestibule COOKIE_SAMESITE=lax COOKIE_PERSISTENT=true ALIAS_HEADERS=reject
      IDENTITY_HEADERS_MAX_BYTES=8192 PASS_ACCESS_TOKEN=false OIDC_SCOPES=openid profile email
      OIDC_USERINFO=auto LOG_LEVEL=info ALLOW_ANY_USER=true`),
  )
  const { publicSite, keys, keyFile, redis, hosts, identityHeaders } = config
  expect([publicSite, keys, keyFile, redis]).toEqual(Array(4).fill(undefined))
  const host = { scheme: 'https', hostname: 'app.example.com', port: '', isWildcard: false }
  expect([hosts, identityHeaders.length]).toEqual([[host], 5])
})

test.for<[SettingName, number, number]>([
  ['REDIS_HYBRID_L1_SIZE', 1, 1_000_000],
  ['REDIS_HYBRID_L1_MEMORY_MB', 1, 10_000],
  ['REDIS_HYBRID_L1_TTL', 1, 30],
  ['SESSION_OUTAGE_GRACE', 0, 900],
  ['REDIS_CIRCUIT_BREAKER_THRESHOLD', 1, 1000],
  ['REDIS_CIRCUIT_BREAKER_TIMEOUT', 1, 3600],
  ['REDIS_HEALTH_CHECK_INTERVAL', 1, 3600],
])('%s goes from %i to %i', ([name, least, most]) => {
  for (const value of [least, most]) {
    const { settings } = loadConfig({ ...base, [name]: `${value}` })
    expect(formatValue(settings[name])).toBe(`${value}`)
  }
})

test('flags are true and false in any case', () => {
  const off = { REDIS_ENABLE_CIRCUIT_BREAKER: 'false', REDIS_ENABLE_HEALTH_CHECK: 'False' }
  expect(loadConfig({ ...base, ...off, PASS_ACCESS_TOKEN: 'TRUE' }).settings).toMatchObject({
    REDIS_ENABLE_CIRCUIT_BREAKER: false,
    REDIS_ENABLE_HEALTH_CHECK: false,
    PASS_ACCESS_TOKEN: true,
  })
})

test('lists are separated by commas or lines, blanks and empty entries aside', () => {
  const { hosts } = loadConfig({ ...base, PROTECTED_HOSTS: ' a.test ,\n b.test,,\n\n*.c.test ' })
  expect(hosts.map(({ hostname }) => hostname)).toEqual(['a.test', 'b.test', 'c.test'])
})

test('an empty value is as good as none', () => {
  const empty = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, '']))
  const { readAgain: _, ...expected } = loadConfig(base)
  expect(loadConfig({ ...empty, ...base })).toMatchObject(expected)
})

test('a public address is an origin, written plainly', () => {
  const shared = { COOKIE_DOMAIN: 'example.com' }
  const origins = words`https://auth.example.com https://auth.example.com/ https://AUTH.example.com:443`
  for (const PUBLIC_URL of origins) {
    const { publicSite } = loadConfig({ ...base, ...shared, PUBLIC_URL })
    expect(publicSite?.origin).toBe('https://auth.example.com')
  }
  const own = { PUBLIC_URL: 'https://app.example.com' }
  expect(loadConfig({ ...base, ...own }).publicSite?.host).toBe('app.example.com')
})

test('the landing pages of a sign-out are a list of whole addresses', () => {
  const uris = ['https://www.example.com/bye?a=b', 'http://localhost:3000/']
  const { settings } = loadConfig({ ...base, POST_LOGOUT_REDIRECT_URIS: uris.join(', ') })
  expect(settings.POST_LOGOUT_REDIRECT_URIS).toEqual(uris)
})

test.for([
  'PROTECTED_HOSTS=http://app.localhost:8080,http://127.0.0.1:8080',
  'PROTECTED_HOSTS=http://app.test ALLOW_INSECURE_HTTP=true',
  'OIDC_ISSUER_URL=http://localhost:9000',
  'OIDC_ISSUER_URL=https://id.example.com/realms/a',
  'OIDC_CLIENT_SECRET=',
  'OIDC_CLIENT_SECRET= OIDC_TOKEN_ENDPOINT_AUTH_METHOD=none',
  'SESSION_IDLE_TIMEOUT=0',
  'SESSION_IDLE_TIMEOUT=60',
  'PORT=0 INTERNAL_PORT=65535',
  'BASE_PATH=/account/sign-in',
  'ALLOW_ANY_USER= ALLOWED_EMAILS=alice@example.com',
  'ALLOW_ANY_USER= ALLOWED_EMAIL_DOMAINS=example.com',
  'ALLOW_ANY_USER=false ALLOWED_GROUPS=admins',
  'REDIS_ENABLED=false',
  'PATH=/bin NODE_ENV=production VESTIBULE=x',
  'PUBLIC_URL=https://auth.example.com COOKIE_DOMAIN=example.com ' +
    'PROTECTED_HOSTS=app.example.com,*.apps.example.com,auth.example.com,example.com:8443',
  ...words`
    https://auth0.com/v2/logout?client_id={client_id}&returnTo={post_logout_redirect_uri}
    https://id.example.com/?logout_hint={logout_hint}&to={post_logout_redirect_uri}
    https://id.example.com/out?state={state}&id_token_hint={id_token_hint}&federated
    https://id.example.com/out http://127.0.0.1:9000/out?client_id={client_id}
  `.map((template) => `OIDC_END_SESSION_URL=${template}`),
])('%s is accepted', (settings) => {
  expect(problemsWith(settingsIn(settings))).toEqual([])
})
