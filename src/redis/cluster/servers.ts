import { addressOf, type ServerAddress } from '../target.ts'
import { SLOT_COUNT } from './key-slot.ts'
import { type ClusterServer, type ClusterServerOptions, keepServer } from './server.ts'
import type { SlotRange } from './topology.ts'

/** Primaries of a cluster and the slot map as last reported. */
export interface ClusterServers {
  readonly all: readonly ClusterServer[]
  readonly connected: readonly ClusterServer[]
  /** True when all of them are connected. */
  readonly isComplete: boolean
  ownerOf(slot: number): ClusterServer | undefined
  /** Returns the server at an address, and connects to it when it is new. */
  at(address: ServerAddress): ClusterServer
  /** Assigns one slot to another server, which MOVED has named. */
  move(slot: number, address: ServerAddress): ClusterServer
  /** Replaces the slot map and disconnects from servers without slots. */
  replace(ranges: readonly SlotRange[]): void
  close(): void
}

export function createClusterServers(options: ClusterServerOptions): ClusterServers {
  const servers = new Map<string, ClusterServer>()
  let owners: (ClusterServer | undefined)[] = []

  function at(address: ServerAddress): ClusterServer {
    const name = addressOf(address)
    const server = servers.get(name) ?? keepServer(address, options)
    servers.set(name, server)
    return server
  }

  const all = () => [...servers.values()]
  return {
    get all() {
      return all()
    },
    get connected() {
      return all().filter(({ connection }) => connection.current)
    },
    get isComplete() {
      return all().every(({ connection }) => connection.current)
    },
    ownerOf: (slot) => owners[slot],
    at,
    move(slot, address) {
      const server = at(address)
      owners[slot] = server
      return server
    },
    replace(ranges) {
      const next = Array.from<ClusterServer | undefined>({ length: SLOT_COUNT })
      for (const { from, to, primary } of ranges) next.fill(at(primary), from, to + 1)
      owners = next
      const needed = new Set(next)
      for (const [name, server] of servers) {
        if (needed.has(server)) continue
        servers.delete(name)
        void server.connection.close()
      }
    },
    close() {
      for (const { connection } of all()) void connection.close()
      servers.clear()
    },
  }
}
