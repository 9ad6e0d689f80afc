import { waitAtMost } from '../../timing/time-limit.ts'
import type { ClientConnection, PrimariesObserver, Primary } from '../client.ts'
import { createLifetime } from '../lifetime.ts'
import { addressOf, type ClusterTarget } from '../target.ts'
import { keepRefreshing } from './keep-refreshing.ts'
import { keySlot } from './key-slot.ts'
import { createCommandRouter } from './route.ts'
import { type ClusterServers, createClusterServers } from './servers.ts'
import type { ReadTopology } from './topology.ts'

export interface ClusterOptions extends PrimariesObserver {
  readonly target: () => ClusterTarget
  readonly readTopology: ReadTopology
  readonly connectTimeoutMs: number
}

/** Time that the other primaries have after the first one is connected. */
const OTHERS_MS = 500

/**
 * Opens a connection to each primary, each with its own reconnects, so that the loss of one does not affect commands for
 * the others. The cluster's connection ends when no primary can be reached.
 */
export async function openCluster(
  options: ClusterOptions,
  signal: AbortSignal,
): Promise<ClientConnection> {
  const lifetime = createLifetime(signal)
  lifetime.signal.addEventListener('abort', () => servers.close())
  const first = Promise.withResolvers<void>()
  let state: 'opening' | 'incomplete' | 'complete' = 'opening'

  const servers = createClusterServers({
    ...options,
    onOpen() {
      first.resolve()
      if (state !== 'opening') options.onPrimaryConnected?.()
      reportComplete()
    },
    onEnded(cause) {
      if (state !== 'opening') {
        state = 'incomplete'
        options.onPrimaryLost(cause)
      }
      if (servers.all.some(({ connection }) => connection.isExpected)) refreshSoon()
      else lifetime.end(cause)
    },
  })

  function reportComplete(): void {
    if (state !== 'incomplete' || lifetime.hasEnded || !servers.isComplete) return
    state = 'complete'
    options.onAllConnected()
  }

  const refreshSoon = keepRefreshing({
    refresh: async () => readTopology().then(reportComplete),
    isSettled: () => servers.isComplete,
    signal: lifetime.signal,
  })
  async function readTopology(): Promise<void> {
    const addresses = servers.connected.map(({ address }) => address)
    const ranges = await options.readTopology(options.target(), addresses, lifetime.signal)
    if (!lifetime.hasEnded) servers.replace(ranges)
  }

  try {
    await readTopology()
    await Promise.race([first.promise, lifetime.lost])
    const attempts = servers.all.map(({ connection }) => connection.firstAttempt)
    await waitAtMost(Promise.race([Promise.all(attempts), lifetime.lost]), OTHERS_MS)
  } catch (cause) {
    lifetime.end(cause)
    throw cause
  }
  state = servers.isComplete ? 'complete' : 'incomplete'
  const route = createCommandRouter(servers, refreshSoon)
  return {
    send: (key, command, handler) =>
      void route(key, command).then(
        (reply) => handler.onReply(reply),
        (cause: unknown) => handler.onFailure(cause),
      ),
    get primaries() {
      return primariesOf(servers)
    },
    get isComplete() {
      return servers.isComplete
    },
    locate: (cause) => cause,
    lost: lifetime.lost,
    get hasEnded() {
      return lifetime.hasEnded
    },
    drop: lifetime.end,
    dropStalled(stalledAfterMs) {
      for (const server of servers.all) server.dropStalled(stalledAfterMs)
    },
  }
}

function primariesOf(servers: ClusterServers): Primary[] {
  return servers.connected.map((server) => ({
    address: addressOf(server.address),
    isInCluster: true,
    owns: (key) => servers.ownerOf(keySlot(key)) === server,
    run: (command) => server.send(command),
  }))
}
