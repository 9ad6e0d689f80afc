import type { Config } from '../../config/config.ts'
import { matchesHost } from '../../core/site.ts'
import type { Patient } from '../examination.ts'
import { type Finding, finding, quoted } from '../finding.ts'
import { middlewaresOf, optionAt, type Router, type TraefikConfiguration } from './configuration.ts'
import { hostsIn, isOfBasePath, mayTake } from './rule.ts'

/** Examines the routers of the protected hosts, and that of `BASE_PATH`; `checks` are the names of the middlewares that ask Vestibule. */
export function examineRouters(
  configuration: TraefikConfiguration,
  checks: ReadonlySet<string>,
  { config, note }: Pick<Patient, 'config' | 'note'>,
): readonly Finding[] {
  const { routers } = configuration
  if (routers.length === 0) return []
  const { BASE_PATH: basePath } = config.settings
  const isGuarded = (router: Router) =>
    middlewaresOf(router, configuration).some((name) => checks.has(name))
  const signIn = routers.filter(
    ({ rule }) => isOfBasePath(rule, basePath) && partOf(rule, config) !== 'none',
  )
  const apps = routers.filter(
    (each) =>
      !signIn.includes(each) &&
      partOf(each.rule, config) !== 'none' &&
      !isForwarding(each, configuration),
  )
  const unguarded = apps.filter((each) => !isGuarded(each) && each.errors.length === 0)
  const isProtected = ({ rule }: Router) => partOf(rule, config) === 'named'
  const isKnown = (router: Router) =>
    middlewaresOf(router, configuration).every((name) => configuration.middlewares.has(name))
  const unclear = unguarded.filter((each) => !isProtected(each) || !isKnown(each))
  if (unclear.length > 0)
    note(
      `routers without a known check, for any host, for one below a wildcard or with middlewares that were not given: ${unclear.map(({ name }) => name).join(', ')}.`,
    )
  return [
    ...[...signIn, ...apps].flatMap(errorsOf),
    ...(signIn.length === 0
      ? [
          finding(
            'base_path_missing',
            `No rule of ${routers.length} routers has PathPrefix(\`${basePath}/\`).`,
          ),
        ]
      : []),
    ...signIn
      .filter(isGuarded)
      .map(({ name }) =>
        finding('base_path_guarded', `The router ${name} of ${basePath} has the middleware.`),
      ),
    ...signIn.flatMap((each) => rivalOf(each, apps, basePath)),
    ...unguarded
      .filter((each) => !unclear.includes(each))
      .map(({ name }) =>
        finding('app_unguarded', `The router ${name} does not have the middleware.`),
      ),
  ]
}

/** Returns whether a rule names a host of this installation, may match one, or matches none. */
function partOf(rule: string, { hosts, publicSite }: Config): 'named' | 'possible' | 'none' {
  const names = hostsIn(rule)
  if (names.length === 0) return 'possible'
  const home = publicSite && new URL(publicSite.origin).hostname
  const found = hosts.filter((each) => names.some((name) => matchesHost(each, name, each.port)))
  if (found.some(({ isWildcard }) => !isWildcard)) return 'named'
  return found.length > 0 || names.some((name) => name === home) ? 'possible' : 'none'
}

function errorsOf({ name, errors }: Router): readonly Finding[] {
  const [error] = errors
  if (error === undefined) return []
  // Names of middlewares with their provider look like e-mail addresses, which are hidden.
  const shown = quoted(error.replace(/@(\w+)/g, ' ($1)'))
  return [finding('traefik_error', `The router ${name}: ${shown}.`)]
}

/** Reports the app's router that takes the requests for `BASE_PATH` on a host of both. */
function rivalOf(signIn: Router, apps: readonly Router[], basePath: string): readonly Finding[] {
  const hosts = hostsIn(signIn.rule)
  const [rival] = apps
    .filter(({ rule, priority }) => priority >= signIn.priority && mayTake(rule, basePath))
    .filter(({ rule }) => {
      const names = hostsIn(rule)
      return names.length * hosts.length === 0 || names.some((name) => hosts.includes(name))
    })
    .toSorted((one, other) => other.priority - one.priority)
  if (!rival) return []
  const seen = `The router ${signIn.name} of ${basePath} has the priority ${signIn.priority}, and ${rival.name} has ${rival.priority}.`
  return [finding('base_path_guarded', seen)]
}

/** Returns whether a router leads to no app: services of Traefik itself, and redirects of every path. */
function isForwarding(router: Router, configuration: TraefikConfiguration): boolean {
  if (router.service.endsWith('@internal')) return true
  const [host = 'any.invalid'] = hostsIn(router.rule)
  return middlewaresOf(router, configuration).some((name) => {
    const options = configuration.middlewares.get(name)
    const regex = optionAt(options, 'redirectRegex', 'regex')
    const isOfScheme = optionAt(options, 'redirectScheme') !== undefined && !router.hasTls
    return isOfScheme || (typeof regex === 'string' && matchesEveryPath(regex, host))
  })
}

function matchesEveryPath(regex: string, host: string): boolean {
  try {
    const matcher = new RegExp(regex)
    return ['http', 'https'].some((scheme) => matcher.test(`${scheme}://${host}/vestibule-doctor`))
  } catch {
    return false
  }
}
