import { setTimeout as wait } from 'node:timers/promises'
import { readHealth, readMetric } from '../outage.ts'
import type { ChaosReplica } from './chaos-replica.ts'

/** A connection for commands and one to hear on. */
const CONNECTIONS = 2
const CALM_WITHIN_MS = 20_000
const STEADY_MS = 3000
const LOOK_AGAIN_MS = 200

const ZERO_SAMPLES = [
  'vestibule_circuit_breaker_state{breaker="read"}',
  'vestibule_circuit_breaker_state{breaker="write"}',
  'vestibule_revocations_waiting',
]

/** Waits until a replica is as if nothing had been and stays so for a while; says what it is that never came, if anything. */
export async function untilCalm(replica: ChaosReplica): Promise<string | undefined> {
  const endMs = performance.now() + CALM_WITHIN_MS
  let calmSinceMs = performance.now()
  let accepted = -1
  for (;;) {
    const unrest = await Promise.race([
      findUnrest(replica, accepted),
      wait(CALM_WITHIN_MS, 'no answer about its health', { ref: false }),
    ])
    const nowMs = performance.now()
    accepted = replica.wire.accepted()
    if (unrest !== undefined) calmSinceMs = nowMs
    if (nowMs - calmSinceMs > STEADY_MS) return undefined
    if (nowMs > endMs) return `replica ${replica.at}: ${unrest ?? 'is not calm for long'}`
    await wait(LOOK_AGAIN_MS)
  }
}

async function findUnrest(
  { running, wire }: ChaosReplica,
  accepted: number,
): Promise<string | undefined> {
  const connections = wire.connections()
  if (connections !== CONNECTIONS) return `${connections} connections`
  if (accepted >= 0 && wire.accepted() !== accepted)
    return `${wire.accepted() - accepted} new connections in ${LOOK_AGAIN_MS} ms`
  const { status } = await readHealth(running)
  if (status !== 'healthy') return `is ${status}`
  for (const sample of ZERO_SAMPLES) {
    const value = await readMetric(running, sample)
    if (value !== 0) return `${sample} is ${value}`
  }
  return undefined
}

/** Commands without an answer while nobody asks for anything: none, but for a heartbeat's. */
export async function commandsLeft({ running }: ChaosReplica): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < 20 && least > 0; look += 1) {
    least = Math.min(least, await readMetric(running, 'vestibule_redis_commands_in_flight'))
    await wait(50)
  }
  return least
}
