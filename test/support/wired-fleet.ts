import type { RedisTarget } from '../../src/redis/target.ts'
import { untilWhole } from './fleet-load.ts'
import { startCluster } from './redis-cluster.ts'
import { startWatchedRedis } from './redis-sentinel.ts'
import { settingsFor } from './redis-settings.ts'
import { HYBRID, PATIENT, type ReplicaOptions, startReplicas } from './replicas.ts'
import type { RunningVestibule } from './vestibule.ts'
import { startWire, type Wire } from './wire.ts'

/** Replicas over any topology, each with a wire of its own, and one that nothing happens to. */
export type WiredFleet = Awaited<ReturnType<typeof startWiredFleet>>

type StartRedis = (started: AsyncDisposableStack) => Promise<RedisTarget | undefined>

export const TOPOLOGIES: Readonly<Record<string, StartRedis>> = {
  'a single server': async () => undefined,
  Sentinel: async (started) => started.use(await startWatchedRedis()).target,
  'a cluster': async (started) => started.use(await startCluster({ shards: 3 })).target,
}

export async function startWiredFleet(
  startRedis: StartRedis,
  wires: number,
  options: ReplicaOptions,
) {
  await using started = new AsyncDisposableStack()
  const target = await startRedis(started)
  const place = target ? settingsFor(target) : {}
  const settings = { ...HYBRID, ...PATIENT, ...place, ...options.settings }
  const replicas = started.use(await startReplicas({ ...options, settings }))
  const wired: { replica: RunningVestibule; wire: Wire }[] = []
  for (let count = 0; count < wires; count += 1) {
    // Sentinels are asked anew whenever one is slow, which is no matter of Redis.
    const sentinels = target?.kind === 'sentinel' ? target.sentinels : []
    const wire = started.use(await startWire(sentinels.map(({ port }) => port)))
    wired.push({ replica: await replicas.add(wire.settings), wire })
  }
  const all = [replicas.first, ...wired.map(({ replica }) => replica)]
  await untilWhole(all, 30_000)
  const held = started.move()
  return {
    replicas,
    wired,
    aside: replicas.first,
    all,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
