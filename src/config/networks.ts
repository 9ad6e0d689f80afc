import { BlockList, isIP } from 'node:net'

/** Parses `10.0.0.0/8` and single addresses; a `TypeError` names the entry that is neither. */
export function parseNetworks(entries: readonly string[]): BlockList {
  const networks = new BlockList()
  for (const entry of entries) {
    const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
    const version = isIP(address)
    const width = version === 6 ? 128 : 32
    const prefix = Number(bits ?? width)
    if (version === 0 || prefix > width) throw new TypeError(`${entry} is not a network`)
    networks.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4')
  }
  return networks
}
