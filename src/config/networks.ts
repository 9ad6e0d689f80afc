import { BlockList, isIP } from 'node:net'
import type { Networks } from '../core/access/condition.ts'
import { ValueError } from './config-error.ts'

/**
 * Parses networks such as `10.0.0.0/8` and single addresses. Throws `ValueError` that names each entry that is
 * neither.
 */
export function parseNetworks(entries: readonly string[]): BlockList {
  const faulty = entries.filter((entry) => !parseNetwork(entry))
  if (faulty.length > 0) {
    throw new ValueError(faulty.map((entry) => `${entry} is not a network`).join('; '))
  }
  return blockListOf(entries.flatMap((entry) => parseNetwork(entry) ?? []))
}

/** Network as written, by its family; an IPv4-mapped one is IPv4 (RFC 4291 section 2.5.5.2). */
export interface Network {
  readonly source: string
  readonly address: string
  readonly family: Family
  /** Length of the prefix in the family. */
  readonly bits: number
}

type Family = 'ipv4' | 'ipv6'

const WIDTH = { ipv4: 32, ipv6: 128 } as const satisfies Record<Family, number>
/** Bits in front of an IPv4 address that is mapped into IPv6. */
const MAPPED_BITS = 96
const MAPPED = new BlockList()
MAPPED.addSubnet('::ffff:0:0', MAPPED_BITS, 'ipv6')

/** Returns `undefined` for what is neither a network nor an address. */
export function parseNetwork(source: string): Network | undefined {
  const [, address = '', prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(source) ?? []
  if (isIP(address) === 0) return undefined
  const family = writtenFamily(address)
  const bits = Number(prefix ?? WIDTH[family])
  if (bits > WIDTH[family]) return undefined
  return bits >= MAPPED_BITS && isMapped(address)
    ? { source, address, family: 'ipv4', bits: bits - MAPPED_BITS }
    : { source, address, family, bits }
}

/**
 * Makes the networks of a condition. An IPv4 address lies in no IPv6 network such as `::/0`, in which `BlockList` alone
 * would find it.
 */
export function createNetworks(networks: readonly Network[]): Networks {
  const lists = {
    ipv4: blockListOf(networks.filter(({ family }) => family === 'ipv4')),
    ipv6: blockListOf(networks.filter(({ family }) => family === 'ipv6')),
  }
  return {
    sources: networks.map(({ source }) => source),
    contains(address) {
      if (isIP(address) === 0) throw new TypeError('not an address')
      const family = writtenFamily(address)
      return lists[isMapped(address) ? 'ipv4' : family].check(address, family)
    },
  }
}

/** Returns whether all addresses of a network lie in one of the others. */
export function isCovered(network: Network, others: readonly Network[]): boolean {
  return others.some(
    (other) =>
      other.family === network.family &&
      other.bits <= network.bits &&
      blockListOf([other]).check(network.address, writtenFamily(network.address)),
  )
}

function writtenFamily(address: string): Family {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

function isMapped(address: string): boolean {
  return address.includes(':') && MAPPED.check(address, 'ipv6')
}

function blockListOf(networks: readonly Network[]): BlockList {
  const list = new BlockList()
  for (const { address, bits, family } of networks) {
    const written = writtenFamily(address)
    list.addSubnet(address, written === family ? bits : bits + MAPPED_BITS, written)
  }
  return list
}
