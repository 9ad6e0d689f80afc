import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { startLoadedFleet } from '../../support/loaded-fleet.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { print } from '../../support/printed.ts'
import { startWatchedRedis } from '../../support/redis-sentinel.ts'
import { openState, until } from '../../support/redis-state.ts'

const TTL_MS = 60_000
const MAX_LAG_SECONDS = 1

describeWithRedis('F17 two servers that both take themselves for the primary', () => {
  test('under load the replicas leave the old one, and nobody notices', async () => {
    await using redis = await startWatchedRedis()
    await using loaded = await startLoadedFleet(redis.target)
    const [old] = redis.servers
    const sinceMs = performance.now()
    await redis.isolate(old)
    await until('another primary', async () => (await redis.primaryPort()) !== old.port, 60_000)
    await loaded.expectUnnoticed('F17 the old primary isolated', sinceMs)
    expect(await old.cli('ROLE'), 'it still takes itself for the primary').toMatch(/^master/)
  })

  test('the bound: who knows the old one alone is refused once its replicas have been silent for min-replicas-max-lag', async () => {
    await using redis = await startWatchedRedis()
    const [old] = redis.servers
    await old.cli('CONFIG', 'SET', 'min-replicas-to-write', '1')
    await old.cli('CONFIG', 'SET', 'min-replicas-max-lag', `${MAX_LAG_SECONDS}`)
    const { password = '' } = redis.target
    await using stuck = openState({
      kind: 'single',
      host: old.host,
      port: old.port,
      database: 0,
      password,
    })
    await using watching = openState(redis.target)
    await until('connections', () => stuck.redis.isConnected && watching.redis.isConnected)
    const consume = ({ state }: typeof stuck, key: string) =>
      state.oneTimeKeys.consume('bearer', key, randomUUID(), TTL_MS)
    expect(await consume(stuck, 'before')).toBe(true)
    expect(await consume(watching, 'before')).toBe(false)

    await redis.isolate(old)
    const isRefused = () =>
      consume(stuck, randomUUID()).then(
        () => false,
        () => true,
      )
    const { ownMs } = await timed(until('a refusal', isRefused, 60_000))
    print(`F17: the isolated primary refuses after ${ownMs.toFixed(0)} ms`)
    // Redis looks at the lag each second, in whole seconds.
    expect(ownMs).toBeLessThan((MAX_LAG_SECONDS + 2) * 1000 + BUSY_MS)
    expect(stuck.failures).toContain('replication')
    await until(
      'writes at the new primary',
      () =>
        consume(watching, 'after').then(
          (isFirst) => isFirst,
          () => false,
        ),
      60_000,
    )
    await expect(consume(stuck, 'after')).rejects.toThrow()
    expect(await consume(watching, 'before')).toBe(false)
  })
})
