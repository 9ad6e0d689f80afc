import { type OpenConnection, openClient } from '../../redis/client.ts'
import { openCluster } from '../../redis/cluster/cluster.ts'
import { createTopologyReader, openRandomPrimary } from '../../redis/cluster/topology.ts'
import { openPrimary } from '../../redis/sentinel/primary.ts'
import { createSentinelState, type SentinelObserver } from '../../redis/sentinel/sentinel-state.ts'
import type { RedisTarget } from '../../redis/target.ts'

export interface OpenerOptions extends SentinelObserver {
  /** Called for each attempt, so that rotated passwords and certificates are read again (fault F18). */
  readonly target: () => RedisTarget
  /** `subscription` opens one primary of a cluster, because each passes on what is published at any. */
  readonly purpose?: 'commands' | 'subscription'
  readonly connectTimeoutMs: number
}

/** Returns a function that opens a connection to a single server, the primary of Sentinels, or a cluster. */
export function createOpener(options: OpenerOptions): OpenConnection {
  const { connectTimeoutMs } = options
  // Outlives connections, because the seed nodes may all be gone when the next one is opened.
  const readTopology = createTopologyReader(connectTimeoutMs)
  const sentinelState = createSentinelState(options)
  /** Returns a function that reads the target again, whose kind never changes. */
  function reread<T extends RedisTarget>(target: T): () => T {
    const isSameKind = (next: RedisTarget): next is T => next.kind === target.kind
    return () => {
      const next = options.target()
      return isSameKind(next) ? next : target
    }
  }
  return async (signal, observer) => {
    const target = options.target()
    switch (target.kind) {
      case 'single':
        return openClient(target, connectTimeoutMs, signal)
      case 'sentinel':
        return openPrimary({ target: reread(target), sentinelState, connectTimeoutMs }, signal)
      case 'cluster':
        return options.purpose === 'subscription'
          ? openRandomPrimary(target, readTopology, connectTimeoutMs, signal)
          : openCluster(
              { ...observer, target: reread(target), readTopology, connectTimeoutMs },
              signal,
            )
    }
  }
}
