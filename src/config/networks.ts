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

/** Network as written. */
export interface Network {
  readonly source: string
  readonly address: string
  /** Length of the prefix where IPv4 addresses are mapped into IPv6 (RFC 4291 section 2.5.5.2). */
  readonly bits: number
}

type Family = 'ipv4' | 'ipv6'

const BITS = 128
/** Bits in front of an address of each family, where it is mapped into IPv6. */
const BITS_BEFORE = { ipv4: 96, ipv6: 0 } as const satisfies Record<Family, number>
const MAPPED = new BlockList()
MAPPED.addSubnet('::ffff:0:0', BITS_BEFORE.ipv4, 'ipv6')

/** Returns `undefined` for what is neither a network nor an address. */
export function parseNetwork(source: string): Network | undefined {
  const [, address = '', prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(source) ?? []
  if (isIP(address) === 0) return undefined
  const bits = prefix === undefined ? BITS : Number(prefix) + BITS_BEFORE[familyOf(address)]
  return bits > BITS ? undefined : { source, address, bits }
}

/**
 * Makes the networks of a condition. An IPv4 address lies in no IPv6 network such as `::/0`, in which `BlockList` alone
 * would find it.
 */
export function createNetworks(networks: readonly Network[]): Networks {
  const mapped = blockListOf(networks.filter(isMappedNetwork))
  const others = blockListOf(networks.filter((network) => !isMappedNetwork(network)))
  return {
    sources: networks.map(({ source }) => source),
    contains(address) {
      if (isIP(address) === 0) throw new TypeError('not an address')
      return (isMapped(address) ? mapped : others).check(address, familyOf(address))
    },
  }
}

/** Returns whether all addresses of a network lie in one of the others, as `BlockList` compares them. */
export function isCovered(network: Network, others: readonly Network[]): boolean {
  return others.some(
    (other) =>
      other.bits <= network.bits &&
      blockListOf([other]).check(network.address, familyOf(network.address)),
  )
}

function familyOf(address: string): Family {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

function isMappedNetwork({ address, bits }: Network): boolean {
  return bits >= BITS_BEFORE.ipv4 && isMapped(address)
}

/** Returns whether an address is IPv4, or mapped from it. */
function isMapped(address: string): boolean {
  return MAPPED.check(address, familyOf(address))
}

function blockListOf(networks: readonly Network[]): BlockList {
  const list = new BlockList()
  for (const { address, bits } of networks) {
    const family = familyOf(address)
    list.addSubnet(address, bits - BITS_BEFORE[family], family)
  }
  return list
}
