import { posix } from 'node:path'
import type { Config } from '../config/config.ts'
import { type HostPattern, patternOf } from '../core/site.ts'
import { checkOptions, explained, stripOptions } from './middlewares.ts'
import { namesOf, STRIP } from './policy-names.ts'

/** Exceeds every default priority of Traefik, which is the length of a rule. */
export const SIGN_IN_PRIORITY = 100_000

const TLS_FOLDER = '/etc/traefik/vestibule-tls'

/** Returns the router rule for `BASE_PATH` on every host of this installation. */
export function signInRule(config: Config) {
  const { settings } = config
  return {
    rule: `${hostsRule(signInHosts(config))} && PathPrefix(\`${settings.BASE_PATH}/\`)`,
    priority: SIGN_IN_PRIORITY,
  }
}

/** Returns the hosts on which `BASE_PATH` leads to Vestibule. */
export function signInHosts({ publicSite, hosts }: Config): readonly HostPattern[] {
  return [...(publicSite ? [patternOf(publicSite)] : []), ...hosts]
}

/**
 * Returns the dynamic configuration for Traefik's file provider. `host` is the name by which Traefik reaches
 * Vestibule, `folder` the place of its certificates on Traefik's machine.
 */
export function traefikFile(config: Config, host: string, folder?: string): string {
  const { rule, priority } = signInRule(config)
  return explained({
    http: {
      middlewares: { [STRIP]: stripOptions(config), ...checkOf(config, host, folder) },
      routers: { vestibule: { rule, priority, service: 'vestibule' } },
      services: {
        vestibule: {
          loadBalancer: { servers: [{ url: `http://${host}:${config.settings.PORT}` }] },
        },
      },
    },
  })
}

/** Returns the middlewares of policies for a file of their own, beside the one that `traefikFile` returns. */
export function traefikPolicies(
  config: Config,
  policies: readonly string[],
  host: string,
  folder?: string,
): string {
  const middlewares = policies.map((policy) => checkOf(config, host, folder, policy))
  const head = `Belongs beside the file that \`vestibule render traefik\` prints without --policy, whose ${STRIP}\nthe chains use.`
  return explained({ http: { middlewares: Object.assign({}, ...middlewares) as object } }, head)
}

function checkOf(config: Config, host: string, folder = TLS_FOLDER, policy?: string) {
  const pathOf = (name: string) => posix.join(folder, name)
  const ca = pathOf('ca.crt')
  const both = { ca, cert: pathOf('tls.crt'), key: pathOf('tls.key') }
  const { check, chain } = namesOf(policy)
  return {
    [check]: checkOptions(config, host, { server: { ca }, both }, policy),
    [chain]: { chain: { middlewares: [STRIP, check] } },
  }
}

/** Returns the router rule for any of these hosts. */
export function hostsRule(patterns: readonly HostPattern[]): string {
  const matchers = [...new Set(patterns.map(hostMatcher))]
  return matchers.length === 1 ? matchers.join('') : `(${matchers.join(' || ')})`
}

function hostMatcher({ hostname, isWildcard }: HostPattern): string {
  if (!isWildcard) return `Host(\`${hostname}\`)`
  return `HostRegexp(\`^.+\\.${hostname.replaceAll('.', '\\.')}$\`)`
}
