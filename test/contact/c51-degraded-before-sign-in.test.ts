import { expect, test } from 'vitest'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { leastUser } from '../support/least-user.ts'
import { ADMIN_TOKEN, askAdmin } from '../support/operator.ts'
import { readMetric } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import { prepared } from '../support/prepared.ts'
import { startTestProvider } from '../support/provider.ts'
import { type RedisOptions, startRedis } from '../support/redis.ts'
import { APP } from '../support/relying-party.ts'
import { describeWithRedis, HYBRID, PATIENT, SERVER_KEY } from '../support/replicas.ts'
import { startLogin, untilCallback } from '../support/sign-in-steps.ts'
import { type RunningVestibule, startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

interface Case {
  readonly redis?: RedisOptions
  /** Commands for the server before the service starts. */
  readonly asked?: readonly (readonly string[])[]
  readonly settings?: Readonly<Record<string, string>>
}

const set = (name: string, value: string) => [['CONFIG', 'SET', name, value]]
const USER = { REDIS_USERNAME: 'app', REDIS_PASSWORD: 'secret' }
const without = (...commands: readonly string[]): Case => ({
  redis: { users: [[leastUser('app', 'secret'), ...commands].join(' ')] },
  settings: USER,
})
const forKeysWithout = (kind: string): Case => {
  const kinds = words`{ u: p: g: j:`.filter((each) => !each.startsWith(kind))
  const patterns = kinds.map((each) => `~vestibule:${each}*`)
  return without('resetkeys', ...patterns)
}
const renamed = (...commands: readonly string[]): Case => ({
  redis: { lines: commands.map((name) => `rename-command ${name} ""`) },
})
/** An address at which nothing listens. */
const nowhere = await steadyPort()
const clusterBus = `${await steadyPort()}`

/** States of Redis in which sessions cannot be written, and the code of the reason. */
const unwritable: readonly (readonly [what: string, code: string, Case])[] = [
  ['a user with the right to read alone', 'rights', without('-@write', '-eval')],
  ...words`set eval zadd pexpire get del`.map(
    (name) => [`a user without ${name}`, 'rights', without(`-${name}`)] as const,
  ),
  [
    'a user for another prefix',
    'rights',
    { ...without(), settings: { ...USER, REDIS_KEY_PREFIX: 'b:' } },
  ],
  ...words`u g j`.map(
    (kind) => [`a user for no keys of kind ${kind}`, 'rights', forKeysWithout(kind)] as const,
  ),
  ['a user without SELECT', 'rights', { ...without(), settings: { ...USER, REDIS_DB: '3' } }],
  ['a service without EVAL', 'unsupported', renamed('EVAL')],
  [
    'the address of a replica',
    'replica',
    { redis: { args: ['--replicaof', '127.0.0.1', `${nowhere}`] } },
  ],
  [
    'the address of one node of a cluster',
    'cluster',
    {
      redis: { args: ['--cluster-enabled', 'yes', '--cluster-port', clusterBus] },
      asked: [['CLUSTER', 'ADDSLOTSRANGE', '0', '8191']],
    },
  ],
  ['a full Redis', 'full', { asked: set('maxmemory', '1') }],
  ['a Redis with too few replicas', 'replication', { asked: set('min-replicas-to-write', '1') }],
]

/** States that are findings at most, and keep nobody from signing in. */
const usable: readonly (readonly [what: string, codes: readonly string[], Case])[] = [
  ['the user of the docs', [], without()],
  ['an evicting policy', ['eviction'], { asked: set('maxmemory-policy', 'allkeys-lru') }],
  [
    'a user without INFO, SCAN and PING',
    ['rights', 'rights', 'rights'],
    without('-info', '-scan', '-ping'),
  ],
  ['a service without INFO and SCAN', ['unsupported', 'unsupported'], renamed('INFO', 'SCAN')],
  ['a server without HELLO, as Redis 5', [], renamed('HELLO')],
  ['a server without HELLO and CLIENT', [], renamed('HELLO', 'CLIENT')],
]

interface Health {
  readonly status: string
  readonly reasons: readonly { readonly code: string; readonly message: string }[]
  readonly cache: { readonly redis: { readonly findings: readonly { readonly code: string }[] } }
}

describeWithRedis('C51 /health tells whether people can sign in', () => {
  const provider = prepared(() => startTestProvider({ origins: [APP] }))

  async function start({ redis: options = {}, asked = [], settings = {} }: Case) {
    const started = new AsyncDisposableStack()
    const redis = started.use(await startRedis(options))
    for (const command of asked) await redis.cli(...command)
    const vestibule = await startVestibule({
      OIDC_ISSUER_URL: provider().issuer,
      OIDC_CLIENT_ID: provider().clientId,
      OIDC_CLIENT_SECRET: provider().clientSecret,
      SESSION_ENCRYPTION_KEY: SERVER_KEY,
      REDIS_ENABLED: 'true',
      REDIS_ADDRESS: `127.0.0.1:${redis.port}`,
      ...PATIENT,
      ...settings,
    })
    started.use(vestibule)
    await until('a start', async () => (await vestibule.internal('/startupz')).status === 200)
    return { redis, vestibule, [Symbol.asyncDispose]: () => started.disposeAsync() }
  }

  async function healthOf(vestibule: RunningVestibule) {
    const { status, body } = await vestibule.internal('/health?strict=1')
    return { strict: status, ...(JSON.parse(body) as Health) }
  }
  async function signInStatus(vestibule: RunningVestibule): Promise<number> {
    const browser = vestibule.visitor()
    const begun = await startLogin(browser)
    if (begun.status === 503) return 503
    return (await browser.get(await untilCallback(browser))).status
  }

  test.for(unwritable)('%s is degraded before the first sign-in fails', async ([, code, state]) => {
    await using world = await start(state)
    const { strict, status, reasons } = await healthOf(world.vestibule)
    expect([strict, status]).toEqual([503, 'degraded'])
    expect(reasons).toContainEqual({ code, message: expect.stringMatching(/.{20}/) as string })
    // Waits, because a connection to a replica is opened anew before it has been examined.
    const gauge = `vestibule_redis_findings{code="${code}"}`
    await until('the gauge', async () => (await readMetric(world.vestibule, gauge)) > 0)
    expect(await signInStatus(world.vestibule)).toBe(503)
  })

  test.for(usable)('%s is healthy, and people sign in', async ([, codes, state]) => {
    await using world = await start(state)
    const { strict, status, reasons, cache } = await healthOf(world.vestibule)
    expect([strict, status, reasons]).toEqual([200, 'healthy', []])
    expect(cache.redis.findings.map((finding) => finding.code)).toEqual(codes)
    expect(await signInStatus(world.vestibule)).toBe(302)
  })

  test('a server without HELLO carries the messages of replicas, too (C54)', async () => {
    await using world = await start({ ...renamed('HELLO'), settings: { ...HYBRID, ADMIN_TOKEN } })
    const { vestibule } = world
    await until('health', async () => (await healthOf(vestibule)).strict === 200)
    await world.redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    const events = () => vestibule.log().map(({ event }) => event)
    await until('the loss', () => events().includes('backplane_broken'))
    await until('health again', async () => (await healthOf(vestibule)).strict === 200)
    expect(await signInStatus(vestibule)).toBe(302)
    const { body } = await askAdmin(vestibule, 'GET', 'sessions')
    expect(body).toMatchObject({ sessions: [{ subject: 'alice' }] })
    expect((await askAdmin(vestibule, 'DELETE', 'sessions?all=true')).body).toEqual({ ended: 1 })
  })

  test('a Redis that gets full while running is degraded until it has room again', async () => {
    await using world = await start({})
    const { redis, vestibule } = world
    expect((await healthOf(vestibule)).reasons).toEqual([])
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    const codes = async () => (await healthOf(vestibule)).reasons.map(({ code }) => code)
    await until('a reason', async () => (await codes()).includes('full'))
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
    await until('no reason', async () => (await healthOf(vestibule)).strict === 200, 30_000)
  })
})
