import type { ObservedRedis } from '../store/shared-state.ts'
import { type MemoryState, memoryFaults } from './memory-faults.ts'

/** Reason for which the service is degraded. */
export interface HealthReason {
  readonly code: string
  readonly message: string
}

export interface ReasonedState {
  readonly isProviderDiscovered: boolean
  readonly mode: 'memory' | 'redis' | 'hybrid'
  /** Absent in memory mode. */
  readonly redis: ObservedRedis | undefined
  /** Whether Redis has just answered a read. */
  readonly isAnswered: boolean
  readonly memory: MemoryState
}

/**
 * Lists what keeps people from signing in, replicas from agreeing, or the process within its memory; none means healthy
 * (findings C51, C61).
 */
export function listReasons(state: ReasonedState): HealthReason[] {
  const { isProviderDiscovered, redis, memory } = state
  const ofProvider = {
    code: 'provider',
    message: 'the provider is not discovered, so nobody can sign in: see provider_discovery_failed',
  }
  return [
    ...(isProviderDiscovered ? [] : [ofProvider]),
    ...(redis ? ofRedis(redis, state) : []),
    ...memoryFaults(memory).map((message) => ({ code: 'memory', message })),
  ]
}

function ofRedis(redis: ObservedRedis, { mode, isAnswered }: ReasonedState): HealthReason[] {
  const isBackplaneDown = mode === 'hybrid' && !redis.isBackplaneHealthy
  const findings = findingsOf(redis)
  // An answer that is an error shows in a finding, as on a node of a cluster.
  const isExplained = isAnswered || (redis.isConnected && findings.length > 0)
  return [
    ...(isExplained ? findings : [ofConnection(redis), ...findings]),
    ...breakersOf(redis),
    ...(isBackplaneDown ? [ofBackplane(redis)] : []),
    ...differencesOf(redis),
  ]
}

function ofConnection({ loss, lossCode }: ObservedRedis): HealthReason {
  const why = loss?.reason ?? 'it is frozen, busy or still being connected to'
  return { code: lossCode ?? 'redis', message: `Redis does not answer: ${why}` }
}

function findingsOf({ examination, isPartial, loss }: ObservedRedis): HealthReason[] {
  const stopping = examination?.findings.filter(({ stopsSignIn }) => stopsSignIn) ?? []
  const reasons = stopping.map(({ code, message }) => ({ code, message }))
  const why = loss ? `: ${loss.reason}${loss.cause === undefined ? '' : ` (${loss.cause})`}` : ''
  const partial = {
    code: 'partial',
    message: `some primaries of the cluster are disconnected, so the sessions of their slots are away${why}`,
  }
  return isPartial ? [...reasons, partial] : reasons
}

function breakersOf({ breakers }: ObservedRedis): HealthReason[] {
  return (['read', 'write'] as const).flatMap((name) => {
    const { state, failures } = breakers[name]
    const message = `the circuit breaker for ${name}s is ${state} after ${failures} failures in a row`
    return state === 'closed' ? [] : [{ code: 'circuit_breaker', message }]
  })
}

function ofBackplane({ backplaneLoss, examination }: ObservedRedis): HealthReason {
  const refusal = examination?.findings.find(({ stopsMessages }) => stopsMessages)
  const why = backplaneLoss?.reason ?? refusal?.message
  const message = 'messages of other replicas may be missed'
  return { code: 'backplane', message: why === undefined ? message : `${message}: ${why}` }
}

/** Leaves out versions, because such a difference hides no session and is part of every update. */
function differencesOf({ fleet }: ObservedRedis): HealthReason[] {
  return fleet.findings
    .filter(({ kind }) => kind !== 'version')
    .map(({ kind, message }) => ({ code: `fleet_${kind}`, message }))
}
