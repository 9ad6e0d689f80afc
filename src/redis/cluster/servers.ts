import { addressOf, type ServerAddress } from '../client.ts'
import { SLOT_COUNT } from './key-slot.ts'
import { type ClusterServer, type ClusterServerOptions, keepServer } from './server.ts'
import type { SlotRange } from './topology.ts'

/** The primaries of a cluster, and which of them has which slot as far as is known. */
export interface ClusterServers {
  readonly all: readonly ClusterServer[]
  readonly connected: readonly ClusterServer[]
  /** All of them are connected. */
  readonly isWhole: boolean
  ownerOf(slot: number): ClusterServer | undefined
  at(address: ServerAddress): ClusterServer
  /** What a server has just said of one slot. */
  move(slot: number, address: ServerAddress): ClusterServer
  /** Takes over a whole topology; servers without slots are left. */
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
    get isWhole() {
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
