import type { Context } from 'hono'
import { plain } from '../http/answers.ts'
import type { ObservedRedis } from '../store/shared-state.ts'
import { waitAtMost } from '../timing/time-limit.ts'
import { type HealthReason, listReasons } from './health-reasons.ts'
import type { MemoryNeed } from './memory-faults.ts'

/** Finding about streams to open pages, which degrades nothing, because checks need none. */
export interface StreamFinding {
  readonly code: 'streams_refused'
  readonly message: string
}

/** State that the health endpoints read for each request. */
export interface HealthState {
  /** Returns whether keys are loaded and no shutdown has begun, whatever Redis and the provider do. */
  readonly isReady: () => boolean
  /** Resolves when the first attempts to reach Redis and the provider have ended, whether or not they succeeded. */
  readonly firstAttempts: Promise<unknown>
  readonly isProviderDiscovered: () => boolean
  /** Place of sessions. */
  readonly mode: 'memory' | 'redis' | 'hybrid'
  /** Absent in memory mode. */
  readonly redis: ObservedRedis | undefined
  readonly revocationsWaiting: () => number
  /** Returns the number of open streams, and what is wrong with them. */
  readonly events: () => { readonly streams: number; readonly findings: readonly StreamFinding[] }
  readonly memoryNeed: MemoryNeed
  /** Resolves with the memory limit of the container; `undefined` without one. */
  readonly containerLimit: () => Promise<number | undefined>
  /** Returns what is wrong with the certificate of the internal listener. */
  readonly ofFiles: () => readonly HealthReason[]
  readonly version: string
}

/** Serves `/livez`, `/readyz`, `/startupz` and `/health`. */
export function createHealth(state: HealthState) {
  const yesOrNo = (isSo: boolean) => (isSo ? plain(200, 'ok\n') : plain(503, 'no\n'))
  const isStarted = startedAfter(state.firstAttempts)
  return {
    livez: () => yesOrNo(true),
    readyz: () => yesOrNo(state.isReady()),
    startupz: () => yesOrNo(isStarted()),
    async health(c: Context) {
      const [cache, limitBytes] = await Promise.all([describeCache(state), state.containerLimit()])
      const isProviderDiscovered = state.isProviderDiscovered()
      const { mode, redis } = state
      const isAnswered = cache.redis.connected
      const memory = { need: state.memoryNeed, limitBytes, mode }
      const reasons = [
        ...listReasons({ isProviderDiscovered, mode, redis, isAnswered, memory }),
        ...state.ofFiles(),
      ]
      const isDegraded = reasons.length > 0
      const body = {
        status: isDegraded ? 'degraded' : 'healthy',
        reasons,
        cache,
        ...describeFleet(state.redis),
        revocations_waiting: state.revocationsWaiting(),
        events: state.events(),
        provider: { discovered: isProviderDiscovered },
        version: state.version,
      }
      const isStrict = c.req.query('strict') === '1'
      return Response.json(body, {
        status: isDegraded && isStrict ? 503 : 200,
        headers: { 'Cache-Control': 'no-store' },
      })
    },
  }
}

const EXAMINED_WITHIN_MS = 1000
const CLOSED = { state: 'closed', failures: 0 } as const
const SEVERITY = ['closed', 'half-open', 'open'] as const

/** Describes mode, Redis and circuit breaker under the names that the traefikoidc plugin uses. */
async function describeCache({ mode, redis }: HealthState) {
  if (!redis) {
    const away = { connected: false, latency: null, findings: [] }
    return { mode, redis: away, circuit_breaker: CLOSED }
  }
  // Bounds the wait for the self-test, which a frozen Redis does not answer either.
  const [latencyMs] = await Promise.all([
    redis.measureLatency(),
    waitAtMost(redis.examineAgain(), EXAMINED_WITHIN_MS),
  ])
  const { state, failures } = worseOf(redis.breakers)
  const isConnected = latencyMs !== undefined
  const findings = redis.examination?.findings ?? []
  return {
    mode,
    redis: {
      connected: isConnected,
      latency: isConnected ? `${Math.ceil(latencyMs)}ms` : null,
      findings: findings.map(({ code, message }) => ({ code, message })),
    },
    circuit_breaker: { state, failures },
  }
}

function worseOf({ read, write }: ObservedRedis['breakers']) {
  const rank = ({ state, failures }: typeof read) => SEVERITY.indexOf(state) * 1e6 + failures
  return rank(read) >= rank(write) ? read : write
}

function describeFleet(redis: ObservedRedis | undefined) {
  if (!redis) return {}
  const { breakers, fleet } = redis
  return {
    circuit_breakers: {
      read: { state: breakers.read.state, failures: breakers.read.failures },
      write: { state: breakers.write.state, failures: breakers.write.failures },
    },
    backplane: { healthy: redis.isBackplaneHealthy },
    fleet: { replicas: fleet.size + 1, findings: fleet.findings },
  }
}

const STARTUP_MAX_MS = 5000

/** Reports started after the first attempts, or after five seconds where an outside system does not answer. */
function startedAfter(firstAttempts: Promise<unknown>): () => boolean {
  let isStarted = false
  const start = () => {
    isStarted = true
  }
  void firstAttempts.then(start)
  setTimeout(start, STARTUP_MAX_MS).unref()
  return () => isStarted
}
