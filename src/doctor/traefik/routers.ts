import type { Config } from '../../config/config.ts'
import { type Finding, finding } from '../finding.ts'
import { middlewaresOf, optionAt, type Router, type TraefikConfiguration } from './configuration.ts'
import type { Check } from './middlewares.ts'

/** Examines the routers of the protected hosts, and that of `BASE_PATH`. */
export function examineRouters(
  configuration: TraefikConfiguration,
  checks: readonly Check[],
  config: Config,
): readonly Finding[] {
  const { routers } = configuration
  if (routers.length === 0) return []
  const { BASE_PATH: basePath } = config.settings
  const names = new Set(checks.map(({ name }) => name))
  const uses = (router: Router) =>
    [...middlewaresOf(router, configuration)].some((each) => names.has(each))
  const isSignIn = ({ rule }: Router) => new RegExp(`PathPrefix\\(\`${basePath}(?:/|\`)`).test(rule)
  const signIn = routers.filter(isSignIn)
  const apps = routers.filter(
    (each) => !isSignIn(each) && isOfHosts(each, config) && !isForwarding(each, configuration),
  )
  if (signIn.length === 0) {
    return [
      finding(
        'sign_in_router_missing',
        `No rule of ${routers.length} routers has PathPrefix(\`${basePath}/\`).`,
      ),
    ]
  }
  const highest = apps.toSorted((one, other) => other.priority - one.priority)[0]
  return [
    ...signIn
      .filter(uses)
      .map(({ name }) =>
        finding('sign_in_guarded', `The router ${name} of ${basePath} has the middleware.`),
      ),
    ...signIn
      .filter(({ priority }) => highest && highest.priority >= priority)
      .map(({ name, priority }) =>
        finding(
          'sign_in_priority',
          `The router ${name} has the priority ${priority}, and ${highest?.name} has ${highest?.priority}.`,
        ),
      ),
    ...apps
      .filter((router) => !uses(router))
      .map(({ name }) =>
        finding('router_unguarded', `The router ${name} does not have the middleware.`),
      ),
  ]
}

function isOfHosts({ rule }: Router, { hosts }: Config): boolean {
  return hosts.some(({ hostname }) => rule.includes(`\`${hostname}\``))
}

/** Returns whether a router leads to no app: services of Traefik itself, and redirects. */
function isForwarding(router: Router, configuration: TraefikConfiguration): boolean {
  if (router.service.endsWith('@internal')) return true
  const options = [...middlewaresOf(router, configuration)].map((name) =>
    configuration.middlewares.get(name),
  )
  return options.some((each) => optionAt(each, 'redirectScheme') ?? optionAt(each, 'redirectRegex'))
}
