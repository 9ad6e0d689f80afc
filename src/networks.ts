import { BlockList, isIP } from 'node:net'

/** Parses `10.0.0.0/8` and single addresses; a `TypeError` names the entry that is neither. */
export function parseNetworks(entries: readonly string[]): BlockList {
  const networks = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    const width = family === 'ipv6' ? 128 : 32
    const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : -1
    if (isIP(address) === 0 || prefix < 0 || prefix > width)
      throw new TypeError(`${entry} is not a network`)
    networks.addSubnet(address, prefix, family)
  }
  return networks
}
