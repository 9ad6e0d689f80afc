import { Hono } from 'hono'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { BreakerState } from '../../src/redis/breaker.ts'
import type { FleetFinding } from '../../src/replicas/differences.ts'
import { createHealth, type HealthState } from '../../src/routes/health.ts'
import type { ObservedRedis } from '../../src/store/shared-state.ts'

const CLOSED = { state: 'closed', failures: 0 } as const

const redisWith = (changes: Partial<ObservedRedis> = {}): ObservedRedis => ({
  isConnected: true,
  isPartial: false,
  loss: undefined,
  lossCode: undefined,
  backplaneLoss: undefined,
  examineAgain: async () => undefined,
  commandsInFlight: 0,
  breakers: { read: CLOSED, write: CLOSED },
  isBackplaneHealthy: true,
  fleet: { size: 2, findings: [] },
  examination: undefined,
  measureLatency: async () => 1.2,
  ...changes,
})

const MIB = 1024 * 1024
const need = (heapLimit = 150, heapNeeded = 80) => ({
  heapLimitBytes: heapLimit * MIB,
  outsideHeapBytes: 90 * MIB,
  heapNeededBytes: heapNeeded * MIB,
})

/** Refused streams, which degrade nothing. */
const EVENTS = {
  streams: 2,
  findings: [{ code: 'streams_refused', message: 'there is no room' }],
} as const

const start = (changes: Partial<HealthState> = {}) => {
  const health = createHealth({
    isReady: () => true,
    firstAttempts: Promise.resolve(),
    isProviderDiscovered: () => true,
    mode: 'memory',
    redis: undefined,
    revocationsWaiting: () => 0,
    events: () => EVENTS,
    memoryNeed: need(),
    containerLimit: async () => undefined,
    ofFiles: () => [],
    version: '1.2.3',
    ...changes,
  })
  const app = new Hono().get('/health', (c) => health.health(c))
  return {
    health,
    app,
    read: async () => (await (await app.request('/health')).json()) as Record<string, unknown>,
    statusOf: async (query: string) => (await app.request(`/health${query}`)).status,
  }
}
const KNOWN = { provider: { discovered: true }, version: '1.2.3' }
const WELL = {
  status: 'healthy',
  reasons: [],
  revocations_waiting: 0,
  events: EVENTS,
  ...KNOWN,
}

describe('what /health tells', () => {
  test('in memory mode that there is no Redis, which is as it should be', async () => {
    const { read, statusOf } = start()
    expect(await read()).toEqual({
      ...WELL,
      cache: {
        mode: 'memory',
        redis: { connected: false, latency: null, findings: [] },
        circuit_breaker: CLOSED,
      },
    })
    expect(await statusOf('?strict=1')).toBe(200)
  })

  test.for(['redis', 'hybrid'] as const)('in %s mode all that concerns Redis', async (mode) => {
    const findings = [{ code: 'eviction', message: 'allkeys-lru evicts markers' }] as const
    const examination = { findings, runIds: [], evictionPolicy: 'allkeys-lru' }
    const { read } = start({ mode, redis: redisWith({ examination }), revocationsWaiting: () => 3 })
    expect(await read()).toEqual({
      ...WELL,
      cache: {
        mode,
        redis: { connected: true, latency: '2ms', findings },
        circuit_breaker: CLOSED,
      },
      circuit_breakers: { read: CLOSED, write: CLOSED },
      backplane: { healthy: true },
      fleet: { replicas: 3, findings: [] },
      revocations_waiting: 3,
    })
  })

  test('nobody may keep the answer', async () => {
    const { app } = start()
    expect((await app.request('/health')).headers.get('cache-control')).toBe('no-store')
  })
})

const finding = (kind: FleetFinding['kind']) =>
  redisWith({ fleet: { size: 1, findings: [{ kind, replica: 'b', message: 'it differs' }] } })
const breaking = (read: BreakerState, write: BreakerState) =>
  redisWith({
    breakers: { read: { state: read, failures: 5 }, write: { state: write, failures: 1 } },
  })
const silent = redisWith({ isConnected: false, measureLatency: async () => undefined })

describe('what is degraded', () => {
  const deaf = redisWith({ isBackplaneHealthy: false })
  const hybrid = (redis: ObservedRedis, further: Partial<HealthState> = {}) =>
    ({ mode: 'hybrid', redis, ...further }) as const
  const shared = (redis: ObservedRedis) => ({ mode: 'redis', redis }) as const
  test.for<[string, Partial<HealthState>, boolean]>([
    ['everything is well', hybrid(redisWith()), false],
    ['Redis does not answer', shared(silent), true],
    ['Redis does not answer in hybrid mode', hybrid(silent), true],
    ['the provider is not known', { isProviderDiscovered: () => false }, true],
    ['reads are refused', shared(breaking('open', 'closed')), true],
    ['writes are refused', shared(breaking('closed', 'open')), true],
    ['reads are tried', shared(breaking('half-open', 'closed')), true],
    ['a few reads failed', shared(breaking('closed', 'closed')), false],
    ['messages may be missed and are needed', hybrid(deaf), true],
    ['messages may be missed and are not needed', shared(deaf), false],
    ['keys differ', hybrid(finding('keys')), true],
    ['modes differ', hybrid(finding('mode')), true],
    ['clocks differ', hybrid(finding('clock')), true],
    ['versions differ, as during an update', hybrid(finding('version')), false],
    ['revocations wait', hybrid(redisWith(), { revocationsWaiting: () => 9 }), false],
  ])('%s', async ([, changes, isDegraded]) => {
    const { read, statusOf } = start(changes)
    expect(await read()).toHaveProperty('status', isDegraded ? 'degraded' : 'healthy')
    expect(await Promise.all(['', '?strict=0', '?strict=1'].map(statusOf))).toEqual([
      200,
      200,
      isDegraded ? 503 : 200,
    ])
  })

  test.for<[BreakerState, number, BreakerState, number, BreakerState, number]>([
    ['closed', 0, 'closed', 2, 'closed', 2],
    ['closed', 3, 'closed', 2, 'closed', 3],
    ['half-open', 5, 'closed', 4, 'half-open', 5],
    ['closed', 4, 'half-open', 1, 'half-open', 1],
    ['half-open', 9, 'open', 5, 'open', 5],
    ['open', 5, 'open', 7, 'open', 7],
    ['open', 5, 'closed', 100, 'open', 5],
  ])(
    'of a %s breaker (%i) and a %s one (%i) the worse is shown',
    async ([first, readFailures, second, writeFailures, state, failures]) => {
      const read = { state: first, failures: readFailures }
      const breakers = { read, write: { state: second, failures: writeFailures } }
      expect(await start({ mode: 'redis', redis: redisWith({ breakers }) }).read()).toMatchObject({
        cache: { circuit_breaker: { state, failures } },
        circuit_breakers: breakers,
      })
    },
  )

  test('what differs between replicas is told with its remedy', async () => {
    const { read } = start({ mode: 'hybrid', redis: finding('keys') })
    const findings = [{ kind: 'keys', replica: 'b', message: 'it differs' }]
    expect(await read()).toMatchObject({ fleet: { replicas: 2, findings } })
  })
})

describe('the probes', () => {
  afterEach(() => vi.useRealTimers())

  test('ready is who accepts work, whatever Redis and the provider do', () => {
    let isReady = false
    const { health } = start({
      isReady: () => isReady,
      isProviderDiscovered: () => false,
      mode: 'hybrid',
      redis: silent,
      firstAttempts: new Promise(() => undefined),
    })
    expect([health.readyz().status, health.livez().status]).toEqual([503, 200])
    isReady = true
    expect(health.readyz().status).toBe(200)
  })

  test('started is who has tried everything once', async () => {
    const attempts = Promise.withResolvers<void>()
    const { health } = start({ firstAttempts: attempts.promise })
    expect(health.startupz().status).toBe(503)
    attempts.resolve()
    await attempts.promise
    await Promise.resolve()
    expect(health.startupz().status).toBe(200)
  })

  test('started is also who has waited for five seconds', () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    const { health } = start({ firstAttempts: new Promise(() => undefined) })
    vi.advanceTimersByTime(4999)
    expect(health.startupz().status).toBe(503)
    vi.advanceTimersByTime(1)
    expect(health.startupz().status).toBe(200)
  })
})

describe('the reasons', () => {
  const loss = { failure: 'permission', cause: 'NOPERM', reason: 'it lacks +select' } as const
  const refusal = { code: 'rights', message: 'it lacks +subscribe', stopsMessages: true } as const
  const deaf = { examination: { findings: [refusal], runIds: [] }, isBackplaneHealthy: false }
  test.for<[string, Partial<ObservedRedis>, string, string]>([
    [
      'a primary that is away',
      { isPartial: true, loss },
      'partial',
      'are away: it lacks +select (NOPERM)',
    ],
    [
      'a right to connect that is missing',
      { ...silent, loss, lossCode: 'rights' },
      'rights',
      'lacks +select',
    ],
    [
      'a right to receive messages that is missing',
      deaf,
      'backplane',
      'missed: it lacks +subscribe',
    ],
  ])('name %s', async ([, redis, code, message]) => {
    const { reasons } = await start({ mode: 'hybrid', redis: redisWith(redis) }).read()
    expect(reasons).toEqual([{ code, message: expect.stringContaining(message) as string }])
  })

  test.for<[string, number | undefined, HealthState['memoryNeed'], readonly string[]]>([
    ['no limit', undefined, need(), []],
    ['a limit that is just kept', 240, need(), []],
    [
      'a limit that is not',
      239,
      need(),
      [
        'may take 240 MiB (a heap of 150 MiB and 90 MiB beside it), and the container is limited to 239 MiB',
      ],
    ],
    ['a heap that L1 exceeds', undefined, need(150, 151), ['is 150 MiB: raise --max-old-']],
    [
      'both',
      300,
      need(150, 500),
      ['of 500 MiB', "container is limited to 300 MiB: raise the container's"],
    ],
    [
      'both in hybrid mode',
      300,
      need(150, 500),
      [
        'lower REDIS_HYBRID_L1_MEMORY_MB or raise --max',
        'lower REDIS_HYBRID_L1_MEMORY_MB or raise the c',
      ],
    ],
  ])('name the memory of a container with %s', async ([what, limit, memoryNeed, messages]) => {
    const containerLimit = async () => (limit === undefined ? undefined : limit * MIB)
    const isHybrid = what.endsWith('hybrid mode')
    const asked = { memoryNeed, containerLimit, ...(isHybrid && { mode: 'hybrid' as const }) }
    const { reasons, status } = await start(asked).read()
    const expected = messages.map((part) => expect.stringContaining(part) as string)
    expect(reasons).toEqual(expected.map((message) => ({ code: 'memory', message })))
    expect(status).toBe(messages.length > 0 ? 'degraded' : 'healthy')
  })
})
