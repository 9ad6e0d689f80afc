import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { loadConfig, loadSettings } from '../../src/config/load.ts'
import { SETTING_NAMES } from '../../src/config/settings/settings.ts'
import { fileKeyOf } from '../../src/config/sources/file-keys.ts'
import { base, problemRows, problemsOf, useFolder } from '../support/configuration.ts'
import { readSetting, SAMPLES } from '../support/setting-samples.ts'

const { write } = useFolder()
const SECRET = 'hunter2-nobody-prints'
const KEY = randomBytes(32).toString('base64')
const withFile = async (yaml: string, changes = {}) => ({
  ...base,
  VESTIBULE_CONFIG: await write(yaml),
  ...changes,
})

test.for(SAMPLES)('%s=%s may be in the file, and the environment wins', async ([name, value]) => {
  const [section, key] = fileKeyOf(name).split('.') as [string, string?]
  const yaml = key === undefined ? `${section}: ${value}` : `${section}:\n  ${key}: ${value}`
  const VESTIBULE_CONFIG = await write(`${yaml}\n`)
  expect(readSetting({ VESTIBULE_CONFIG }, name)).toBe(value)
  expect(readSetting({ VESTIBULE_CONFIG, [name]: value }, name)).toBe(value)
  const other = await write(`${yaml.replace(/: [^:]*$/, ': "?"')}\n`)
  expect(readSetting({ VESTIBULE_CONFIG: other, [name]: value }, name)).toBe(value)
})

test('each setting has a key of its own; the plugin’s spellings are kept', () => {
  const keys = SETTING_NAMES.map(fileKeyOf)
  expect(new Set(keys).size).toBe(keys.length)
  expect(keys).toEqual(
    expect.arrayContaining(
      `redis.enabled redis.address redis.password redis.db redis.keyPrefix redis.cacheMode
      redis.poolSize redis.connectTimeout redis.readTimeout redis.writeTimeout redis.enableTLS
      redis.tlsSkipVerify redis.enableCircuitBreaker redis.circuitBreakerThreshold
      redis.circuitBreakerTimeout redis.enableHealthCheck redis.healthCheckInterval
      redis.hybridL1Size redis.hybridL1MemoryMB oidc.issuerUrl oidc.clientId session.maxAge
      cookie.domain cookie.sameSite publicUrl sessionsPerUser checkStoreTimeoutMs`.split(/\s+/),
    ),
  )
})

test('numbers, flags and lists are written as YAML has them, and abbreviations in either way', async () => {
  const { settings, redis, keyFile } = loadConfig(
    await withFile(
      `port: 5000
allowedGroups: ["Sales, EMEA", staff]
publicPaths: /a, /b
oidc: { issuerURL: https://id.example.com, clientID: from-file }
session: { encryptionKeyFile: ${await write(KEY)}, maxAge: 3600 }
redis: { enabled: true, address: redis, enableTls: True, password: 0123, hybridL1TTL: 7, db: ~ }
`,
      { ALLOW_ANY_USER: '', OIDC_CLIENT_ID: '' },
    ),
  )
  expect(settings).toMatchObject({
    PORT: 5000,
    ALLOWED_GROUPS: ['Sales, EMEA', 'staff'],
    PUBLIC_PATHS: ['/a', '/b'],
    OIDC_CLIENT_ID: 'from-file',
    SESSION_MAX_AGE: { seconds: 3600 },
    REDIS_HYBRID_L1_TTL: { seconds: 7 },
  })
  expect(redis).toMatchObject({ password: '0123', tls: { skipVerify: false } })
  expect(keyFile).toBeDefined()
})

test('scopes, keys and servers may be lists too', async () => {
  const environment = await withFile(
    `oidc: { scopes: [openid, email] }
session: { encryptionKey: [${KEY}, ${KEY}] }
redis: { enabled: true, cluster: true, address: [a, "b:7000", password=x] }`,
  )
  const { settings, keys, redis } = loadConfig(environment)
  expect([settings.OIDC_SCOPES, keys?.length]).toEqual(['openid email', 2])
  expect(redis).toMatchObject({
    servers: [{ host: 'a' }, { host: 'b', port: 7000 }],
    password: 'x',
  })
})

test('the example of the documentation can be used, its files aside', async () => {
  const [, example = ''] =
    /```yaml\n(.*?)```/s.exec(await readFile('docs/configuration.md', 'utf8')) ?? []
  const VESTIBULE_CONFIG = await write(example.replaceAll(/\/run\/secrets\/\S+/g, await write(KEY)))
  expect(problemsOf({ VESTIBULE_CONFIG })).toEqual([])
})

test('the environment wins over both ways in which the file may give a secret', async () => {
  const yaml = 'oidc: { clientSecretFile: /nowhere, clientId: a }\nadminToken: of-the-file'
  const path = await write('of-a-file')
  const environment = await withFile(yaml, { OIDC_CLIENT_SECRET: SECRET, ADMIN_TOKEN_FILE: path })
  const { settings } = loadConfig(environment)
  expect([settings.OIDC_CLIENT_SECRET, settings.ADMIN_TOKEN]).toEqual([SECRET, 'of-a-file'])
})

test('a probe reads its port from the file, also while rules in it are wrong', async () => {
  const VESTIBULE_CONFIG = await write('internalPort: 5001\nrules: [{ acess: deny }]\n')
  expect(loadSettings({ VESTIBULE_CONFIG }, 'INTERNAL_PORT')).toEqual({ INTERNAL_PORT: 5001 })
})

test.for(problemRows`
  redis: { adress: redis }
  ^VESTIBULE_CONFIG: redis: Unrecognized key: "adress"; is redis\.address meant\?$
  rediss: { address: redis }
  ^VESTIBULE_CONFIG: the file: Unrecognized key: "rediss"; is redis meant\?$
  redis: { host: a }
  ^VESTIBULE_CONFIG: redis: Unrecognized key: "host"$
  clientID: a
  ^VESTIBULE_CONFIG: the file: Unrecognized key: "clientID"; is oidc\.clientId meant\?$
  sessionEncryptionKey: ${SECRET}
  "sessionEncryptionKey"; is session\.encryptionKey meant\?$
  redis: { REDIS_ADDRESS: ${SECRET} }
  ^VESTIBULE_CONFIG: redis: Unrecognized key: "REDIS_ADDRESS"; is redis\.address meant\?$
  vestibuleConfig: other.yaml
  ^VESTIBULE_CONFIG: the file: Unrecognized key: "vestibuleConfig"$
  __proto__: { port: 1 }
  ^VESTIBULE_CONFIG: the file: has a key that is no name of a setting$
  redis: {password:${SECRET}}
  ^VESTIBULE_CONFIG: redis: has a key that is no name of a setting$
  redis: password ${SECRET}
  ^VESTIBULE_CONFIG: redis: is not a map such as redis: \{ enabled: … \}$
  redis: [{ password: ${SECRET} }]
  ^VESTIBULE_CONFIG: redis: is not a map
  redis: { password: { a: ${SECRET} } }
  ^VESTIBULE_CONFIG: redis\.password: is a map, but takes one value
  redis: { password: {{ ${SECRET} }} }
  ^VESTIBULE_CONFIG: redis\.password: is a map, but takes one value
  redis: { password: [${SECRET}] }
  ^VESTIBULE_CONFIG: redis\.password: is a list, but takes one value$
  redis: { enableTLS: true, enableTls: true }
  ^VESTIBULE_CONFIG: redis\.enableTls: is there twice, also as redis\.enableTLS$
  oidc: # nothing; redis:; port: x
  ^VESTIBULE_CONFIG: port \(PORT\): is not a whole number
  redis: { db: one }
  ^VESTIBULE_CONFIG: redis\.db \(REDIS_DB\): is not a whole number\. Number of the database\.$
  redis: { enabled: "yes" }
  ^VESTIBULE_CONFIG: redis\.enabled \(REDIS_ENABLED\): is neither true nor false
  allowedGroups: [{ a: ${SECRET} }]
  ^VESTIBULE_CONFIG: allowedGroups\.0: is not a text: write it in quotes, or remove it$
  adminToken: ${SECRET}; adminTokenFile: ${import.meta.filename}
  ^VESTIBULE_CONFIG: adminToken and .*adminTokenFile are both set: remove one
  adminTokenFile: /nowhere
  ^VESTIBULE_CONFIG: adminTokenFile: /nowhere cannot be read \(ENOENT\)
  redis: { password: *${SECRET} }
  not YAML: an alias without its anchor; a value that begins with \* needs quotes$
  redis: { password: !${SECRET} x }
  not YAML: line 1, column 20: an unknown tag
  redis: { password: @${SECRET} }
  not YAML: line 1, column 20: a value begins with a character that needs quotes$
  redis: { password: "\q${SECRET}" }
  not YAML: line 1, column 21: a backslash in double quotes
  redis: { password: "${SECRET} }
  not YAML: line 1, column \d+: a quote, bracket, comma or colon is missing$
  redis: { password: [${SECRET}
  not YAML: line 1, column \d+: the indentation does not fit, or a bracket is not closed$
  redis: { password: a }; redis: { password: ${SECRET} }
  not YAML: line 2, column 1: a key is there twice$
  redis: { password: a, password: ${SECRET} }
  not YAML: line 1, column 23: a key is there twice$
  1: a; "1": ${SECRET}
  not YAML: line 2, column 1: a key is there twice$
  0x10: a; 16: ${SECRET}
  not YAML: line 2, column 1: a key is there twice$
  ? [${SECRET}]; : 1
  ^VESTIBULE_CONFIG: the file: has a key that is no name of a setting$
  &a port: 1; *a : ${SECRET}
  not YAML: line 2, column 1: a key is there twice$
  port: 1; ---; port: 2
  not YAML: line 2, column 1: more than one document$
  ${SECRET}
  ^VESTIBULE_CONFIG: the file: is not a map of settings and rules$
  - ${SECRET}
  ^VESTIBULE_CONFIG: the file: is not a map
`)('%s is one problem that quotes no secret: %s', async ([yaml, problem]) => {
  const problems = problemsOf(await withFile(`${yaml.replaceAll('; ', '\n')}\n`))
  expect(problems).toEqual([expect.stringMatching(problem)])
  expect(problems[0]).not.toContain(SECRET)
})

test.for([
  ['aliases that multiply', `a: &a [x, x, x, x, x, x, x, x, x]\n${multiply(9)}`],
  ['endless nesting', `rules: ${'['.repeat(100_000)}`],
] as const)('a file with %s is one problem', async ([, yaml]) => {
  const problems = problemsOf(await withFile(yaml))
  expect(problems).toEqual([expect.stringMatching(/^VESTIBULE_CONFIG: not YAML: [^\n]{1,100}$/)])
})

test('a file that cannot be used leaves open what else is set', async () => {
  const { OIDC_ISSUER_URL: _, OIDC_CLIENT_ID: __, ...rest } = base
  expect(problemsOf({ ...rest, VESTIBULE_CONFIG: await write('oidc: {') })).toHaveLength(1)
})

/** Lines that each hold nine aliases of the line before. */
function multiply(levels: number): string {
  const names = [...'abcdefghij'].slice(0, levels + 1)
  return names
    .slice(1)
    .map((name, at) => `${name}: &${name} [${Array(9).fill(`*${names[at]}`).join()}]\n`)
    .join('')
}
