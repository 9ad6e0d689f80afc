import { setTimeout as pause } from 'node:timers/promises'
import type { Command, CommandKey } from '../client.ts'
import { failureOf, TopologyError } from '../failure.ts'
import { keySlot } from './key-slot.ts'
import { redirectionOf } from './redirection.ts'
import type { ClusterServers } from './servers.ts'

const MAX_REDIRECTIONS = 5
/** What a slot that is being moved refuses may be possible soon. */
const TRY_AGAIN_MS = 50

/** Sends a command to the server that has its key, and on from there as far as servers send it. */
export function createRoute(servers: ClusterServers, onStale: () => void) {
  const firstFor = (key: CommandKey) =>
    key === undefined
      ? servers.connected[Math.floor(Math.random() * servers.connected.length)]
      : servers.ownerOf(keySlot(key))

  return async <T>(key: CommandKey, command: Command<T>): Promise<T> => {
    let server = firstFor(key)
    if (!server) {
      onStale()
      throw new TopologyError('cluster', 'no primary of the cluster can be asked for this')
    }
    let isAsking = false
    for (let redirections = 0; ; redirections++) {
      try {
        return await server.send(command, isAsking)
      } catch (cause) {
        if (failureOf(cause) === 'cluster') onStale()
        const redirection = redirectionOf(cause, server.address)
        if (!redirection || redirections === MAX_REDIRECTIONS) throw cause
        switch (redirection.kind) {
          case 'moved':
            server = servers.move(redirection.slot, redirection.address)
            isAsking = false
            break
          case 'ask':
            server = servers.at(redirection.address)
            isAsking = true
            break
          case 'try-again':
            await pause(TRY_AGAIN_MS)
        }
      }
    }
  }
}
