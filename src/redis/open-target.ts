import { type ClientConnection, openClient, type RedisTarget } from './client.ts'
import { type ClusterObserver, openCluster } from './cluster/cluster.ts'
import { createTopologyReader, openSomeServer } from './cluster/topology.ts'
import { openPrimary } from './sentinel/primary.ts'
import { createSentinelSightings, type SentinelObserver } from './sentinel/sightings.ts'

export interface OpenerOptions extends ClusterObserver, SentinelObserver {
  /** Asked for every attempt. */
  readonly target: () => RedisTarget
  readonly purpose?: 'commands' | 'subscription'
  readonly connectTimeoutMs: number
}

/** Opens a connection to whatever kind of Redis the target is; `signal` ends the attempt or the connection. */
export function createOpener(
  options: OpenerOptions,
): (signal: AbortSignal) => Promise<ClientConnection> {
  const { connectTimeoutMs } = options
  // What is known of a cluster outlives its connections: the servers of the settings may all be gone by then.
  const readTopology = createTopologyReader(connectTimeoutMs)
  const sightings = createSentinelSightings(options)
  /** The kind of target never changes. */
  const again =
    <T extends RedisTarget>(target: T) =>
    () => {
      const next = options.target()
      return next.kind === target.kind ? (next as T) : target
    }
  return async (signal) => {
    const target = options.target()
    switch (target.kind) {
      case 'single':
        return openClient(target, connectTimeoutMs, signal)
      case 'sentinel':
        return openPrimary({ target: again(target), sightings, connectTimeoutMs }, signal)
      case 'cluster':
        return options.purpose === 'subscription'
          ? openSomeServer(target, readTopology, connectTimeoutMs, signal)
          : openCluster({ ...options, target: again(target), readTopology }, signal)
    }
  }
}
