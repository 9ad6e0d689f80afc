import type { Environment } from '../../config/config.ts'
import { identityOptions } from '../../config/identity-options.ts'
import { loadAccess } from '../../config/load-access.ts'
import { createExplain, type Explain } from '../../core/access/explain/explain.ts'
import { createRules } from '../../core/access/rule-set.ts'
import { createTrustedProxies } from '../../http/trusted-proxies.ts'

/** Creates the explanations of an environment and its files. Throws `ConfigError` where access cannot be read from them. */
export function createLocalExplain(environment: Environment): Explain {
  const { settings, protectedSites, rules, trustedNetworks } = loadAccess(environment)
  return createExplain({
    rules: { current: createRules(rules) },
    protectedSites,
    basePath: settings.BASE_PATH,
    identity: { ...identityOptions(settings), claims: rules.claims },
    issuer: settings.OIDC_ISSUER_URL,
    clientAddress: createTrustedProxies(trustedNetworks).addressIn,
  })
}
