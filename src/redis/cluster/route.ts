import { setTimeout as pause } from 'node:timers/promises'
import type { Command, CommandKey } from '../client.ts'
import { failureOf, TopologyError } from '../failure.ts'
import { readReplyError } from '../reply-errors.ts'
import { keySlot } from './key-slot.ts'
import type { ClusterServers } from './servers.ts'
import { locate } from './topology.ts'

const MAX_REDIRECTIONS = 5
/** Time after which a command is repeated whose slot is being migrated. */
const TRY_AGAIN_MS = 50

/** Returns a function that sends a command to the owner of its key's slot, and follows redirections. */
export function createCommandRouter(servers: ClusterServers, onStale: () => void) {
  const firstFor = (key: CommandKey) =>
    key === undefined
      ? servers.connected[Math.floor(Math.random() * servers.connected.length)]
      : servers.ownerOf(keySlot(key))

  return async <T>(key: CommandKey, command: Command<T>): Promise<T> => {
    let server = firstFor(key)
    if (!server) {
      onStale()
      throw new TopologyError('cluster', 'no primary for this key is connected')
    }
    let isAsking = false
    for (let redirections = 0; ; redirections++) {
      try {
        return await server.send(command, isAsking)
      } catch (cause) {
        if (failureOf(cause) === 'cluster') onStale()
        const reply = readReplyError(cause)
        if (redirections === MAX_REDIRECTIONS) throw cause
        switch (reply?.kind) {
          case 'moved':
            server = servers.move(reply.slot, locate(reply.address, server.address))
            isAsking = false
            break
          case 'ask':
            server = servers.at(locate(reply.address, server.address))
            isAsking = true
            break
          case 'try-again':
            await pause(TRY_AGAIN_MS)
            break
          case 'denied':
          case 'unknown-command':
          case 'cluster-disabled':
          case 'unknown-primary':
          case 'syntax-error':
          case 'other':
          case undefined:
            throw cause
        }
      }
    }
  }
}
