import { isRecord } from '../../core/json.ts'
import { MigrationError } from '../old-configuration.ts'
import {
  type DynamicConfiguration,
  routersWith,
  titlesOf,
} from '../traefik/dynamic-configuration.ts'
import { unknownOption } from '../traefik/given-values.ts'
import { hostsOf } from '../traefik/matched-requests.ts'
import { entriesOf, memberOf } from '../traefik/parse-documents.ts'
import { FATES, optionAt } from './options.ts'

/** Middleware of the plugin. */
export interface PluginMiddleware {
  /** Name, with the namespace where several have it. */
  readonly name: string
  /** Values by the path of their option; those of `headers` are a list of maps. */
  readonly options: ReadonlyMap<string, unknown>
  /** Hosts of the routers that use it, as far as the files have them. */
  readonly hosts: readonly string[]
}

/** Returns the middlewares of the plugin, which has any name in Traefik. Throws `MigrationError` for options that it does not have. */
export function pluginMiddlewares(
  configuration: DynamicConfiguration,
): readonly PluginMiddleware[] {
  const titles = titlesOf(configuration.middlewares)
  const found = configuration.middlewares.flatMap(({ name, types }, at) =>
    entriesOf(memberOf(types, 'plugin'))
      .filter(([, options]) => isOfPlugin(options))
      .map(([, options]) => ({ bare: name, name: titles[at] ?? name, options: pairsIn(options) })),
  )
  const unknown = found.flatMap(({ name, options }) =>
    options.flatMap(([path]) =>
      optionAt(path) === undefined ? [`${name}: ${unknownOption(path, FATES)}`] : [],
    ),
  )
  if (unknown.length > 0) throw new MigrationError([...new Set(unknown)])
  return found.map(({ bare, name, options }) => ({
    name,
    options: new Map(options.map(([path, value]) => [optionAt(path) ?? path, value])),
    hosts: [...new Set(routersWith(configuration, bare).flatMap(({ rule }) => hostsOf(rule)))],
  }))
}

function isOfPlugin(options: unknown): boolean {
  return ['providerURL', 'clientID', 'callbackURL'].some(
    (name) => memberOf(options, name) !== undefined,
  )
}

function pairsIn(value: unknown, path = ''): readonly (readonly [string, unknown])[] {
  if (path.toLowerCase() === 'headers') return headerPairs(value)
  if (!isRecord(value) || isIndexed(value)) return path === '' ? [] : [[path, listed(value)]]
  return Object.entries(value).flatMap(([name, each]) =>
    pairsIn(each, path === '' ? name : `${path}.${name}`),
  )
}

/** Labels have a map of indexes where files have a list. */
function isIndexed(value: Readonly<Record<string, unknown>>): boolean {
  const names = Object.keys(value)
  return names.length > 0 && names.every((name) => /^\d+$/.test(name))
}

function listed(value: unknown): unknown {
  return isRecord(value) ? Object.values(value) : value
}

/** Both options of a header have the whole list, because a name without its value says nothing. */
function headerPairs(value: unknown): readonly (readonly [string, unknown])[] {
  const list = Array.isArray(value) ? value : entriesOf(value).map(([, each]) => each)
  const names = new Set(list.flatMap((each) => entriesOf(each).map(([name]) => name)))
  return [...names].map((name) => [`headers.${name}`, list] as const)
}
