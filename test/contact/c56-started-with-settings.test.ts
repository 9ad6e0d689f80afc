import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { problemsOf, settingsIn, useFolder } from '../support/configuration.ts'
import { startRedis } from '../support/redis.ts'
import { defaultSettings, startVestibule } from '../support/vestibule.ts'

const { write } = useFolder()
const KEY = { SESSION_ENCRYPTION_KEY: randomBytes(32).toString('base64') }

/** Examples of the page that traefikoidc has about Redis, word for word. */
const BLOCKS = {
  basic: `redis:
  enabled: true
  address: "redis:6379"
  password: "your-password"      # Optional
  db: 0
  keyPrefix: "traefikoidc:"
  cacheMode: "hybrid"
`,
  'with every option': `redis:
  enabled: true
  address: "redis:6379"
  password: "your-password"
  db: 0
  keyPrefix: "traefikoidc:"
  cacheMode: "redis"
  poolSize: 20                   # Formula: 2 * CPU cores * replicas
  connectTimeout: 5
  readTimeout: 3
  writeTimeout: 3
  enableTLS: false
  tlsSkipVerify: false
  enableCircuitBreaker: true
  circuitBreakerThreshold: 5
  circuitBreakerTimeout: 60
  enableHealthCheck: true
  healthCheckInterval: 30
  hybridL1Size: 500              # Max items in local cache
  hybridL1MemoryMB: 10           # Max memory for local cache
`,
  'for ElastiCache': `redis:
  enabled: true
  address: "your-cache.abc123.cache.amazonaws.com:6379"
  cacheMode: "hybrid"
  enableTLS: true
  password: "your-elasticache-auth-token"
`,
} as const

const KUBERNETES = `redis:
  enabled: true
  address: "redis-service.redis-namespace:6379"
  password: "urn:k8s:secret:redis-secret:password"
  db: 0
  keyPrefix: "traefikoidc:"
  cacheMode: "hybrid"
  poolSize: 20
  enableCircuitBreaker: true
  circuitBreakerThreshold: 5
`

const ENVIRONMENT = `REDIS_ENABLED=true REDIS_ADDRESS=redis:6379 REDIS_PASSWORD=your-password REDIS_DB=0
  REDIS_KEY_PREFIX=traefikoidc: REDIS_CACHE_MODE=hybrid REDIS_POOL_SIZE=10 REDIS_CONNECT_TIMEOUT=5
  REDIS_READ_TIMEOUT=3 REDIS_WRITE_TIMEOUT=3 REDIS_ENABLE_TLS=false REDIS_TLS_SKIP_VERIFY=false`

const connected = async (settings: Parameters<typeof startVestibule>[0]) => {
  await using vestibule = await startVestibule({ ...KEY, ...settings })
  await expect.poll(() => vestibule.log().map(({ event }) => event)).toContain('redis_connected')
}

test.for(Object.entries(BLOCKS))(
  'the file %s starts the service once its address is changed',
  async ([name, block]) => {
    const password = /^ {2}password: "(.*)"/m.exec(block)?.[1]
    const authority = await createAuthority()
    const isTls = name === 'for ElastiCache'
    await using redis = await startRedis({ password, ...(isTls && { tls: { authority } }) })
    const yaml = block.replace(/address: ".*"/, `address: "${redis.host}:${redis.port}"`)
    await connected({
      VESTIBULE_CONFIG: await write(yaml),
      ...(isTls && { REDIS_CA_FILE: redis.clientFiles.ca }),
    })
  },
)

test('its environment starts the service, and so does a StackExchange string', async () => {
  await using redis = await startRedis({ password: 'your-password' })
  const address = `${redis.host}:${redis.port}`
  await connected({ ...settingsIn(ENVIRONMENT), REDIS_ADDRESS: address })
  const options = 'password=your-password,abortConnect=False,connectTimeout=2000,keepAlive=60'
  await using vestibule = await startVestibule({
    ...KEY,
    REDIS_ENABLED: 'true',
    REDIS_ADDRESS: `${address},${options},name=portal, defaultDatabase=3`,
  })
  await expect.poll(() => redis.cli('CLIENT', 'LIST')).toMatch(/name=portal .*db=3/)
  const ignored = vestibule.log().filter(({ event }) => event === 'setting_not_needed')
  expect(ignored).toEqual([
    expect.objectContaining({ setting: 'REDIS_ADDRESS', option: 'keepAlive' }),
  ])
})

test('sslHost is the name that the certificate is checked for', async () => {
  const authority = await createAuthority()
  const certificate = await authority.issue(['cache.example.com'])
  await using redis = await startRedis({ tls: { authority, certificate } })
  await connected({
    REDIS_ENABLED: 'true',
    REDIS_ADDRESS: `${redis.host}:${redis.port},ssl=True,sslHost=cache.example.com`,
    REDIS_CA_FILE: redis.clientFiles.ca,
  })
})

test('the password of its Kubernetes example is refused with what to do instead', async () => {
  const VESTIBULE_CONFIG = await write(KUBERNETES)
  expect(problemsOf({ ...defaultSettings, ...KEY, VESTIBULE_CONFIG })).toEqual([
    expect.stringMatching(
      /^VESTIBULE_CONFIG: redis\.password: refers to a Kubernetes secret .*set REDIS_PASSWORD in .*secretKeyRef.* or mount .*REDIS_PASSWORD_FILE$/,
    ),
  ])
})

test('a near miss is logged at start, without its value', async () => {
  await using vestibule = await startVestibule({ COOKIE_DOMIAN: 'hunter2' })
  const told = () => vestibule.log().filter(({ event }) => event === 'setting_unknown')
  await expect
    .poll(told)
    .toMatchObject([{ level: 'warn', name: 'COOKIE_DOMIAN', setting: 'COOKIE_DOMAIN' }])
  expect(vestibule.output()).not.toContain('hunter2')
})
