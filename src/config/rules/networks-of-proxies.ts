import type { RuleSet } from '../../core/access/rule-set.ts'
import { isCovered, type Network, parseNetwork } from '../networks.ts'
import type { Notice } from '../notices.ts'
import { conditionsIn, partsOf } from './policies.ts'

/**
 * Finds networks of conditions that lie wholly inside `TRUSTED_PROXIES`. Proxies are skipped where the client's address is
 * looked for, so that no client has one in there.
 */
export function findNetworksOfProxies(
  { rules, policies }: RuleSet,
  trustedProxies: readonly string[],
): Notice[] {
  const trusted = networksOf(trustedProxies)
  return conditionsIn(rules, policies).flatMap(([place, condition]) => {
    const sources = partsOf(condition).flatMap((part) =>
      part.kind === 'networks' ? part.networks.sources : [],
    )
    return networksOf([...new Set(sources)])
      .filter((network) => isCovered(network, trusted))
      .map(({ source }): Notice => ({ kind: 'network-of-proxies', place, network: source }))
  })
}

function networksOf(sources: readonly string[]): readonly Network[] {
  return sources.flatMap((source) => parseNetwork(source) ?? [])
}
