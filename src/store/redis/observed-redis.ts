import type { RedisConnection } from '../../redis/connection.ts'
import { codeOfLoss } from '../../redis/examine/finding.ts'
import type { KeptExamination } from '../../redis/examine/keep-examining.ts'
import type { Breakers } from '../../redis/guarded.ts'
import type { OpenBackplane } from '../../replicas/backplane.ts'
import type { Fleet } from '../../replicas/fleet.ts'
import type { ObservedRedis } from '../shared-state.ts'

export interface ObservedParts {
  readonly connection: RedisConnection
  readonly breakers: Breakers
  readonly backplane: OpenBackplane
  readonly fleet: Fleet
  readonly examination: KeptExamination
  /** Key that is read to measure the latency; it need not exist. */
  readonly latencyKey: string
  readonly timeoutMs: number
}

/** Creates the view of Redis for health and metrics. */
export function createObservedRedis(parts: ObservedParts): ObservedRedis {
  const { connection, breakers, backplane, fleet, examination, latencyKey, timeoutMs } = parts
  return {
    get isConnected() {
      return connection.isConnected
    },
    get commandsInFlight() {
      return connection.inFlight
    },
    breakers,
    get isBackplaneHealthy() {
      return backplane.subscription !== undefined
    },
    fleet,
    get examination() {
      return examination.latest
    },
    get loss() {
      return connection.loss
    },
    get lossCode() {
      const { loss } = connection
      return loss && codeOfLoss(loss.failure)
    },
    get isPartial() {
      return connection.isPartial
    },
    get backplaneLoss() {
      return backplane.loss
    },
    examineAgain: () => examination.refresh(),
    async measureLatency() {
      const sentAtMs = performance.now()
      const read = connection.run(latencyKey, (client) => client.get(latencyKey), timeoutMs)
      return read.then(
        () => performance.now() - sentAtMs,
        () => undefined,
      )
    },
  }
}
