import type { Context } from 'hono'
import { plain } from './answers.ts'

/** Where sessions are, as far as health goes. */
export interface CacheState {
  readonly mode: 'memory' | 'redis'
  /** Milliseconds that a read takes just now; nothing when Redis is not used or does not answer. */
  readonly measureLatency: () => Promise<number | undefined>
  /** What is known to be wrong with Redis. */
  readonly findings: () => readonly { readonly code: string; readonly message: string }[]
}

/** What the health endpoints tell; asked each time. */
export interface HealthState {
  /** Keys are loaded, work is accepted, and no shutdown has begun. Never about Redis or the provider. */
  readonly isReady: () => boolean
  /** Resolves when the first attempts at outside systems have ended, either way. */
  readonly firstAttempts: Promise<unknown>
  readonly isProviderDiscovered: () => boolean
  readonly cache: CacheState
  readonly version: string
}

/** `/livez`, `/readyz`, `/startupz` and `/health`, for the kubelet, load balancers and people. */
export function createHealth(state: HealthState) {
  const yesOrNo = (isSo: boolean) => (isSo ? plain(200, 'ok\n') : plain(503, 'no\n'))
  const isStarted = startedAfter(state.firstAttempts)
  return {
    livez: () => yesOrNo(true),
    readyz: () => yesOrNo(state.isReady()),
    startupz: () => yesOrNo(isStarted()),
    async health(c: Context) {
      const { mode, measureLatency, findings } = state.cache
      const latencyMs = await measureLatency()
      const isCacheDown = mode === 'redis' && latencyMs === undefined
      const isDegraded = isCacheDown || !state.isProviderDiscovered()
      const body = {
        status: isDegraded ? 'degraded' : 'healthy',
        cache: {
          mode,
          redis: {
            connected: latencyMs !== undefined,
            latency: latencyMs === undefined ? null : `${Math.ceil(latencyMs)}ms`,
            findings: findings(),
          },
          circuit_breaker: { state: 'closed', failures: 0 },
        },
        provider: { discovered: state.isProviderDiscovered() },
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

const STARTUP_MAX_MS = 5000

/** An outside system that does not answer does not hold up the start. */
function startedAfter(firstAttempts: Promise<unknown>): () => boolean {
  let isStarted = false
  const start = () => {
    isStarted = true
  }
  void firstAttempts.then(start)
  setTimeout(start, STARTUP_MAX_MS).unref()
  return () => isStarted
}
