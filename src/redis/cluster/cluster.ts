import { setTimeout as pause } from 'node:timers/promises'
import { addressOf, type ClientConnection, type ClusterTarget, type Primary } from '../client.ts'
import { createLifetime } from '../lifetime.ts'
import { keepRefreshing } from './keep-refreshing.ts'
import { keySlot } from './key-slot.ts'
import { createRoute } from './route.ts'
import { type ClusterServers, createClusterServers } from './servers.ts'
import type { ReadTopology } from './topology.ts'

/** Who wants to know of single primaries. */
export interface ClusterObserver {
  /** A connection to a primary was lost, or an attempt failed. */
  readonly onServerLost: (cause: unknown) => void
  /** One is connected that was not when the cluster was opened: it is back, or took the place of another. */
  readonly onServerOpen?: () => void
  /** Every primary is connected again. */
  readonly onWhole: () => void
}

export interface ClusterOptions extends ClusterObserver {
  readonly target: () => ClusterTarget
  readonly readTopology: ReadTopology
  readonly connectTimeoutMs: number
}

/** How long the first primary that is connected waits for the others. */
const OTHERS_MS = 500

/**
 * A connection to each primary, each with a life of its own: what befalls one of them is no matter of the others, and
 * commands for it fail at once or are answered in time. All is over when none of them can be reached.
 */
export async function openCluster(
  options: ClusterOptions,
  signal: AbortSignal,
): Promise<ClientConnection> {
  const life = createLifetime(signal)
  life.signal.addEventListener('abort', () => servers.close())
  const first = Promise.withResolvers<void>()
  let isOpen = false
  let isKnownWhole = false

  const servers = createClusterServers({
    ...options,
    onOpen() {
      first.resolve()
      if (isOpen) options.onServerOpen?.()
      tellWhole()
    },
    onOver(cause) {
      isKnownWhole = false
      if (isOpen) options.onServerLost(cause)
      if (servers.all.some(({ connection }) => connection.isExpected)) refreshSoon()
      else life.end(cause)
    },
  })

  function tellWhole(): void {
    if (!isOpen || isKnownWhole || life.isOver || !servers.isWhole) return
    isKnownWhole = true
    options.onWhole()
  }

  const refreshSoon = keepRefreshing({
    refresh: async () => readTopology().then(tellWhole),
    isSettled: () => servers.isWhole,
    signal: life.signal,
  })
  async function readTopology(): Promise<void> {
    const addresses = servers.connected.map(({ address }) => address)
    const ranges = await options.readTopology(options.target(), addresses, life.signal)
    if (!life.isOver) servers.replace(ranges)
  }

  try {
    await readTopology()
    await Promise.race([first.promise, life.lost])
    const attempts = servers.all.map(({ connection }) => connection.firstAttempt)
    await Promise.race([Promise.all(attempts), pause(OTHERS_MS), life.lost])
  } catch (cause) {
    life.end(cause)
    throw cause
  }
  isOpen = true
  isKnownWhole = servers.isWhole
  return {
    run: createRoute(servers, refreshSoon),
    get primaries() {
      return primariesOf(servers)
    },
    get isWhole() {
      return servers.isWhole
    },
    lost: life.lost,
    get isOver() {
      return life.isOver
    },
    drop: life.end,
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
