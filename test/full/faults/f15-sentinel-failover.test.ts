import { test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { startLoadedFleet } from '../../support/loaded-fleet.ts'
import type { RunningRedis } from '../../support/redis.ts'
import { PRIMARY_NAME, startWatchedRedis, type WatchedRedis } from '../../support/redis-sentinel.ts'

const events: readonly (readonly [
  what: string,
  event: (redis: WatchedRedis) => Promise<unknown>,
])[] = [
  [
    'an ordered failover',
    ({ sentinels }) => (sentinels[0] as RunningRedis).cli('SENTINEL', 'FAILOVER', PRIMARY_NAME),
  ],
  ['the primary killed', ({ servers }) => servers[0].kill()],
  ['the primary frozen', ({ servers }) => servers[0].pause()],
]

describeWithRedis('F15 failover by Sentinel', () => {
  test.for(events)('%s, under load: nobody notices', async ([what, event]) => {
    await using redis = await startWatchedRedis()
    await using loaded = await startLoadedFleet(redis.target)
    const sinceMs = performance.now()
    await event(redis)
    await loaded.expectUnnoticed(`F15 ${what}`, sinceMs)
  })
})
