import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { startTestProvider, type TestProvider } from '../../support/provider.ts'
import { type RunningRedis, startRedis } from '../../support/redis.ts'
import { type RunningCluster, startCluster } from '../../support/redis-cluster.ts'
import { PRIMARY_NAME, startWatchedRedis } from '../../support/redis-sentinel.ts'
import { until } from '../../support/redis-state.ts'
import { APP } from '../../support/relying-party.ts'
import { SERVER_KEY, untilStarted } from '../../support/replicas.ts'
import { type RunningVestibule, startVestibule } from '../../support/vestibule.ts'

const addresses = (servers: readonly { readonly host: string; readonly port: number }[]) =>
  servers.map(({ host, port }) => `${host}:${port}`).join(',')

/** Answers that sign nobody out and send nobody to the provider. */
const ALLOWED_OR_LATER = new Set([200, 503])

describeWithRedis('the service', () => {
  let provider: TestProvider
  let folder: string
  beforeAll(async () => {
    provider = await startTestProvider({ origins: [APP] })
    folder = await mkdtemp(join(tmpdir(), 'vestibule-topologies-'))
  })
  afterAll(async () => {
    await provider[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  const start = (settings: Readonly<Record<string, string>>): Promise<RunningVestibule> =>
    startVestibule({
      OIDC_ISSUER_URL: provider.issuer,
      OIDC_CLIENT_ID: provider.clientId,
      OIDC_CLIENT_SECRET: provider.clientSecret,
      SESSION_ENCRYPTION_KEY: SERVER_KEY,
      REDIS_ENABLED: 'true',
      // Allows for a Redis that a busy machine delays.
      CHECK_STORE_TIMEOUT_MS: '1000',
      ...settings,
    })
  const linesOf = (vestibule: RunningVestibule, event: string) =>
    vestibule.log().filter((line) => line['event'] === event)
  const connectedTo = async (vestibule: RunningVestibule) => {
    await until('a connection', () => linesOf(vestibule, 'redis_connected').length > 0)
    await untilStarted(vestibule)
  }
  /** Returns the statuses of a check until it is 200 again. */
  const checksUntilAllowed = async (vestibule: RunningVestibule, Cookie: string) => {
    const statuses = new Set<number>()
    const isAllowed = async () => {
      const { status } = await vestibule.check({}, { Cookie })
      statuses.add(status)
      return status === 200
    }
    await until('a check that is allowed', isAllowed, 20_000)
    return statuses
  }

  test('keeps sessions through a failover by Sentinels whose password was rotated', async () => {
    const sentinelPassword = randomUUID()
    await using redis = await startWatchedRedis({ sentinelPassword })
    const passwordFile = join(folder, 'sentinel-password')
    await writeFile(passwordFile, `${sentinelPassword}\n`)
    await using vestibule = await start({
      REDIS_SENTINEL_ADDRESSES: addresses(redis.sentinels),
      REDIS_SENTINEL_MASTER: PRIMARY_NAME,
      REDIS_SENTINEL_PASSWORD_FILE: passwordFile,
      REDIS_PASSWORD: redis.target.password ?? '',
    })
    await connectedTo(vestibule)
    const cookie = await vestibule.signIn('alice')
    await redis.servers[0].cli('WAIT', '2', '1000')
    const changed = randomUUID()
    for (const sentinel of redis.sentinels) {
      await sentinel.cli('SENTINEL', 'CONFIG', 'SET', 'sentinel-pass', changed)
      await sentinel.cli('ACL', 'SETUSER', 'default', 'resetpass', `>${changed}`)
    }
    await writeFile(passwordFile, `${changed}\n`)
    await redis.servers[0].kill()
    await until('the loss', () => linesOf(vestibule, 'redis_disconnected').length > 0)
    expect((await checksUntilAllowed(vestibule, cookie)).difference(ALLOWED_OR_LATER)).toEqual(
      new Set(),
    )
    await until('a new connection', () => linesOf(vestibule, 'redis_connected').length > 1, 15_000)
    await untilWhole([vestibule])
    expect((await vestibule.check({}, { Cookie: cookie })).status).toBe(200)
    expect((await vestibule.check({}, { Cookie: await vestibule.signIn('bob') })).status).toBe(200)
    expect(vestibule.output()).not.toContain(changed)
    expect(vestibule.output()).not.toContain(sentinelPassword)
  })

  const startAt = ({ target }: RunningCluster) =>
    start({ REDIS_CLUSTER: 'true', REDIS_ADDRESS: addresses(target.servers) })

  test('keeps the sessions of a failed primary of a cluster', async () => {
    await using redis = await startCluster({ shards: 3, replicasPerShard: 1 })
    await using vestibule = await startAt(redis)
    await connectedTo(vestibule)
    const cookies = await Promise.all(
      ['alice', 'bob', 'alice', 'bob', 'alice', 'bob'].map((name) => vestibule.signIn(name)),
    )
    for (const server of redis.primaries) await server.cli('WAIT', '1', '1000')
    await (redis.primaries[0] as RunningRedis).kill()
    const seen = await Promise.all(cookies.map((cookie) => checksUntilAllowed(vestibule, cookie)))
    for (const statuses of seen) expect(statuses.difference(ALLOWED_OR_LATER)).toEqual(new Set())
    await until('a whole cluster', () => linesOf(vestibule, 'redis_connected').length > 1, 10_000)
    await untilWhole([vestibule])
    expect((await vestibule.check({}, { Cookie: await vestibule.signIn('bob') })).status).toBe(200)
    const lost = `the primary 127.0.0.1:${redis.primaries[0]?.port} of the cluster cannot be reached`
    expect(linesOf(vestibule, 'redis_disconnected')).toMatchObject([{ reason: lost }])
  })

  test('works with a cluster of one shard, without a finding', async () => {
    await using redis = await startCluster({ shards: 1 })
    await using vestibule = await startAt(redis)
    await connectedTo(vestibule)
    expect((await vestibule.check({}, { Cookie: await vestibule.signIn('alice') })).status).toBe(
      200,
    )
    expect(linesOf(vestibule, 'redis_finding')).toEqual([])
  })

  test('logs which setting to change when settings do not fit the servers', async () => {
    await using plain = await startRedis()
    const rows: readonly (readonly [Readonly<Record<string, string>>, object])[] = [
      [
        { REDIS_CLUSTER: 'true', REDIS_ADDRESS: addresses([plain]) },
        {
          failure: 'cluster',
          reason: expect.stringMatching(/^REDIS_CLUSTER is true, but this is not/) as string,
        },
      ],
      [
        { REDIS_SENTINEL_ADDRESSES: addresses([plain]), REDIS_SENTINEL_MASTER: PRIMARY_NAME },
        {
          failure: 'sentinel',
          reason: expect.stringMatching(/^REDIS_SENTINEL_ADDRESSES leads to/) as string,
        },
      ],
    ]
    for (const [settings, told] of rows) {
      await using vestibule = await start(settings)
      await until('a line', () => linesOf(vestibule, 'redis_disconnected').length > 0)
      expect(linesOf(vestibule, 'redis_disconnected')).toMatchObject([told])
    }
  })
})
