import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import type { GaugedRedis } from '../../src/telemetry/redis-gauges.ts'
import { OBSERVED_AT_START } from '../support/observed-at-start.ts'

const start = () => {
  const redis: { -readonly [K in keyof GaugedRedis]: GaugedRedis[K] } = {
    isConnected: false,
    commandsInFlight: 0,
    examination: undefined,
    breakers: { read: { state: 'closed' }, write: { state: 'closed' } },
    isBackplaneHealthy: false,
    fleet: { size: 0, findings: [] },
  }
  const metrics = createMetrics({ hasRedis: true })
  metrics.observe({ ...OBSERVED_AT_START, redis })
  return {
    metrics,
    observe: (changes: Partial<GaugedRedis>) => {
      Object.assign(redis, changes)
    },
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
    const all = Object.entries(await read())
    const [latencies, others] = [true, false].map((isOne) =>
      all.filter(([name]) => /^(?:latency_seconds_|findings\{)/.test(name) === isOne),
    )
    expect(new Set(latencies?.map(([, value]) => value))).toEqual(new Set(['0']))
    expect(Object.fromEntries(others ?? [])).toEqual({
      dataset_changes_total: '0',
      connected: '0',
      commands_in_flight: '0',
      eviction_policy_ok: '0',
      clock_offset_seconds: 'Nan',
      stops_sign_in: '0',
      memory_used_bytes: 'Nan',
      memory_max_bytes: 'Nan',
    })
  })

  test('are asked when somebody reads', async () => {
    const { read, observe } = start()
    const memory = { usedBytes: 700, maxBytes: Number.POSITIVE_INFINITY }
    const examination = {
      evictionPolicy: 'noeviction',
      clockOffsetMs: -1500,
      memory,
      findings: [{ code: 'rights', stopsSignIn: true }] as const,
    }
    observe({ isConnected: true, commandsInFlight: 7, examination })
    expect(await read()).toMatchObject({
      connected: '1',
      commands_in_flight: '7',
      eviction_policy_ok: '1',
      clock_offset_seconds: '-1.5',
      memory_used_bytes: '700',
      memory_max_bytes: '+Inf',
      stops_sign_in: '1',
    })
  })

  test('findings are counted by code', async () => {
    const { read, observe } = start()
    observe({
      examination: { findings: [{ code: 'rights' }, { code: 'rights' }, { code: 'full' }] },
    })
    expect(await read()).toMatchObject({
      'findings{code="rights"}': '2',
      'findings{code="full"}': '1',
      'findings{code="replica"}': '0',
      stops_sign_in: '0',
    })
  })

  test('an eviction policy is good only when it is noeviction', async () => {
    const { read, observe } = start()
    for (const evictionPolicy of ['volatile-ttl', 'allkeys-lru', '']) {
      observe({ examination: { evictionPolicy, findings: [] } })
      expect(await read()).toMatchObject({ eviction_policy_ok: '0' })
    }
    observe({ examination: { findings: [] } })
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

  test('tell breakers, backplane and fleet as they are when somebody reads', async () => {
    const { metrics, observe } = start()
    const lines = async () => (await metrics.registry.metrics()).split('\n')
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'vestibule_circuit_breaker_state{breaker="read"} 0',
        'vestibule_backplane_healthy 0',
        'vestibule_fleet_replicas 0',
        'vestibule_fleet_mismatches{kind="keys"} 0',
        'vestibule_degraded_decisions_total{use="session",reason="assertion"} 0',
      ]),
    )
    observe({
      breakers: { read: { state: 'half-open' }, write: { state: 'open' } },
      isBackplaneHealthy: true,
      fleet: { size: 2, findings: [{ kind: 'keys' }, { kind: 'keys' }, { kind: 'clock' }] },
    })
    metrics.degradedDecision('assertion')
    metrics.breakerChanged('write', 'open')
    metrics.backplaneApplied(0.003)
    metrics.datasetChanged()
    metrics.revocationsFlushed(3)
    metrics.redisLatency(0.0004)
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'vestibule_circuit_breaker_state{breaker="read"} 1',
        'vestibule_circuit_breaker_state{breaker="write"} 2',
        'vestibule_circuit_breaker_changes_total{breaker="write",state="open"} 1',
        'vestibule_backplane_healthy 1',
        'vestibule_backplane_delay_seconds_bucket{le="0.002"} 0',
        'vestibule_backplane_delay_seconds_bucket{le="0.005"} 1',
        'vestibule_fleet_replicas 2',
        'vestibule_fleet_mismatches{kind="keys"} 2',
        'vestibule_fleet_mismatches{kind="clock"} 1',
        'vestibule_fleet_mismatches{kind="mode"} 0',
        'vestibule_degraded_decisions_total{use="session",reason="assertion"} 1',
        'vestibule_redis_dataset_changes_total 1',
        'vestibule_revocations_flushed_total 3',
        'vestibule_redis_latency_seconds_bucket{le="0.0005"} 1',
      ]),
    )
  })

  test('are not there where there is no Redis', async () => {
    const metrics = createMetrics({ hasRedis: false })
    metrics.observe({ ...OBSERVED_AT_START, redis: undefined })
    metrics.redisFailure('deadline')
    expect(await metrics.registry.metrics()).not.toContain('vestibule_redis_')
  })
})
