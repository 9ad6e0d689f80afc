import { setTimeout as wait } from 'node:timers/promises'
import { SUBSCRIBER } from '../hybrid-replicas.ts'
import { type Endpoint, faults, type TestProvider } from '../provider.ts'
import type { RunningRedis } from '../redis.ts'
import type { ChaosReplica } from './chaos-replica.ts'
import type { FaultKind } from './faults.ts'
import type { Renewals } from './renewals.ts'
import type { PlannedFault } from './schedule.ts'

export interface Stage {
  readonly redis: RunningRedis
  readonly provider: TestProvider
  readonly replicas: readonly ChaosReplica[]
  readonly renewals: Renewals
  /** A replica has ended, by itself or killed. */
  readonly onReplicaEnd: (replica: number, wasKilled: boolean, sinceMs: number) => void
}

type Undo = () => unknown
type Deed = (stage: Stage, planned: PlannedFault) => Undo | Promise<Undo>

function wireOf({ replicas }: Stage, { replica = 0 }: PlannedFault) {
  return replicaOf(replicas, replica).wire
}

function replicaOf(replicas: readonly ChaosReplica[], at: number): ChaosReplica {
  return replicas[at] as ChaosReplica
}

async function end(stage: Stage, at: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<Undo> {
  const replica = replicaOf(stage.replicas, at)
  const sinceMs = performance.now()
  const code = await replica.running.stop(signal)
  stage.onReplicaEnd(at, code === null, sinceMs)
  return replica.start
}

const FAILING = [
  faults.serverError,
  faults.unavailable,
  faults.badGateway,
  faults.tooManyRequests,
  faults.down,
]
const ENDPOINTS: readonly Endpoint[] = ['discovery', 'jwks', 'authorization', 'token', 'revocation']

/** The deed of each fault; what it returns undoes it. */
export const DEEDS: Readonly<Record<FaultKind, Deed>> = {
  'wire cut': (stage, planned) => {
    wireOf(stage, planned).cut()
    return () => undefined
  },
  'wire refused': async (stage, planned) => {
    const wire = wireOf(stage, planned)
    await wire.refuse()
    return wire.accept
  },
  'wire silent': (stage, planned) => {
    const wire = wireOf(stage, planned)
    wire.blackhole()
    return wire.flow
  },
  'wire slow': (stage, planned) => {
    const wire = wireOf(stage, planned)
    wire.delay(planned.strengthMs)
    return () => wire.delay(0)
  },
  'wire flapping': (stage, planned) => {
    const cutting = setInterval(wireOf(stage, planned).cut, planned.strengthMs)
    return () => clearInterval(cutting)
  },
  'subscriber silent': (stage, planned) => wireOf(stage, planned).muffle(SUBSCRIBER),
  'subscriber kept silent': (stage, planned) =>
    wireOf(stage, planned).muffle(SUBSCRIBER, 'present and later'),
  'replica ended': (stage, { replica = 0 }) => end(stage, replica, 'SIGTERM'),
  'replica killed': (stage, { replica = 0 }) => end(stage, replica, 'SIGKILL'),
  'replica frozen': ({ replicas }, { replica = 0 }) => {
    const frozen = replicaOf(replicas, replica)
    frozen.freeze()
    return frozen.thaw
  },
  'redis killed': async ({ redis }) => {
    await redis.kill()
    return () => redis.restart({ keepData: true })
  },
  'redis frozen': async ({ redis }) => {
    await redis.pause()
    return redis.resume
  },
  'provider slow': ({ renewals }, { strengthMs }) => {
    renewals.delay(strengthMs)
    return () => renewals.delay(0)
  },
  'provider failing': ({ provider, renewals }, { forMs }) => {
    provider.set('token', FAILING[Math.floor(forMs) % FAILING.length] ?? faults.down)
    return renewals.watch
  },
  'provider away': ({ provider, renewals }) => {
    for (const endpoint of ENDPOINTS) provider.set(endpoint, faults.down)
    return () => {
      provider.reset()
      renewals.watch()
    }
  },
}

const UNHELD_WITHIN_MS = 3000

/** A replica is killed when it holds no tokens, if that comes soon: they would be lost with it. */
export async function prepare({ renewals }: Stage, { kind, replica = 0 }: PlannedFault) {
  if (kind !== 'replica killed') return
  const endMs = performance.now() + UNHELD_WITHIN_MS
  while (renewals.heldBy(replica).length > 0 && performance.now() < endMs) await wait(10)
}
