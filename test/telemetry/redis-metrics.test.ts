import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import type { ObservedRedis } from '../../src/telemetry/redis-metrics.ts'

const local = { openedSessions: () => 0, isProviderDiscovered: () => true }

const start = () => {
  let observed: ObservedRedis = { isConnected: false, commandsInFlight: 0, examination: undefined }
  const metrics = createMetrics({ ...local, redis: () => observed })
  return {
    metrics,
    observe: (changes: Partial<ObservedRedis>) => {
      observed = { ...observed, ...changes }
    },
    /** The lines of the metrics of Redis, without what all share in their names. */
    read: async (): Promise<Record<string, string>> =>
      Object.fromEntries(
        [...(await metrics.registry.metrics()).matchAll(/^vestibule_redis_(\S+) (\S+)$/gm)].map(
          ([, name = '', value = '']) => [name, value],
        ),
      ),
  }
}

describe('the metrics of Redis', () => {
  test('say before there is one that nothing is known', async () => {
    const { read } = start()
    expect(await read()).toEqual({
      connected: '0',
      commands_in_flight: '0',
      eviction_policy_ok: '0',
      clock_offset_seconds: 'Nan',
    })
  })

  test('are asked when somebody reads', async () => {
    const { read, observe } = start()
    const examination = { evictionPolicy: 'noeviction', clockOffsetMs: -1500 }
    observe({ isConnected: true, commandsInFlight: 7, examination })
    expect(await read()).toMatchObject({
      connected: '1',
      commands_in_flight: '7',
      eviction_policy_ok: '1',
      clock_offset_seconds: '-1.5',
    })
  })

  test('an eviction policy is good only when it is noeviction', async () => {
    const { read, observe } = start()
    for (const evictionPolicy of ['volatile-ttl', 'allkeys-lru', '']) {
      observe({ examination: { evictionPolicy } })
      expect(await read()).toMatchObject({ eviction_policy_ok: '0' })
    }
    observe({ examination: {} })
    expect(await read()).toMatchObject({ eviction_policy_ok: '0' })
  })

  test('failures are counted by class', async () => {
    const { metrics, read } = start()
    metrics.redisFailure('deadline')
    metrics.redisFailure('deadline')
    metrics.redisFailure('full')
    expect(await read()).toMatchObject({
      'errors_total{class="deadline"}': '2',
      'errors_total{class="full"}': '1',
    })
  })

  test('are not there where there is no Redis', async () => {
    const metrics = createMetrics(local)
    metrics.redisFailure('deadline')
    expect(await metrics.registry.metrics()).not.toContain('vestibule_redis_')
  })
})
