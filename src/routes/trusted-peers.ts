import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { parseNetworks } from '../networks.ts'

/** Whether a request comes over a connection from one of the networks. */
export type PeerCheck = (incoming: IncomingMessage) => boolean

/** A connection has one peer, so each is looked up once. */
export function createPeerCheck(trustedProxies: readonly string[]): PeerCheck {
  const networks = parseNetworks(trustedProxies)
  const known = new WeakMap<Socket, boolean>()
  return ({ socket }) =>
    known.getOrInsertComputed(socket, () => {
      const address = socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '') ?? ''
      return networks.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
    })
}
