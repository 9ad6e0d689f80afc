import type { Config } from '../../config/config.ts'
import { sentNames } from '../../core/identity-headers.ts'
import { checkOptions, stripOptions } from '../../render/middlewares.ts'
import { type Finding, finding } from '../finding.ts'
import { middlewaresOf, optionAt, type TraefikConfiguration, textsIn } from './configuration.ts'
import { hostsIn } from './rule.ts'

/** Examines what stands before and after the check at each router that has one. */
export function examineOrder(
  configuration: TraefikConfiguration,
  checks: ReadonlySet<string>,
  config: Config,
): readonly Finding[] {
  const { middlewares, routers } = configuration
  const guarded = routers
    .map((router) => ({ name: router.name, names: middlewaresOf(router, configuration) }))
    .filter(({ names }) => names.some((name) => checks.has(name)))
  const all = { name: '', names: [...middlewares.keys()] }
  return [
    ...guarded.flatMap((each) => examineBefore(each, middlewares, checks)),
    ...guarded.flatMap((each) => examineAfter(each, middlewares, checks, config)),
    ...examineStripped(guarded.length > 0 ? guarded : [all], middlewares, config),
  ]
}

/** Router with the middlewares that a request meets, in this order. */
interface Guarded {
  readonly name: string
  readonly names: readonly string[]
}

type Middlewares = TraefikConfiguration['middlewares']

const PATH_CHANGES = [
  'addPrefix',
  'replacePath',
  'replacePathRegex',
  'stripPrefix',
  'stripPrefixRegex',
]

function examineBefore(
  { name, names }: Guarded,
  middlewares: Middlewares,
  checks: ReadonlySet<string>,
): readonly Finding[] {
  const before = names.slice(
    0,
    names.findIndex((each) => checks.has(each)),
  )
  const changing = before.find((each) =>
    PATH_CHANGES.some((kind) => optionAt(middlewares.get(each), kind) !== undefined),
  )
  if (changing === undefined) return []
  return [finding('path_changed', `The router ${name} has ${changing} before the check.`)]
}

/** Leaves out a middleware that deletes some of the identity headers, which an operator may want. */
function examineAfter(
  { name, names }: Guarded,
  middlewares: Middlewares,
  checks: ReadonlySet<string>,
  { identityHeaders }: Config,
): readonly Finding[] {
  const after = names.slice(names.findLastIndex((each) => checks.has(each)) + 1)
  const sent = sentNames(identityHeaders)
  const deleting = after.find((each) => {
    const deleted = deletedBy([each], middlewares)
    return sent.every((header) => deleted.has(header.toLowerCase()))
  })
  if (deleting === undefined) return []
  return [finding('strip_order', `The router ${name} has ${deleting} after the check.`)]
}

/** Reports headers that neither a headers middleware deletes nor the check replaces, and the routers without that. */
function examineStripped(
  guarded: readonly Guarded[],
  middlewares: Middlewares,
  config: Config,
): readonly Finding[] {
  const all = Object.keys(stripOptions(config).headers.customRequestHeaders)
  // Leaves out those that checks lack, which are named as missing there.
  const { authResponseHeaders: wanted } = checkOptions(config, '', {
    server: {},
    both: {},
  }).forwardAuth
  const routersOf = new Map<string, string[]>()
  for (const { name, names } of guarded) {
    if (names.some((each) => !middlewares.has(each))) continue
    const deleted = deletedBy(names, middlewares)
    const replaced = names.flatMap((each) =>
      textsIn(optionAt(middlewares.get(each), 'forwardAuth', 'authResponseHeaders')),
    )
    const known = new Set([...deleted, ...replaced.map((each) => each.toLowerCase())])
    const missing = all.filter((each) => !known.has(each.toLowerCase()) && !wanted.includes(each))
    if (missing.length > 0) routersOf.getOrInsertComputed(missing.join(', '), () => []).push(name)
  }
  return [...routersOf].map(([missing, names]) => {
    const where = names.filter((name) => name !== '').join(', ')
    return finding(
      'strip_missing',
      `${where === '' ? 'No middleware' : `No middleware of the routers ${where}`} deletes ${missing}.`,
    )
  })
}

/** Returns the headers that middlewares delete, in lower case. */
function deletedBy(names: readonly string[], middlewares: Middlewares): ReadonlySet<string> {
  return new Set(
    names.flatMap((name) => {
      const headers = optionAt(middlewares.get(name), 'headers', 'customRequestHeaders')
      return Object.entries(headers ?? {}).flatMap(([header, value]) =>
        value === '' ? [header.toLowerCase()] : [],
      )
    }),
  )
}

/** Reports a host at which checks of several installations pass the same outage cookie. */
export function examineShared(configuration: TraefikConfiguration): readonly Finding[] {
  const users = new Map<string, Set<string>>()
  for (const router of configuration.routers) {
    for (const name of middlewaresOf(router, configuration)) {
      const options = configuration.middlewares.get(name)
      const address = URL.parse(String(optionAt(options, 'forwardAuth', 'address')))
      const cookies = textsIn(optionAt(options, 'forwardAuth', 'addAuthCookiesToResponse'))
      for (const cookie of cookies.filter((each) => each.endsWith('_outage')))
        for (const host of hostsIn(router.rule))
          users
            .getOrInsertComputed(`${cookie} of ${host}`, () => new Set())
            .add(address?.host ?? '')
    }
  }
  const shared = [...users].find(([, hosts]) => hosts.size > 1)
  if (!shared) return []
  return [finding('cookie_shared', `${shared[0]} is passed from ${[...shared[1]].join(' and ')}.`)]
}
