import { randomBytes, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { createAuthority } from '../../../stand-ins/certificates.ts'
import { type RunningRedis, startRedis } from '../../support/redis.ts'
import { startCluster } from '../../support/redis-cluster.ts'
import { startWatchedRedis } from '../../support/redis-sentinel.ts'
import { type ObservedState, openState, tryConnection, until } from '../../support/redis-state.ts'
import { describeWithRedis } from '../../support/replicas.ts'

const PASSWORD = `it's-"difficult"-${randomBytes(8).toString('hex')}`.replaceAll(/["']/g, '-')
const LONG_MS = 60_000

type Target = Parameters<typeof openState>[0]

/** Uses each port by one replica for another; `test/redis/contracts.test.ts` has the rest. */
const useEveryPort = async (target: Target): Promise<void> => {
  await using one = openState(target)
  await using other = openState(target)
  await until(
    'backplanes',
    () => [one, other].every(({ redis }) => redis.isBackplaneHealthy),
    90_000,
  )
  const before = one.failures.length
  for (let round = 0; round < 10; round += 1) await useOnce(one, other)
  expect(one.failures.slice(before), 'no command fails').toEqual([])
}

const useOnce = async ({ state: one }: ObservedState, heard: ObservedState): Promise<void> => {
  const other = heard.state
  const digest = randomUUID()
  const records = { identity: Buffer.of(1), tokens: Buffer.of(2), metadata: Buffer.of(3) }
  await one.store.create(digest, records, LONG_MS)
  await one.sessionsByOwner.add(digest, { user: digest }, LONG_MS)
  expect(await other.store.read(digest, ['identity', 'tokens', 'metadata'])).toEqual(records)
  expect(await other.sessionsByOwner.list('user', digest)).toEqual([digest])
  expect((await Array.fromAsync(other.store.list())).flat()).toContain(digest)
  expect(await one.locks.acquire(digest, { owner: 'one', note: 'note', ttlMs: LONG_MS })).toEqual({
    isOurs: true,
  })
  expect(
    await other.locks.acquire(digest, { owner: 'other', note: 'note', ttlMs: LONG_MS }),
  ).toMatchObject({
    isOurs: false,
  })
  const after = { identity: Buffer.of(4), tokens: Buffer.of(5) }
  expect(await one.store.replace(digest, after, records.tokens)).toBe('replaced')
  expect(await other.store.replace(digest, after, records.tokens)).toBe('replaced')
  const generation = await other.generations.current()
  await one.generations.advance(digest, LONG_MS)
  expect(await other.generations.oldestOf(digest)).toBeGreaterThan(generation)
  expect(
    await one.oneTimeKeys.consume({ kind: 'login', key: digest, attemptId: 'one' }, LONG_MS),
  ).toBe(true)
  expect(
    await other.oneTimeKeys.consume({ kind: 'login', key: digest, attemptId: 'other' }, LONG_MS),
  ).toBe(false)
  await one.denyList.add(digest, LONG_MS)
  expect((await other.denyList.list()).map(({ token }) => token)).toContain(digest)
  await one.store.end(digest, LONG_MS, 'operator')
  await other.store.create(digest, records, LONG_MS)
  expect(await other.store.read(digest, ['identity'])).toEqual({})
  expect(await other.store.readLives([digest])).toEqual([{ kind: 'ended', reason: 'operator' }])
  const hasHeard = (type: string) =>
    heard.messages.some(
      (message) => message.type === type && JSON.stringify(message).includes(digest),
    )
  await until('the messages', () =>
    ['evict', 'session-ended', 'token-denied'].every((type) => hasHeard(type)),
  )
}

const failureOf = async (target: Target): Promise<string | undefined> => {
  await using opened = await tryConnection(target)
  return opened.connection.isConnected ? undefined : opened.disconnected[0]
}
const keysAt = async ({ cli }: RunningRedis, pattern = 'vestibule:*') =>
  (await cli('KEYS', pattern)).split('\n').filter((key) => key !== '')

describeWithRedis('every port over', () => {
  test('another database, which holds all keys', async () => {
    await using redis = await startRedis()
    await useEveryPort({ port: redis.port, database: 7 })
    expect(await redis.cli('INFO', 'keyspace')).toMatch(/^# Keyspace\s+db7:\S+\s*$/)
  })

  test('a password, which is required', async () => {
    await using redis = await startRedis({ password: PASSWORD })
    await useEveryPort({ port: redis.port, password: PASSWORD })
    expect(await failureOf({ port: redis.port })).toBe('auth')
  })

  test('TLS with a client certificate, which is required', async () => {
    const tls = { authority: await createAuthority(), requireClientCertificate: true }
    await using redis = await startRedis({ tls })
    const read = (path: string) => readFile(path, 'utf8')
    const { ca, certificate, key } = redis.clientFiles
    const trust = { ca: await read(ca), skipVerify: false }
    const own = { cert: await read(certificate), key: await read(key) }
    await useEveryPort({ port: redis.port, tls: { ...trust, ...own } })
    expect(await failureOf({ port: redis.port, tls: trust })).toBe('tls')
  })

  test('Sentinels, at the primary that they report', async () => {
    await using redis = await startWatchedRedis()
    await useEveryPort(redis.target)
    const [primary, replica] = redis.servers
    expect(await primary.cli('WAIT', '2', '5000')).toBe('2')
    expect((await keysAt(replica)).toSorted()).toEqual((await keysAt(primary)).toSorted())
  })

  test('Sentinels with a password, all with TLS', async () => {
    const authority = await createAuthority()
    await using redis = await startWatchedRedis({ tls: { authority }, sentinelPassword: PASSWORD })
    const tls = { ca: authority.certificate, skipVerify: false }
    await useEveryPort({ ...redis.target, tls })
    expect(await failureOf(redis.target), 'without TLS').toMatch(/^(?:connection|deadline|tls)$/)
    const wrong = { ...redis.target, tls, sentinelPassword: 'wrong' }
    expect(await failureOf(wrong)).toBe('auth')
  })

  test('a cluster of one shard', async () => {
    await using redis = await startCluster({ shards: 1 })
    await useEveryPort(redis.target)
  })

  test('a cluster with replicas, over all shards and on each replica', async () => {
    await using redis = await startCluster({ shards: 3, replicasPerShard: 1, password: PASSWORD })
    // Runs twice, because random keys may leave a shard out once.
    await useEveryPort(redis.target)
    await useEveryPort(redis.target)
    for (const [shard, primary] of redis.primaries.entries()) {
      const keys = await keysAt(primary)
      expect(keys.length, `shard ${shard}`).toBeGreaterThan(0)
      expect(await primary.cli('WAIT', '1', '5000')).toBe('1')
      expect((await keysAt(redis.replicas[shard] as RunningRedis)).length).toBeGreaterThan(0)
    }
  })
})
