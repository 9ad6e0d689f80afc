import { isIP } from 'node:net'
import { ValueError } from './config-error.ts'
import { parseNetworks } from './networks.ts'

/** Returns whether a host is asked directly. */
type IsBypassed = (hostname: string, port: number) => boolean

/**
 * Reads `NO_PROXY`: `*`, hosts and domains with their subdomains, addresses, networks and ranges of addresses, each
 * host or address with or without a port. Node's own reading knows neither networks nor plain domains.
 */
export function parseProxyExceptions(entries: readonly string[]): IsBypassed {
  const kinds = Map.groupBy(entries, kindOf)
  const addresses = parseNetworks((kinds.get('network') ?? []).map(withoutBrackets))
  for (const range of kinds.get('range') ?? []) addresses.addRange(...boundsOf(range))
  const names = (kinds.get('name') ?? []).map(parseName)
  return (hostname, port) => {
    const host = withoutBrackets(hostname).replace(/\.$/, '')
    const version = isIP(host)
    if (version !== 0 && addresses.check(host, version === 6 ? 'ipv6' : 'ipv4')) return true
    return names.some((name) => isNamed(name, host, port))
  }
}

function kindOf(entry: string): 'network' | 'range' | 'name' {
  if (entry.includes('/') || isIP(withoutBrackets(entry)) !== 0) return 'network'
  return boundsOf(entry).every((each) => isIP(each) === 4) ? 'range' : 'name'
}

/** Returns both ends of a range such as `10.0.0.1-10.0.0.9`, which Node's own reading knows. */
function boundsOf(entry: string): [from: string, to: string] {
  const [from = '', to = ''] = entry.split('-')
  return [from, to]
}

interface Name {
  /** Lower case, without a leading `.` or `*.`; empty for every host. */
  readonly name: string
  readonly port?: number
}

function parseName(entry: string): Name {
  const [, host = '', port] = /^(.*?)(?::(\d{1,5}))?$/.exec(entry) ?? []
  const name = withoutBrackets(host.toLowerCase()).replace(/^\*?\.?|\.$/g, '')
  if (name === '' && !host.startsWith('*')) throw new ValueError(`${entry} names no host`)
  return { name, ...(port !== undefined && { port: Number(port) }) }
}

function isNamed({ name, port: onlyPort }: Name, host: string, port: number): boolean {
  if (onlyPort !== undefined && onlyPort !== port) return false
  return name === '' || host === name || host.endsWith(`.${name}`)
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}
