import { createSites, type HostPattern, parseHostPattern } from '../../src/core/site.ts'

/** Parses entries of PROTECTED_HOSTS, all of them well-formed. */
export function hostPatterns(...sources: readonly string[]): HostPattern[] {
  return sources.map((source) => parseHostPattern(source) as HostPattern)
}

/** Makes the sites of these entries of PROTECTED_HOSTS. */
export function sitesOf(...sources: readonly string[]) {
  return createSites(hostPatterns(...sources))
}
