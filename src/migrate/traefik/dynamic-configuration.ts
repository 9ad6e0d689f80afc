import { isRecord } from '../../core/json.ts'
import type { ConfigurationFile } from '../old-configuration.ts'
import { textOf } from './given-values.ts'
import { labelsOf } from './labels.ts'
import { entriesOf, type Members, memberOf, parseDocuments } from './parse-documents.ts'

/** Middlewares and routers of Traefik, from its file provider, Kubernetes objects or labels in a Compose file. */
export interface DynamicConfiguration {
  readonly middlewares: readonly Middleware[]
  readonly routers: readonly Router[]
  readonly isKubernetes: boolean
}

export interface Middleware {
  readonly name: string
  /** Namespace in Kubernetes, in each of which a name may occur. */
  readonly namespace?: string
  /** By type, such as `forwardAuth`, `plugin` or `chain`. */
  readonly types: Members
}

export interface Router {
  readonly rule: string
  /** Names as they are referred to, `oidc@file` and `default-oidc@kubernetescrd` among them. */
  readonly middlewares: readonly string[]
}

/** Reads files of Traefik's dynamic configuration. Throws `MigrationError`. */
export function readDynamicConfiguration(
  files: readonly ConfigurationFile[],
): DynamicConfiguration {
  const parts = files.map(readFile)
  return {
    middlewares: parts.flatMap(({ middlewares }) => middlewares),
    routers: parts.flatMap(({ routers }) => routers),
    isKubernetes: parts.some(({ isKubernetes }) => isKubernetes),
  }
}

/** Returns the names of middlewares by which an operator tells them apart. */
export function titlesOf(middlewares: readonly Middleware[]): readonly string[] {
  return middlewares.map(({ name, namespace }) => {
    const isOnly = middlewares.filter((each) => each.name === name).length === 1
    return isOnly || namespace === undefined ? name : `${namespace}/${name}`
  })
}

function readFile(file: ConfigurationFile): DynamicConfiguration {
  const documents = parseDocuments(file).flatMap(itemsOf)
  const objects = documents.filter((each) => 'apiVersion' in each)
  const http = documents.flatMap((each) => [
    memberOf(each, 'http'),
    memberOf(labelsOf(each), 'http'),
  ])
  return {
    middlewares: [
      ...http.flatMap((each) => entriesOf(memberOf(each, 'middlewares'))).map(named),
      ...objects
        .filter(({ kind }) => kind === 'Middleware')
        .map(({ metadata, spec }) => ({
          name: String(memberOf(metadata, 'name')),
          namespace: textOf(memberOf(metadata, 'namespace')) ?? 'default',
          types: isRecord(spec) ? spec : {},
        })),
    ],
    routers: [
      ...http.flatMap((each) => entriesOf(memberOf(each, 'routers'))).map(routerOf),
      ...objects.flatMap(routersOf),
    ],
    isKubernetes: objects.length > 0,
  }
}

/** Returns the routers that use a middleware, also by a chain. */
export function routersWith(
  { middlewares, routers }: DynamicConfiguration,
  name: string,
): readonly Router[] {
  const chains = middlewares.filter(({ types }) =>
    namesIn(memberOf(memberOf(types, 'chain'), 'middlewares')).some((each) => isCalled(each, name)),
  )
  const names = [name, ...chains.map((chain) => chain.name)]
  return routers.filter((router) =>
    router.middlewares.some((each) => names.some((wanted) => isCalled(each, wanted))),
  )
}

function isCalled(reference: string, name: string): boolean {
  const [bare = '', provider = ''] = reference.split('@')
  return bare === name || (provider.startsWith('kubernetes') && bare.endsWith(`-${name}`))
}

function itemsOf(document: Members): readonly Members[] {
  const { kind, items } = document
  return kind === 'List' && Array.isArray(items) ? items.filter(isRecord) : [document]
}

function named([name, types]: readonly [string, unknown]): Middleware {
  return { name, types: isRecord(types) ? types : {} }
}

function routerOf([, router]: readonly [string, unknown]): Router {
  return {
    rule: textOf(memberOf(router, 'rule')) ?? '',
    middlewares: namesIn(memberOf(router, 'middlewares')),
  }
}

/** Reads references to middlewares: a list, one text with commas, or objects with a name. */
function namesIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return value.split(',').map((name) => name.trim())
  const list: readonly unknown[] = Array.isArray(value)
    ? value
    : entriesOf(value).map(([, each]) => each)
  return list.map((each) => String(isRecord(each) ? memberOf(each, 'name') : each))
}

function routersOf({ kind, metadata, spec }: Members): readonly Router[] {
  if (kind === 'IngressRoute') {
    return listIn(memberOf(spec, 'routes')).map((route) => ({
      rule: textOf(memberOf(route, 'match')) ?? '',
      middlewares: namesIn(memberOf(route, 'middlewares')),
    }))
  }
  if (kind !== 'Ingress') return []
  const annotation = memberOf(
    memberOf(metadata, 'annotations'),
    'traefik.ingress.kubernetes.io/router.middlewares',
  )
  return listIn(memberOf(spec, 'rules')).map((rule) => ({
    rule: `Host(\`${textOf(memberOf(rule, 'host')) ?? ''}\`)`,
    middlewares: namesIn(annotation),
  }))
}

function listIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
