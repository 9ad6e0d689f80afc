import type { IncomingMessage } from 'node:http'
import { type BlockList, isIP, type Socket } from 'node:net'
import type { LimitedOrigin } from '../core/limited-origin.ts'
import { connectionOf } from './connection.ts'

/** Networks whose `X-Forwarded-*` headers are trusted. */
export interface TrustedProxies {
  /** Returns whether the connection of a request comes from one of the networks. */
  isTrustedPeer(incoming: IncomingMessage): boolean
  /** Returns the visitor's address, or `undefined` where no trusted proxy names it. */
  clientAddress(incoming: IncomingMessage): string | undefined
  /** Returns the visitor's address in the text of an `X-Forwarded-For`, or `undefined` where it names none. */
  readonly addressIn: (forwardedFor: string) => string | undefined
  /** Returns the address for rate limits: the visitor's, or the nearest known one. */
  limitedOrigin(incoming: IncomingMessage): LimitedOrigin
}

export function createTrustedProxies(networks: BlockList): TrustedProxies {
  const known = new WeakMap<object, boolean>()
  const isTrusted = (address: string) =>
    networks.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
  // Cached by connection, because its peer does not change.
  const isTrustedPeer = (incoming: IncomingMessage) =>
    known.getOrInsertComputed(connectionOf(incoming), () => isTrusted(peerAddress(incoming)))
  return {
    isTrustedPeer,
    clientAddress: (incoming) =>
      isTrustedPeer(incoming)
        ? clientAddress(incoming.headers['x-forwarded-for'], isTrusted)
        : undefined,
    addressIn: (forwardedFor) => clientAddress(forwardedFor, isTrusted),
    limitedOrigin(incoming) {
      const told = incoming.headers['x-forwarded-for']
      const peer = networkOf(peerAddress(incoming))
      if (!isTrustedPeer(incoming)) return { address: peer, isTold: true }
      if (typeof told !== 'string') return { address: peer, isTold: false }
      const address = clientAddress(told, isTrusted) ?? addressOfEntry(entriesOf(told).at(-1) ?? '')
      return { address: networkOf(address), isTold: true }
    },
  }
}

/** Returns the right-most entry that is no trusted proxy, or `undefined` where that is no address (threat A11). */
export function clientAddress(
  forwardedFor: string | string[] | undefined,
  isTrusted: (address: string) => boolean,
): string | undefined {
  if (typeof forwardedFor !== 'string') return undefined
  for (const entry of entriesOf(forwardedFor).toReversed()) {
    const address = addressOfEntry(entry)
    if (isIP(address) === 0) return undefined
    if (!isTrusted(address)) return address
  }
  return undefined
}

function entriesOf(forwardedFor: string): readonly string[] {
  return forwardedFor.split(',')
}

/** Bounds an entry with the blanks around it, which take time by the square of their number. */
const MAX_ENTRY_CHARS = 100

/** Returns an entry without quotes, brackets and port, with which some proxies write it (finding C44). */
function addressOfEntry(entry: string): string {
  if (entry.length > MAX_ENTRY_CHARS) return ''
  const text = entry.replace(/^[ \t]+|[ \t]+$/g, '').replace(/^"(.*)"$/, '$1')
  const [, bracketed, v4] = DECORATED.exec(text) ?? []
  return bareAddress(bracketed ?? v4 ?? text)
}

/** Matches an IPv6 address in brackets, and an IPv4 address with a port. */
const DECORATED =
  /^(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\](?::\d{1,5})?|(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5})$/i

/** Key shared by all entries that are no address, so that made-up ones do not each get a limit of their own. */
const UNUSABLE = 'unusable'
const IPV6_GROUPS = 8
const NETWORK_GROUPS = 4

/** Returns the /64 of an IPv6 address, because one machine may use all of it, and an IPv4 address unchanged. */
function networkOf(address: string): string {
  const version = isIP(address)
  if (version !== 6) return version === 4 ? address : UNUSABLE
  const [head = [], tail = []] = address.split('::').map((half) => half.split(':').filter(Boolean))
  const embedded = tail.at(-1)?.includes('.') ? 1 : 0
  const zeros = Array<string>(IPV6_GROUPS - head.length - tail.length - embedded).fill('0')
  return [...head, ...zeros, ...tail]
    .slice(0, NETWORK_GROUPS)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}

/** Returns the address of the other end of the connection. */
export function peerAddress({ socket }: IncomingMessage): string {
  return addressOf(socket)
}

/** Returns the address of the other end of a socket, or an empty text where it has ended. */
export function addressOf({ remoteAddress }: Pick<Socket, 'remoteAddress'>): string {
  return bareAddress(remoteAddress ?? '')
}

/** Matches an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), dotted or as two groups. */
const MAPPED = /^(?:0{0,4}:){2,5}ffff:(?:(\d+(?:\.\d+){3})|([\da-f]{1,4}):([\da-f]{1,4}))$/i

/** Returns an address without its zone, and an IPv4-mapped one as IPv4, as a socket for both families reports it. */
function bareAddress(given: string): string {
  const address = given.replace(/%.*$/, '')
  const [, dotted, high = '', low = ''] = MAPPED.exec(address) ?? []
  if (dotted !== undefined || high === '') return dotted ?? address
  return [high, low].flatMap((group) => [...Buffer.from(group.padStart(4, '0'), 'hex')]).join('.')
}
