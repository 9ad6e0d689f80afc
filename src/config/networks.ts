import { BlockList, isIP } from 'node:net'
import { ValueError } from './config-error.ts'

export const NETWORK_REMEDY = 'write 10.0.0.0/8 or a single address'

/**
 * Parses networks such as `10.0.0.0/8` and single addresses. Throws `ValueError` that names each entry that is
 * neither.
 */
export function parseNetworks(entries: readonly string[]): BlockList {
  const networks = new BlockList()
  const faulty = entries.filter((entry) => !addNetwork(networks, entry))
  if (faulty.length === 0) return networks
  throw new ValueError(faulty.map((entry) => `${entry} is not a network`).join('; '))
}

function addNetwork(networks: BlockList, entry: string): boolean {
  const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
  const version = isIP(address)
  const width = version === 6 ? 128 : 32
  const prefix = Number(bits ?? width)
  if (version === 0 || prefix > width) return false
  networks.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4')
  return true
}
