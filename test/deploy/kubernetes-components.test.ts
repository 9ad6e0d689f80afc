import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { Config } from '../../src/config/config.ts'
import type { RedisConfig } from '../../src/config/redis/redis.ts'
import { type RouteKind, signInRoute } from '../../src/render/sign-in-route.ts'
import { COMBINATIONS, REDIS } from './combinations.ts'
import {
  K8S,
  type Manifest,
  type NetworkPolicySpec,
  named,
  ofKind,
  renderedWith,
  type ServiceSpec,
  type Workload,
} from './manifests.ts'
import { routesOf } from './routes.ts'
import { fileSettings, loadSettings } from './settings.ts'

const NO_KUBECTL = 'kubectl is not on PATH: the overlays cannot be rendered'

const KIND_OF = {
  ingressroute: 'IngressRoute',
  'gateway-api': 'HTTPRoute',
  ingress: 'Ingress',
} as const satisfies Record<RouteKind, string>

describe.for(COMBINATIONS)('$title', ({ overlay, redis, routes, extras, components }) => {
  const objects = renderedWith(overlay, components) ?? []
  const settings = () => named(objects, 'ConfigMap', 'vestibule').data ?? {}
  const vestibule = () => named<Workload>(objects, 'Deployment', 'vestibule').spec
  const check = (title: string, run: () => void) =>
    test(title, ({ skip }) => (objects.length === 0 ? skip(NO_KUBECTL) : run()))

  check('loads, and finds Redis as the component says', () => {
    const { kind, ports, isTls } = redisOf(loadSettings(settings()))
    expect([kind, ports, isTls]).toEqual(REDIS[redis])
  })

  check('has a policy for the port of each server of Redis, and for no other', () => {
    const { spec } = named<NetworkPolicySpec>(objects, 'NetworkPolicy', 'vestibule-to-redis')
    const allowed = spec.egress?.flatMap((rule) => rule.ports.map(({ port }) => port))
    const { kind, ports } = redisOf(loadSettings(settings()))
    // Sentinels name the servers, whose port is that of Redis.
    expect(new Set(allowed)).toEqual(new Set([...ports, ...(kind === 'sentinel' ? [6379] : [])]))
  })

  check('reads secrets that the example of the Secret has', () => {
    const example = readFileSync(`${K8S}/base/secret.example.yaml`, 'utf8')
    const keys = Object.keys((parse(example) as { stringData: object }).stringData)
    for (const [name, path] of fileSettings(settings()))
      expect(keys, name).toContain(basename(path))
  })

  check('routes the sign-in of each host past the middleware, by one kind of object', () => {
    const made = ofKind(objects, 'IngressRoute', 'HTTPRoute', 'Ingress')
    const { apiVersion, kind, metadata, spec } = made.find(isSignIn) as Manifest
    const expected = signInRoute(loadSettings(settings()), 'vestibule', routes)
    expect(expected).toMatchObject({ apiVersion, kind, spec })
    expect(kind).toBe(KIND_OF[routes])
    expect(metadata.namespace).toBe('elsewhere')
    expect(new Set(made.map((each) => each.kind))).toEqual(new Set([kind]))
  })

  check('routes each app through the middleware of its own namespace', () => {
    const apps = routesOf(objects).filter(({ name }) => name !== 'vestibule')
    const port = routes === 'gateway-api' ? 80 : 'http'
    const whoami = { namespace: 'elsewhere', middlewares: ['protected'], service: 'whoami', port }
    expect(apps).toMatchObject(overlay === 'overlays/demo' ? [whoami] : [])
    if (apps.length === 0) return
    const { spec } = named<ServiceSpec>(objects, 'Service', 'whoami')
    expect(spec.ports).toMatchObject([{ name: 'http', port: 80 }])
  })

  check('leaves the number of pods to the autoscaler alone', () => {
    const [scaler] = ofKind<ScalerSpec>(objects, 'HorizontalPodAutoscaler')
    expect(scaler !== undefined).toBe(extras.includes('hpa'))
    if (!scaler) return expect(vestibule().replicas).toBe(3)
    expect(vestibule().replicas).toBe(undefined)
    const { scaleTargetRef, minReplicas, maxReplicas, metrics } = scaler.spec
    expect(scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: 'Deployment', name: 'vestibule' })
    expect([minReplicas, maxReplicas]).toEqual([3, 10])
    expect(metrics).toMatchObject([
      { resource: { name: 'cpu', target: { averageUtilization: 70 } } },
    ])
    // Without a request there is no utilization.
    expect(vestibule().template.spec.containers[0].resources.requests['cpu']).toBeDefined()
  })

  check('has the Secret that the pods mount from the operator, where it is used', () => {
    const [secret] = ofKind<ExternalSecretSpec>(objects, 'ExternalSecret')
    expect(secret !== undefined).toBe(extras.includes('external-secrets'))
    const mounted = vestibule().template.spec.volumes?.map((volume) => volume.secret?.secretName)
    if (secret) expect(mounted).toContain(secret.spec.target.name)
  })

  check('puts everything into its namespace', () => {
    const others = objects.filter(({ kind }) => kind !== 'Namespace')
    expect(new Set(others.map(({ metadata }) => metadata.namespace))).toEqual(
      new Set(['elsewhere']),
    )
  })
})

describe('Traefik with further providers', () => {
  const plain = renderedWith('traefik/plain', ['gateway-api', 'ingress'])

  test('has the rights and classes of each, and one account', ({ skip }) => {
    if (!plain) return skip(NO_KUBECTL)
    const bindings = ofKind(plain, 'ClusterRoleBinding') as readonly Binding[]
    const roles = ofKind(plain, 'ClusterRole').map(({ metadata }) => metadata.name)
    expect(bindings.map(({ roleRef }) => roleRef.name)).toEqual(roles)
    for (const { subjects } of bindings)
      expect(subjects).toEqual([{ kind: 'ServiceAccount', name: 'traefik', namespace: 'traefik' }])
    expect(named(plain, 'IngressClass', 'traefik')).toBeDefined()
    const { spec } = named<GatewaySpec>(plain, 'Gateway', 'traefik')
    const { containers } = named<Workload>(plain, 'Deployment', 'traefik').spec.template.spec
    const port = containers[0].ports.find(({ name }) => name === 'websecure')?.containerPort
    expect(spec.listeners).toMatchObject([
      {
        port,
        protocol: 'HTTPS',
        allowedRoutes: {
          namespaces: {
            from: 'Selector',
            selector: { matchLabels: { 'vestibule/behind-traefik': 'true' } },
          },
        },
      },
    ])
  })

  test('may not write anything but a status', ({ skip }) => {
    if (!plain) return skip(NO_KUBECTL)
    const rules = (ofKind(plain, 'ClusterRole') as readonly Role[]).flatMap((role) => role.rules)
    for (const { resources, verbs } of rules) {
      const isStatus = resources.every((name) => name.endsWith('/status'))
      const allowed = isStatus ? ['update'] : ['get', 'list', 'watch']
      expect(allowed, resources.join()).toEqual(expect.arrayContaining(verbs))
    }
  })

  test('is configured by the lines that are comments in traefik.yaml', () => {
    const text = readFileSync(`${K8S}/traefik/plain/traefik.yaml`, 'utf8')
    const { providers } = parse(text.replaceAll(/^( {2})# (?=kubernetes| {2}\w)/gm, '$1')) as {
      providers: object
    }
    expect(providers).toEqual({
      kubernetesCRD: { allowCrossNamespace: false },
      kubernetesGateway: {},
      kubernetesIngress: { ingressClass: 'traefik' },
    })
  })
})

type Binding = Manifest & {
  readonly roleRef: { readonly name: string }
  readonly subjects: readonly object[]
}
type Role = Manifest & {
  readonly rules: readonly { readonly resources: string[]; readonly verbs: string[] }[]
}
interface GatewaySpec {
  readonly listeners: readonly object[]
}
interface ScalerSpec {
  readonly scaleTargetRef: object
  readonly minReplicas: number
  readonly maxReplicas: number
  readonly metrics: readonly object[]
}
interface ExternalSecretSpec {
  readonly target: { readonly name: string }
}

function isSignIn({ metadata }: Manifest): boolean {
  return metadata.name === 'vestibule'
}

function redisOf({ redis }: Config) {
  if (!redis) throw new Error('there is no Redis')
  return {
    kind: redis.kind,
    ports: serversOf(redis).map(({ port }) => port),
    isTls: redis.tls !== undefined,
  }
}

function serversOf(redis: RedisConfig) {
  switch (redis.kind) {
    case 'single':
      return [redis]
    case 'cluster':
      return redis.servers
    case 'sentinel':
      return redis.sentinels
  }
}
