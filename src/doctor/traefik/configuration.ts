import { isRecord } from '../../core/json.ts'

export type Options = Readonly<Record<string, unknown>>

/** Router as it is written, whichever provider has it. */
export interface Router {
  readonly name: string
  readonly rule: string
  readonly priority: number
  readonly middlewares: readonly string[]
  readonly service: string
}

/** Known parts of Traefik's configuration, each of which may be empty. */
export interface TraefikConfiguration {
  readonly version?: string
  readonly entryPoints: ReadonlyMap<string, Options>
  readonly middlewares: ReadonlyMap<string, Options>
  readonly routers: readonly Router[]
}

export function createRouter(
  name: string,
  options: Options,
  middlewares: readonly string[],
): Router {
  const { rule, match = rule, priority, service } = options
  const text = typeof match === 'string' ? match : ''
  // Traefik takes the length of the rule where no priority is given.
  const given = typeof priority === 'number' && priority !== 0 ? priority : text.length
  return {
    name,
    rule: text,
    priority: given,
    middlewares,
    service: typeof service === 'string' ? service : '',
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

/** Returns the names of the middlewares that a router uses, those within chains too. */
export function middlewaresOf(
  router: Router,
  { middlewares }: TraefikConfiguration,
): ReadonlySet<string> {
  const found = new Set<string>()
  const waiting = [...router.middlewares]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const plain = plainName(name)
    if (found.has(plain)) continue
    found.add(plain)
    waiting.push(...textsIn(optionAt(middlewares.get(plain), 'chain', 'middlewares')))
  }
  return found
}

/** Returns the texts of a list, of which Kubernetes writes each as an object with a name. */
export function textsIn(list: unknown): readonly string[] {
  const members: readonly unknown[] = Array.isArray(list) ? list : []
  return members.flatMap((each) => {
    const name = isRecord(each) ? each['name'] : each
    return typeof name === 'string' ? [name] : []
  })
}
