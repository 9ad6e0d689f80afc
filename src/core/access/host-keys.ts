import { DEFAULT_PORT, type HostPattern } from '../site.ts'

/** Key of rules for every host. */
export const EVERY_HOST = ''

/** Returns the keys of the rules that may apply to a site's host; every host has `EVERY_HOST`. */
export type HostKeys = (host: string) => readonly string[]

/** Creates the lookup of keys. Remembers nothing of requests, because below a wildcard their senders choose the host. */
export function createHostKeys(patterns: readonly HostPattern[]): HostKeys {
  const known = new Set(patterns.flatMap(hostKeysOf))
  const suffixes = [...known].filter((key) => key.startsWith('.'))
  const longest = Math.max(0, ...suffixes.map(({ length }) => length))
  if (known.size === 0) return () => ONLY_EVERY_HOST
  return (host) => {
    const keys = [EVERY_HOST]
    if (known.has(host)) keys.push(host)
    // Looks at no suffix that is longer than every wildcard, to bound the work on a host of many labels.
    let dot = host.indexOf('.', host.length - longest)
    while (dot !== -1) {
      const suffix = host.slice(dot)
      if (known.has(suffix)) keys.push(suffix)
      dot = host.indexOf('.', dot + 1)
    }
    return keys
  }
}

const ONLY_EVERY_HOST: readonly string[] = [EVERY_HOST]

/** Returns the keys of a pattern: `app.example.com`, or `.example.com` for a wildcard, each with the ports it takes. */
export function hostKeysOf({ scheme, hostname, port, isWildcard }: HostPattern): readonly string[] {
  const name = isWildcard ? `.${hostname}` : hostname
  return port === '' ? [name, `${name}:${DEFAULT_PORT[scheme]}`] : [`${name}:${port}`]
}
