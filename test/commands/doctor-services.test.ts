import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import { doctor } from '../../src/commands/doctor.ts'
import type { Environment } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { SETTING_NAMES } from '../../src/config/settings/settings.ts'
import { type Answer, type Ask, createAsk, failureCodeOf } from '../../src/doctor/ask.ts'
import type { Patient } from '../../src/doctor/examination.ts'
import { runExamination } from '../../src/doctor/examinations.ts'
import { CODES, type Finding, type FindingCode } from '../../src/doctor/finding.ts'
import { examineInternalOutside } from '../../src/doctor/hosts/internal-outside.ts'
import { examinePlainPort } from '../../src/doctor/hosts/reach.ts'
import { examineInternalListener } from '../../src/doctor/internal-listener.ts'
import { findPlaces, type Place } from '../../src/doctor/places.ts'
import { examineCredentials } from '../../src/doctor/provider/credentials.ts'
import { examineRedisServer } from '../../src/doctor/redis.ts'
import { examineRuntime } from '../../src/doctor/runtime.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { closeServer, listenOn } from '../../stand-ins/network/server.ts'
import { runCommand } from '../support/command.ts'
import { confidential } from '../support/configuration.ts'
import { makeTlsFiles } from '../support/internal-tls.ts'
import { type RedisOptions, startRedis } from '../support/redis.ts'
import { redisMissing } from '../support/redis-home.ts'
import { speakWell, startSpokenRedis } from '../support/spoken-redis.ts'

const KEY = randomBytes(32).toString('base64')

const patientWith = (changes: Environment = {}, more: Partial<Patient> = {}) =>
  ({
    config: loadConfig({
      ...confidential,
      SESSION_ENCRYPTION_KEY: KEY,
      ...changes,
    }),
    versions: { own: '0.1.0', node: '26.13.1' },
    note: () => undefined,
    ...more,
  }) as Patient

const codesOf = (findings: readonly Finding[]) => findings.map(({ code }) => code)

const missing = await redisMissing()

const READ_ONLY = 'user vestibule on >secret ~vestibule:* &* +@all -zadd'

type RedisRow = readonly [code: string, names: string, options: RedisOptions, changes: Environment]

const ROWS: readonly RedisRow[] = [
  ['redis_auth', 'REDIS_PASSWORD', { password: 'right' }, { REDIS_PASSWORD: 'wrong' }],
  ['redis_auth', 'REDIS_PASSWORD', { password: 'right' }, {}],
  ['redis_tls', 'REDIS_ENABLE_TLS', {}, { REDIS_ENABLE_TLS: 'true', REDIS_CONNECT_TIMEOUT: '1' }],
  [
    'redis_rights',
    '+zadd',
    { users: [READ_ONLY] },
    { REDIS_USERNAME: 'vestibule', REDIS_PASSWORD: 'secret' },
  ],
  [
    'redis_rights',
    '&vestibule:',
    { users: ['user vestibule on >secret ~vestibule:* resetchannels +@all'] },
    { REDIS_USERNAME: 'vestibule', REDIS_PASSWORD: 'secret' },
  ],
  ['redis_state', 'min-replicas-to-write', { args: ['--min-replicas-to-write', '1'] }, {}],
  ['redis_eviction', 'noeviction', { args: ['--maxmemory-policy', 'allkeys-lru'] }, {}],
  ['redis_full', 'maxmemory', { args: ['--maxmemory', '1'] }, {}],
  ['redis_replica', 'REDIS_ADDRESS', { args: ['--replicaof', '127.0.0.1', '9'] }, {}],
  ['redis_cluster', 'REDIS_CLUSTER', { args: ['--cluster-enabled', 'yes'] }, {}],
]

/** Commands that the remedies name. */
const CURES: Readonly<Record<string, string>> = {
  redis_eviction: 'CONFIG SET maxmemory-policy noeviction',
  redis_full: 'CONFIG SET maxmemory 0',
  redis_replica: 'REPLICAOF NO ONE',
  redis_state: 'CONFIG SET min-replicas-to-write 0',
}

describe('a fault of Redis', () => {
  test.for(ROWS)('is %s, whose remedy names %s', async (row, { skip }) => {
    skip(missing !== undefined, missing)
    const [code, names, options, changes] = row
    await using redis = await startRedis(options)
    const before = await redis.cli('DBSIZE')
    const address = { REDIS_ENABLED: 'true', REDIS_ADDRESS: `127.0.0.1:${redis.port}` }
    const findings = await examineRedisServer(patientWith({ ...address, ...changes }))
    expect(new Set(codesOf(findings))).toEqual(new Set([code]))
    expect(findings.map(({ seen, remedy }) => seen + remedy).join()).toContain(names)
    expect(findings.map(({ seen }) => seen).join()).not.toMatch(/wrong|secret/)
    expect(await redis.cli('DBSIZE')).toBe(before)
    const rights = findings.flatMap(({ remedy }) => remedy.match(/ACL SETUSER.+/) ?? [])
    const cures = CURES[code] === undefined ? rights : [CURES[code]]
    if (cures.length === 0) return
    for (const cure of cures) await redis.cli(...cure.replace('<user>', 'vestibule').split(' '))
    expect(await examineRedisServer(patientWith({ ...address, ...changes }))).toEqual([])
  })

  test('that cannot be reached or speaks TLS is named, and a good one has none', async ({
    skip,
  }) => {
    skip(missing !== undefined, missing)
    await using redis = await startRedis({ tls: { authority: await createAuthority() } })
    const address = { REDIS_ENABLED: 'true', REDIS_ADDRESS: `127.0.0.1:${redis.port}` }
    expect(codesOf(await examineRedisServer(patientWith(address)))).toEqual(['redis_tls'])
    const trusting = { REDIS_ENABLE_TLS: 'true', REDIS_CA_FILE: redis.clientFiles.ca }
    expect(await examineRedisServer(patientWith({ ...address, ...trusting }))).toEqual([])
    await redis.kill()
    expect(codesOf(await examineRedisServer(patientWith(address)))).toEqual(['redis_unreachable'])
  })
})

const SERVER = 'redis_version:7.4.9\r\nrole:master\r\nmaxmemory_policy:noeviction'

type SaidRow = readonly [readonly FindingCode[], info: string, offsetSeconds?: number]

const SAID: readonly SaidRow[] = [
  [[], SERVER],
  [['redis_version'], SERVER.replace('7.4.9', '7.4.5')],
  [['redis_version'], SERVER.replace('7.4.9', '6.2.21')],
  [[], `${SERVER.replace('7.4.9', '7.4.0')}\r\ndragonfly_version:df-v1.30.0`],
  [['redis_clock'], SERVER, -300],
  [['redis_sentinel'], `${SERVER}\r\nredis_mode:sentinel`],
]

test.for(SAID)('%j is found of a Redis that says %j', async ([codes, info, offsetSeconds = 0]) => {
  await using redis = await startSpokenRedis((command, connection) => {
    const seconds = `${Math.floor(Date.now() / 1000) + offsetSeconds}`
    if (command[0] === 'INFO') return `$${info.length}\r\n${info}\r\n`
    if (command[0] === 'TIME') return `*2\r\n$${seconds.length}\r\n${seconds}\r\n$1\r\n0\r\n`
    return speakWell(command, connection)
  })
  const address = { REDIS_ENABLED: 'true', REDIS_ADDRESS: `127.0.0.1:${redis.port}` }
  expect(codesOf(await examineRedisServer(patientWith(address)))).toEqual(codes)
})

const answering =
  (body: unknown, status = 200) =>
  async (): Promise<Answer> => ({
    status,
    headers: {},
    body: JSON.stringify(body),
  })

const healthy = { reasons: [], version: '0.1.0' }

test.each([
  ['nothing', healthy, []],
  [
    'degraded',
    { ...healthy, reasons: [{ code: 'fleet_rules', message: 'replicas differ' }] },
    ['degraded'],
  ],
  ['another version', { ...healthy, version: '0.0.9' }, ['service_version']],
  ['another service', { ok: true }, ['internal_unreachable']],
])('the running service says %s', async (_, body, codes) => {
  const internal = { origins: ['http://127.0.0.1:4181'], ask: answering(body) }
  expect(codesOf(await examineInternalListener(patientWith({}, { internal })))).toEqual(codes)
})

test.each([
  ['26.12.0', ['node_version']],
  ['26.12.1', []],
  ['27.0.0', []],
])('Node %s', async (node, codes) => {
  expect(codesOf(await examineRuntime(patientWith({}, { versions: { own: '', node } })))).toEqual(
    codes,
  )
})

test.each([
  [200, ['http_open']],
  [301, []],
  [404, []],
])('port 80 of an https host answers %s', async (status, codes) => {
  const {
    places: [place],
  } = findPlaces(patientWith().config, [])
  if (!place) throw new Error('no place')
  expect(codesOf(await examinePlainPort(place, answering('', status)))).toEqual(codes)
})

const open: Ask = answering({ revocations_waiting: 0 })
const closed: Ask = () => Promise.reject(new Error('refused'))

test.for([
  { says: 'is found', tls: undefined, asked: open, pinned: closed, count: 1 },
  { says: 'is found by the certificate', tls: 'settings', asked: closed, pinned: open, count: 1 },
  { says: 'is none to clients alone', tls: 'mutual', asked: closed, pinned: open, count: 0 },
] as const)('an open internal port $says', async ({ tls, asked, pinned, count }) => {
  using files = await makeTlsFiles()
  const host = 'https://192.0.2.1'
  const ask: Ask = (url) => (url.startsWith(`${host}/`) ? closed(url) : asked(url))
  const changes = { PROTECTED_HOSTS: host, ...(tls && files[tls]) }
  const patient = patientWith(changes, { ask, internal: { origins: [], ask: pinned } })
  const [place] = findPlaces(patient.config, []).places
  expect(await examineInternalOutside(place as Place, patient)).toHaveLength(count)
})

test.each([
  ['http://id.example.com', 'https://id.example.com/token'],
  ['https://id.example.com', 'http://id.example.com/token'],
])('a secret follows no metadata of %s to %s', async (issuer, token_endpoint) => {
  const settings = { OIDC_ISSUER_URL: issuer, ALLOW_INSECURE_HTTP: 'true' }
  const { config } = patientWith(settings)
  const patient = patientWith(settings, { places: findPlaces(config, []).places })
  const fetch = () => Promise.reject(new Error('the secret was sent'))
  expect(await examineCredentials({ issuer, token_endpoint }, patient, fetch)).toEqual([])
})

test.each(['/head', '/body'])(
  'a server that hangs at its %s ends a request at its limit',
  async (path) => {
    const server = createServer(({ url }, response) => {
      if (url === '/body') response.write('{')
    })
    const port = await listenOn(server)
    const asked = createAsk()(`http://127.0.0.1:${port}${path}`, { timeoutMs: 50 })
    expect(failureCodeOf(await asked.catch((cause: unknown) => cause))).toBe('TIMEOUT')
    await closeServer(server)
  },
)

test('a part that throws is one finding, and a host below a wildcard is examined as it is named', async () => {
  const title = 'the moon'
  const examine = () => Promise.reject(Object.assign(new Error('a secret'), { code: 'EBROKEN' }))
  const [found] = await runExamination({ title, examine }, patientWith())
  expect([found?.code, found?.seen]).toEqual(['examination_failed', 'the moon: EBROKEN.'])
  const { config } = patientWith({ PROTECTED_HOSTS: '*.example.com' })
  const { places, untried, foreign } = findPlaces(config, ['app.example.com', 'app.example.org'])
  expect(places.map(({ site }) => site.origin)).toEqual(['https://app.example.com'])
  expect([untried, foreign]).toEqual([[], ['app.example.org']])
  expect(findPlaces(config, []).untried).toHaveLength(1)
})

test.each([
  ['--nothing'],
  ['--internal-url=ftp://a'],
  ['--ca=/none'],
  ['word'],
  ['--connect=a/b'],
  ['--path=a'],
  ['--host=app.example.org'],
  ['--traefik-api=http://me:secret@a/api'],
])('a usage error ends with 2: %s', async (option) => {
  const { code, output } = await runCommand(() => doctor(confidential, option))
  expect([code, output]).toEqual([
    2,
    expect.stringMatching(/^vestibule: (?:--\w|.+\n(?:.+\n)*usage: vestibule doctor)/),
  ])
})

test('docs/doctor.md explains every code, and no other', () => {
  const [, codes = ''] = readFileSync('docs/doctor.md', 'utf8').split('## Codes')
  const rows = codes.split('\n').filter((line) => line.startsWith('| `'))
  const wanted = Object.entries(CODES).map(
    ([code, { why, remedy }]) => `| \`${code}\` | ${why} | ${remedy} |`,
  )
  expect(rows).toEqual(wanted)
  const texts = Object.values(CODES).flatMap(({ why, remedy }) => [why, remedy])
  const named = new Set(texts.join(' ').match(/\b[A-Z]+_[A-Z_]+\b/g))
  expect([...named].filter((name) => !SETTING_NAMES.some((each) => each === name))).toEqual([])
})
