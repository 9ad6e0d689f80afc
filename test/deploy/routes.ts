import type { IngressRouteSpec, Manifest } from './manifests.ts'

/** A route of any provider for Kubernetes, as Traefik understands it. */
export interface Route {
  readonly name: string
  readonly kind: string
  readonly namespace: string | undefined
  readonly rule: string
  readonly priority: number | undefined
  /** Names of middlewares in the namespace of the route. */
  readonly middlewares: readonly string[]
  readonly service: string
  readonly port: string | number
}

interface HttpRouteSpec {
  readonly hostnames: readonly string[]
  readonly rules: readonly HttpRule[]
}
interface HttpRule {
  readonly matches?: readonly { readonly path: { readonly value: string } }[]
  readonly filters?: readonly { readonly extensionRef: { readonly name: string } }[]
  readonly backendRefs: readonly { readonly name: string; readonly port: number }[]
}
interface IngressSpec {
  readonly rules: readonly {
    readonly host: string
    readonly http: { readonly paths: readonly IngressPath[] }
  }[]
}
interface IngressPath {
  readonly path: string
  readonly backend: {
    readonly service: {
      readonly name: string
      readonly port: { readonly name?: string; readonly number?: number }
    }
  }
}

const ANNOTATIONS = 'traefik.ingress.kubernetes.io/router'

export function routesOf(objects: readonly Manifest[]): readonly Route[] {
  return objects.flatMap((object) => {
    const { name, namespace } = object.metadata
    const place = { name, namespace, kind: object.kind }
    return [...partsOf(object)].map((part) => ({ ...place, ...part }))
  })
}

function partsOf(object: Manifest): readonly Omit<Route, 'name' | 'kind' | 'namespace'>[] {
  switch (object.kind) {
    case 'IngressRoute':
      return ofIngressRoute(object.spec as IngressRouteSpec)
    case 'HTTPRoute':
      return ofHttpRoute(object.spec as HttpRouteSpec)
    case 'Ingress':
      return ofIngress(object as Manifest<IngressSpec>)
    default:
      return []
  }
}

function ofIngressRoute({ routes }: IngressRouteSpec) {
  return routes.flatMap(({ match, priority, middlewares = [], services }) =>
    services.map((service) => ({
      rule: match,
      priority,
      middlewares: middlewares.map(({ name }) => name),
      service: service.name,
      port: service.port,
    })),
  )
}

function ofHttpRoute({ hostnames, rules }: HttpRouteSpec) {
  return rules.flatMap(({ matches = [{ path: { value: '/' } }], filters = [], backendRefs }) =>
    matches.flatMap(({ path: { value } }) =>
      backendRefs.map(({ name, port }) => ({
        rule: `(${hostnames.map((host) => `Host(\`${host}\`)`).join(' || ')}) && PathPrefix(\`${value}\`)`,
        // By the path, as Traefik ranks the routes of the Gateway API.
        priority: value === '/' ? 1 : 10_000 + value.length,
        middlewares: filters.map(({ extensionRef }) => extensionRef.name),
        service: name,
        port,
      })),
    ),
  )
}

function ofIngress({ metadata: { namespace, annotations = {} }, spec }: Manifest<IngressSpec>) {
  const named = annotations[`${ANNOTATIONS}.middlewares`]?.split(',') ?? []
  const priority = annotations[`${ANNOTATIONS}.priority`]
  return spec.rules.flatMap(({ host, http }) =>
    http.paths.map(({ path, backend: { service } }) => ({
      rule: `Host(\`${host}\`) && PathPrefix(\`${path}\`)`,
      priority: priority === undefined ? undefined : Number(priority),
      middlewares: named.map((each) => inNamespace(each, namespace ?? '')),
      service: service.name,
      port: service.port.name ?? service.port.number ?? 0,
    })),
  )
}

/** Reads `NAMESPACE-NAME@kubernetescrd`; another namespace or provider stays as it is. */
function inNamespace(name: string, namespace: string): string {
  const [before, after] = [`${namespace}-`, '@kubernetescrd']
  if (!name.startsWith(before) || !name.endsWith(after)) return name
  return name.slice(before.length, -after.length)
}
