import type { Config } from '../config/config.ts'
import { SIGN_IN_PRIORITY, signInHosts, signInRule } from './traefik.ts'

/** Kinds of objects from which Traefik's providers for Kubernetes take routes. */
export const ROUTE_KINDS = ['ingressroute', 'gateway-api', 'ingress'] as const

export type RouteKind = (typeof ROUTE_KINDS)[number]

/** Returns the object that routes `BASE_PATH` of every host to the public listener of this Service. */
export function signInRoute(config: Config, service: string, kind: RouteKind): object {
  switch (kind) {
    case 'ingressroute':
      return ingressRoute(config, service)
    case 'gateway-api':
      return httpRoute(config, service)
    case 'ingress':
      return ingress(config, service)
  }
}

const metadata = { name: 'vestibule' }

function ingressRoute(config: Config, name: string) {
  const { rule: match, priority } = signInRule(config)
  const services = [{ name, port: config.settings.PORT }]
  const spec = { routes: [{ kind: 'Rule', match, priority, services }] }
  return { apiVersion: 'traefik.io/v1alpha1', kind: 'IngressRoute', metadata, spec }
}

/** Needs no priority, because the longer path of two routes of a host wins. */
function httpRoute(config: Config, name: string) {
  const { BASE_PATH, PORT: port } = config.settings
  const spec = {
    parentRefs: [{ name: 'traefik', namespace: 'traefik' }],
    hostnames: hostNames(config),
    rules: [
      {
        matches: [{ path: { type: 'PathPrefix', value: `${BASE_PATH}/` } }],
        backendRefs: [{ name, port }],
      },
    ],
  }
  return { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute', metadata, spec }
}

function ingress(config: Config, name: string) {
  const { BASE_PATH, PORT: number } = config.settings
  // A value of its own for each host, because a shared one becomes an anchor of YAML.
  const http = () => {
    const backend = { service: { name, port: { number } } }
    return { paths: [{ path: `${BASE_PATH}/`, pathType: 'Prefix', backend }] }
  }
  const annotations = {
    'traefik.ingress.kubernetes.io/router.priority': String(SIGN_IN_PRIORITY),
  }
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { ...metadata, annotations },
    spec: {
      ingressClassName: 'traefik',
      rules: hostNames(config).map((host) => ({ host, http: http() })),
    },
  }
}

function hostNames(config: Config): readonly string[] {
  const names = signInHosts(config).map(({ hostname, isWildcard }) =>
    isWildcard ? `*.${hostname}` : hostname,
  )
  return [...new Set(names)]
}
