import type { Config } from '../config/config.ts'
import { createSite, type HostPattern, matchesHost, parseHost, type Site } from '../core/site.ts'

/** Site that browsers visit. */
export interface Place {
  readonly site: Site
  readonly hostname: string
  /** False for a `PUBLIC_URL` that serves only the sign-in. */
  readonly isProtected: boolean
  readonly setting: 'PROTECTED_HOSTS' | 'PUBLIC_URL'
}

export interface Places {
  readonly places: readonly Place[]
  /** Wildcards for which no host was named. */
  readonly untried: readonly HostPattern[]
  /** Names that were given and are none of this installation's hosts. */
  readonly foreign: readonly string[]
}

/** Lists the sites to examine; `named` are hosts to try below wildcards, and may be others of the list. */
export function findPlaces({ hosts, publicSite }: Config, named: readonly string[]): Places {
  const wildcards = hosts.filter(({ isWildcard }) => isWildcard)
  const exact = hosts.filter(({ isWildcard }) => !isWildcard)
  const tried = named
    .filter((name) => !matching(exact, name))
    .map((name) => ({ name, pattern: matching(wildcards, name) }))
  const places = [
    ...exact.map((host) => placeOf(host, host.hostname)),
    ...tried.flatMap(({ name, pattern }) =>
      pattern ? [placeOf(pattern, parseHost(name)?.hostname ?? name)] : [],
    ),
  ]
  const isListed = places.some(({ site }) => site.origin === publicSite?.origin)
  return {
    places: publicSite && !isListed ? [...places, publicPlace(publicSite)] : places,
    untried: wildcards.filter((each) => !tried.some(({ pattern }) => pattern === each)),
    foreign: tried.flatMap(({ name, pattern }) => (pattern ? [] : [name])),
  }
}

function matching(patterns: readonly HostPattern[], name: string): HostPattern | undefined {
  const host = parseHost(name)
  return host && patterns.find((each) => matchesHost(each, host.hostname, host.port || each.port))
}

function placeOf({ scheme, port }: HostPattern, hostname: string): Place {
  const site = createSite(scheme, hostname, port)
  return { site, hostname, isProtected: true, setting: 'PROTECTED_HOSTS' }
}

function publicPlace(site: Site): Place {
  const { hostname } = new URL(site.origin)
  return { site, hostname, isProtected: false, setting: 'PUBLIC_URL' }
}
