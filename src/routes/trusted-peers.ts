import type { IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { parseNetworks } from '../networks.ts'

/** Whom forwarded headers are believed. */
export interface TrustedProxies {
  /** Whether a request comes over a connection from one of the networks. */
  isTrustedPeer(incoming: IncomingMessage): boolean
  /** The visitor's address, where somebody tells it who is believed. */
  clientAddress(incoming: IncomingMessage): string | undefined
}

export function createTrustedProxies(networkList: readonly string[]): TrustedProxies {
  const networks = parseNetworks(networkList)
  const known = new WeakMap<Socket, boolean>()
  const isTrusted = (address: string) =>
    networks.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
  // A connection has one peer, so each is looked up once.
  const isTrustedPeer = (incoming: IncomingMessage) =>
    known.getOrInsertComputed(incoming.socket, () => isTrusted(peerAddress(incoming)))
  return {
    isTrustedPeer,
    clientAddress: (incoming) =>
      isTrustedPeer(incoming)
        ? clientAddress(incoming.headers['x-forwarded-for'], isTrusted)
        : undefined,
  }
}

/** The right-most entry that is no proxy of ours (threat A11); nothing when there is none or it is no address. */
export function clientAddress(
  forwardedFor: string | string[] | undefined,
  isTrusted: (address: string) => boolean,
): string | undefined {
  if (typeof forwardedFor !== 'string') return undefined
  const entries = forwardedFor
    .split(',')
    .map((entry) => unmapped(entry.replace(/^[ \t]+|[ \t]+$/g, '')))
  const address = entries.findLast((entry) => isIP(entry) === 0 || !isTrusted(entry))
  return address !== undefined && isIP(address) !== 0 ? address : undefined
}

/** The other end of the connection. */
export function peerAddress({ socket }: IncomingMessage): string {
  return unmapped(socket.remoteAddress ?? '')
}

/** IPv4 addresses on sockets that speak IPv6 are IPv4 addresses. */
function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
}
