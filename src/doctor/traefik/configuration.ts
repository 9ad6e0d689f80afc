import { isRecord } from '../../core/json.ts'

export type Options = Readonly<Record<string, unknown>>

/** Router as it is written, whichever provider has it. */
export interface Router {
  readonly name: string
  readonly rule: string
  readonly priority: number
  /** Empty where the router takes the default ones. */
  readonly entryPoints: readonly string[]
  readonly hasTls: boolean
  readonly middlewares: readonly string[]
  readonly service: string
  /** Reasons for which Traefik does not serve it, which its API alone tells. */
  readonly errors: readonly string[]
}

/** Known parts of Traefik's configuration, each of which may be empty. */
export interface TraefikConfiguration {
  readonly version?: string
  readonly entryPoints: ReadonlyMap<string, Options>
  readonly middlewares: ReadonlyMap<string, Options>
  readonly routers: readonly Router[]
  /** Files that could not be read, with the reason. */
  readonly unread: readonly string[]
}

export const NO_CONFIGURATION: TraefikConfiguration = {
  entryPoints: new Map(),
  middlewares: new Map(),
  routers: [],
  unread: [],
}

export function createRouter(name: string, options: Options): Router {
  const { rule, match = rule, priority, service, tls, entryPoints, middlewares, error } = options
  const text = typeof match === 'string' ? match : ''
  // Traefik takes the length of the rule where no priority is given.
  const given = typeof priority === 'number' && priority !== 0 ? priority : text.length
  return {
    name,
    rule: text,
    priority: given,
    entryPoints: textsIn(entryPoints),
    hasTls: isRecord(tls) || tls === true,
    middlewares: textsIn(middlewares),
    service: typeof service === 'string' ? service : '',
    errors: textsIn(error),
  }
}

/** Joins parts of one configuration, as its files are. */
export function joinConfigurations(parts: readonly TraefikConfiguration[]): TraefikConfiguration {
  const version = parts.find((part) => part.version !== undefined)?.version
  return {
    ...(version !== undefined && { version }),
    entryPoints: new Map(parts.flatMap(({ entryPoints }) => [...entryPoints])),
    middlewares: new Map(parts.flatMap(({ middlewares }) => [...middlewares])),
    routers: parts.flatMap(({ routers }) => routers),
    unread: parts.flatMap(({ unread }) => unread),
  }
}

/** Returns the name without the provider, which other providers write after it: `protected@file`. */
export function plainName(name: string): string {
  return name.replace(/@.*$/, '')
}

/** Returns a member at a path; `undefined` where any part of it is missing. */
export function optionAt(options: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((found, name) => (isRecord(found) ? found[name] : undefined), options)
}

/** Returns the entry points that serve a router: the given ones, else those that Traefik takes by default. */
export function entryPointsOf(
  { entryPoints: given }: Router,
  { entryPoints }: TraefikConfiguration,
): readonly string[] {
  if (given.length > 0) return given
  const named = [...entryPoints.keys()].filter((name) => name !== 'traefik')
  const chosen = named.filter((name) => optionAt(entryPoints.get(name), 'asDefault') === true)
  return chosen.length > 0 ? chosen : named
}

/** Returns the middlewares that a request meets at a router, in this order: those of all its entry points, then its own. */
export function middlewaresOf(
  router: Router,
  configuration: TraefikConfiguration,
): readonly string[] {
  const [first = [], ...others] = entryPointsOf(router, configuration).map((name) =>
    textsIn(optionAt(configuration.entryPoints.get(name), 'http', 'middlewares')),
  )
  const common = first.filter((name) => others.every((each) => each.includes(name)))
  return withoutChains([...common, ...router.middlewares], configuration, [])
}

/** Puts the members of chains in their place; `above` are the chains around them. */
function withoutChains(
  names: readonly string[],
  configuration: TraefikConfiguration,
  above: readonly string[],
): readonly string[] {
  return names.map(plainName).flatMap((name) => {
    const members = textsIn(
      optionAt(configuration.middlewares.get(name), 'chain', 'middlewares'),
    ).filter((each) => ![...above, name].includes(plainName(each)))
    return members.length === 0 ? [name] : withoutChains(members, configuration, [...above, name])
  })
}

/** Returns the texts of a list, of which Kubernetes writes each as an object with a name. */
export function textsIn(list: unknown): readonly string[] {
  const members: readonly unknown[] = Array.isArray(list) ? list : []
  return members.flatMap((each) => {
    const name = isRecord(each) ? each['name'] : each
    return typeof name === 'string' ? [name] : []
  })
}
