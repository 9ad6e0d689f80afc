import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import { boundsWithin, memoryNeed, streamBound } from '../../src/compose/memory-budget.ts'
import { settings } from '../../src/config/settings/settings.ts'
import { ACCESS_TOKEN_HEADER, IDENTITY_HEADERS } from '../../src/core/identity-headers.ts'
import { createCookies } from '../../src/http/cookies.ts'
import { memoryFaults } from '../../src/routes/memory-faults.ts'
import { findProgram } from '../../stand-ins/process.ts'
import { manifestLimits } from '../support/resident.ts'
import {
  type CertificateSpec,
  type IngressRouteSpec,
  isSubset,
  K8S,
  type Manifest,
  manifestFiles,
  type NetworkPolicySpec,
  named,
  ofKind,
  rendered,
  renderedWith,
  type ServiceSpec,
  type Workload,
} from './manifests.ts'
import { fileSettings, LAST_SECONDS, loadSettings, readSettings } from './settings.ts'

const NO_KUBECTL = 'kubectl is not on PATH: only the files are looked at, not what they make'
const WITH_TLS = 'overlays/production with TLS'
const WITH_PROVIDERS = 'traefik/plain with all providers'
const WITH_ROOM = ['redis-url', 'middleware', 'tls', 'middleware-tls', 'connected-clients']
const OVERLAYS = ['overlays/demo', 'overlays/production', WITH_TLS] as const
const EVERYTHING = ['the files', 'base', ...OVERLAYS, 'traefik/plain', WITH_PROVIDERS] as const
const sources = new Map<string, readonly Manifest[] | undefined>([
  ...['base', 'overlays/demo', 'overlays/production', 'traefik/plain', 'traefik/policies'].map(
    (path) => [path, rendered(path)] as const,
  ),
  [WITH_TLS, renderedWith('overlays/production', WITH_ROOM)],
  [WITH_PROVIDERS, renderedWith('traefik/plain', ['gateway-api', 'ingress'])],
  ['the files', manifestFiles()],
])

const workloadsOf = (all: readonly Manifest[]) => ofKind<Workload>(all, 'Deployment', 'StatefulSet')
const policiesOf = (all: readonly Manifest[]) => ofKind<NetworkPolicySpec>(all, 'NetworkPolicy')
const policyOf = (objects: readonly Manifest[], name: string) =>
  named<NetworkPolicySpec>(objects, 'NetworkPolicy', name).spec
const podOf = ({ spec }: Manifest<Workload>) => spec.template.spec
const containerOf = (workload: Manifest<Workload>) => podOf(workload).containers[0]
const DENY_ALL = { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }
const MIB = 1024 * 1024
const ports = { public: 4180, internal: 4181 }

const suite = (names: readonly string[], title: string, check: (of: readonly Manifest[]) => void) =>
  test.for(names)(`%s: ${title}`, (name, { skip }) => {
    const objects = sources.get(name)
    if (!objects) return skip(NO_KUBECTL)
    expect(objects.length).toBeGreaterThan(0)
    return check(objects)
  })
/** Checks each workload of everything; the assertions name the workload. */
const eachWorkload = (title: string, check: (workload: Manifest<Workload>, name: string) => void) =>
  suite(EVERYTHING, title, (objects) => {
    expect(workloadsOf(objects).length).toBeGreaterThan(0)
    for (const workload of workloadsOf(objects)) check(workload, workload.metadata.name)
  })

test('this machine can render the overlays', ({ skip }) => {
  if (!findProgram('kubectl')) return skip(NO_KUBECTL)
  expect([...sources.values()].every((objects) => objects && objects.length > 0)).toBe(true)
})

describe('every pod', () => {
  eachWorkload('is restricted, and has a token only if it is Traefik', (workload, name) => {
    const pod = podOf(workload)
    expect(pod, name).toMatchObject({
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      enableServiceLinks: false,
      automountServiceAccountToken: name === 'traefik',
    })
    expect(pod.securityContext['runAsUser'], name).toBeGreaterThan(0)
    expect(pod.containers, name).toHaveLength(1)
    expect(containerOf(workload).securityContext, name).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    for (const forbidden of ['hostNetwork', 'hostPID', 'hostIPC', 'initContainers'])
      expect(pod, name).not.toHaveProperty(forbidden)
    expect(pod.volumes?.some(({ hostPath }) => hostPath) ?? false, name).toBe(false)
  })

  suite(EVERYTHING, 'has an account without a token', (objects) => {
    for (const account of ofKind(objects, 'ServiceAccount'))
      expect(account.automountServiceAccountToken).toBe(false)
  })

  eachWorkload('has as much memory as it asks for, and no CPU limit', (workload, name) => {
    const { requests, limits } = containerOf(workload).resources
    expect(limits, name).toEqual({ memory: requests['memory'] })
    expect(requests['cpu'], name).toBeDefined()
  })

  eachWorkload('has an image with a tag that stays', (workload, name) => {
    const { image } = containerOf(workload)
    expect(image).toMatch(/:(?!latest$)[a-z0-9][a-z0-9.-]*$/)
    if (name === 'vestibule') expect(image.split(':')[1]).toBe(packageJson.version)
  })

  suite(EVERYTHING, 'is found by its own selector and by a Service', (objects) => {
    const services = ofKind<ServiceSpec>(objects, 'Service')
    for (const { spec, metadata } of workloadsOf(objects)) {
      const { labels } = spec.template.metadata
      expect(isSubset(spec.selector.matchLabels, labels), metadata.name).toBe(true)
      for (const spread of spec.template.spec.topologySpreadConstraints ?? [])
        expect(isSubset(spread.labelSelector.matchLabels, labels)).toBe(true)
      const service = services.find(({ spec }) => isSubset(spec.selector, labels))
      const known = spec.template.spec.containers[0].ports.map(({ name }) => name)
      expect(service, metadata.name).toBeDefined()
      for (const { targetPort } of service?.spec.ports ?? []) expect(known).toContain(targetPort)
    }
  })

  suite(EVERYTHING, 'that others depend on survives the drain of a node', (objects) => {
    type Budget = { maxUnavailable: number; selector: { matchLabels: Record<string, string> } }
    const budgets = ofKind<Budget>(objects, 'PodDisruptionBudget')
    expect(budgets.length).toBeGreaterThan(0)
    for (const { spec } of budgets) {
      expect(spec).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow' })
      const workload = workloadsOf(objects).find(({ spec: { template } }) =>
        isSubset(spec.selector.matchLabels, template.metadata.labels),
      )
      expect(workload?.spec.replicas).toBeGreaterThan(spec.maxUnavailable)
    }
  })
})

describe('Vestibule', () => {
  const withVestibule = ['base', ...OVERLAYS]
  const vestibule = (all: readonly Manifest[]) => named<Workload>(all, 'Deployment', 'vestibule')
  const environmentOf = (objects: readonly Manifest[]) =>
    named(objects, 'ConfigMap', 'vestibule').data ?? {}

  suite(withVestibule, 'is probed on its internal port', (all) => {
    const { startupProbe, readinessProbe, livenessProbe } = containerOf(vestibule(all))
    const probes = [startupProbe, readinessProbe, livenessProbe]
    const asked = { port: 'internal', ...(all === sources.get(WITH_TLS) && { scheme: 'HTTPS' }) }
    expect(probes.map((probe) => probe?.httpGet)).toEqual(
      ['/startupz', '/readyz', '/livez'].map((path) => ({ path, ...asked })),
    )
  })

  suite(withVestibule, 'rolls without ever being one pod short, and drains in time', (objects) => {
    const { strategy, template } = vestibule(objects).spec
    expect(strategy?.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 })
    const needed = Number(environmentOf(objects)['DRAIN_SECONDS']) + LAST_SECONDS
    expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThan(needed)
  })

  suite(withVestibule, 'collects garbage before the kernel kills it (C61)', (objects) => {
    const { env = [], resources } = containerOf(vestibule(objects))
    const limitMiB = Number(/^(\d+)Mi$/.exec(resources.limits['memory'] ?? '')?.[1])
    const options = env.find(({ name }) => name === 'NODE_OPTIONS')?.value ?? ''
    const l1 = settings.shape.REDIS_HYBRID_L1_MEMORY_MB.parse(
      environmentOf(objects)['REDIS_HYBRID_L1_MEMORY_MB'],
    )
    const isRoomy = objects === sources.get(WITH_TLS)
    expect(streamsWithin(options, limitMiB * MIB, l1 * MIB)).toBe(isRoomy ? 10_000 : 2457)
  })

  test('connected-clients has room for 10,000 streams in each pod beside a full L1', () => {
    const { limitBytes, settings: given } = manifestLimits('connected-clients')
    expect(streamsWithin(given['NODE_OPTIONS'] ?? '', limitBytes, 10 * MIB)).toBe(10_000)
  })

  /** Returns the bound of streams in hybrid mode, after what a container may take was found to fit into its limit, but not into less. */
  function streamsWithin(options: string, limitBytes: number, l1Bytes: number): number {
    const heapLimit = "require('node:v8').getHeapStatistics().heap_size_limit"
    const output = execFileSync(process.execPath, [...options.split(' '), '-p', heapLimit])
    const heapLimitBytes = Number(output.toString())
    const hybrid = { maxEntries: 500, maxBytes: l1Bytes }
    for (const cache of [hybrid, boundsWithin('cache', heapLimitBytes)]) {
      const need = memoryNeed(cache, streamBound(cache.maxBytes, heapLimitBytes), heapLimitBytes)
      expect(memoryFaults({ need, limitBytes, mode: 'hybrid' })).toEqual([])
      const tight = { need, limitBytes: limitBytes - 32 * MIB, mode: 'hybrid' } as const
      expect(memoryFaults(tight)).toHaveLength(1)
    }
    return streamBound(hybrid.maxBytes, heapLimitBytes)
  }

  suite(withVestibule, 'has secrets as files that change with the Secret', (objects) => {
    const pod = podOf(vestibule(objects))
    const { env = [], envFrom, volumeMounts = [] } = pod.containers[0]
    expect(ofKind(objects, 'Secret')).toEqual([])
    expect(env.some(({ valueFrom }) => valueFrom)).toBe(false)
    const { name } = named(objects, 'ConfigMap', 'vestibule').metadata
    expect(envFrom).toEqual([{ configMapRef: { name } }])
    const volume = pod.volumes?.find(({ secret }) => secret)
    expect(volume?.secret).toEqual({ secretName: 'vestibule', defaultMode: 0o440 })
    const mount = volumeMounts.find(({ name }) => name === volume?.name)
    expect(mount).toMatchObject({ readOnly: true })
    expect(mount).not.toHaveProperty('subPath')

    const example = readFileSync(`${K8S}/base/secret.example.yaml`, 'utf8')
    const keys = Object.keys((parse(example) as { stringData: object }).stringData)
    for (const [name, path] of fileSettings(environmentOf(objects))) {
      expect(path, name).toBe(`${mount?.mountPath}/${basename(path)}`)
      expect(keys, name).toContain(basename(path))
    }
  })

  suite(withVestibule, 'has ports that Service, policy and code agree on', (objects) => {
    const defaults = settings.parse({ OIDC_ISSUER_URL: 'https://x', OIDC_CLIENT_ID: 'x' })
    expect(ports).toEqual({ public: defaults.PORT, internal: defaults.INTERNAL_PORT })
    const expected = Object.entries(ports)
    const { spec } = named<ServiceSpec>(objects, 'Service', 'vestibule')
    expect(containerOf(vestibule(objects)).ports).toEqual(
      expected.map(([name, containerPort]) => ({ name, containerPort })),
    )
    expect(spec.ports.map(({ name, port, targetPort }) => [name, port, targetPort])).toEqual(
      expected.map(([name, port]) => [name, port, name]),
    )
    expect(spec.sessionAffinity).toBe(undefined)
  })

  suite(withVestibule, 'is called by Traefik and Prometheus alone', (objects) => {
    const spec = policyOf(objects, 'vestibule')
    const { matchLabels = {} } = spec.podSelector
    expect(isSubset(matchLabels, vestibule(objects).spec.template.metadata.labels)).toBe(true)
    expect(spec.policyTypes).toEqual(['Ingress', 'Egress'])
    const allowed = spec.ingress?.map(({ from, ports }) => ({
      from: from?.map(({ namespaceSelector, podSelector }) => [
        namespaceSelector?.matchLabels['kubernetes.io/metadata.name'],
        podSelector?.matchLabels['app.kubernetes.io/name'],
      ]),
      ports: ports.map(({ port }) => port),
    }))
    expect(allowed).toEqual([
      { from: [['traefik', 'traefik']], ports: [ports.public, ports.internal] },
      { from: [['monitoring', 'prometheus']], ports: [ports.internal] },
    ])
  })

  suite(withVestibule, 'calls names, its provider and Redis, and nobody else', (objects) => {
    const mine = vestibule(objects).spec.template.metadata.labels
    const called = policiesOf(objects)
      .filter(({ spec: { podSelector } }) => podSelector.matchLabels)
      .filter(({ spec: { podSelector } }) => isSubset(podSelector.matchLabels ?? {}, mine))
      .flatMap(({ spec }) => spec.egress ?? [])
      .flatMap((rule) => rule.ports.map(({ port, protocol }) => `${protocol} ${port}`))
    const onward = objects === sources.get('base') ? [] : ['TCP 443', 'TCP 6379']
    expect(new Set(called)).toEqual(new Set(['TCP 53', 'UDP 53', ...onward]))
  })

  suite(EVERYTHING, 'C17: calls addresses that are named, never all of them', (objects) => {
    const rules = policiesOf(objects).flatMap(({ spec }) => spec.egress ?? [])
    const called = rules.flatMap(({ to }) => to)
    expect(called.length).toBeGreaterThan(0)
    for (const { namespaceSelector, podSelector, ipBlock } of called) {
      expect(ipBlock?.cidr ?? '').not.toMatch(/\/0$/)
      const labels = { ...namespaceSelector?.matchLabels, ...podSelector?.matchLabels }
      expect(Object.keys(labels).length + (ipBlock ? 1 : 0)).toBeGreaterThan(0)
    }
  })

  suite(OVERLAYS, 'has three replicas or more, on several nodes', (objects) => {
    expect(vestibule(objects).spec.replicas).toBeGreaterThanOrEqual(3)
    const spread = podOf(vestibule(objects)).topologySpreadConstraints ?? []
    const isProduction = objects !== sources.get('overlays/demo')
    expect(spread.map((each) => [each.topologyKey, each.whenUnsatisfiable])).toEqual([
      ['kubernetes.io/hostname', isProduction ? 'DoNotSchedule' : 'ScheduleAnyway'],
      ['topology.kubernetes.io/zone', 'ScheduleAnyway'],
    ])
  })

  suite(OVERLAYS, 'knows each setting of its configuration', (objects) => {
    const environment = environmentOf(objects)
    const known = Object.keys(settings.shape).flatMap((name) => [name, `${name}_FILE`])
    expect(known).toEqual(expect.arrayContaining(Object.keys(environment)))
    const config = loadSettings(environment)
    expect(config.settings).toMatchObject({ REDIS_ENABLED: true, REDIS_CACHE_MODE: 'hybrid' })
    expect(config.keys).toHaveLength(1)
  })
})

describe('an overlay', () => {
  suite(OVERLAYS, 'puts everything into one namespace, which is restricted', (objects) => {
    const [namespace] = ofKind(objects, 'Namespace')
    for (const mode of ['enforce', 'warn', 'audit'])
      expect(namespace?.metadata.labels?.[`pod-security.kubernetes.io/${mode}`]).toBe('restricted')
    const others = objects.filter(({ kind }) => kind !== 'Namespace')
    expect(new Set(others.map(({ metadata }) => metadata.namespace))).toEqual(
      new Set([namespace?.metadata.name]),
    )
  })

  suite(OVERLAYS, 'denies what is not allowed', (objects) => {
    expect(policyOf(objects, 'default-deny')).toEqual(DENY_ALL)
  })

  suite(OVERLAYS, 'asks at the address of the Service, for the headers of the code', (objects) => {
    const service = named(objects, 'Service', 'vestibule')
    type Spec = { headers: { customRequestHeaders: object }; forwardAuth: Record<string, unknown> }
    const middleware = (which: string) => named<Spec>(objects, 'Middleware', which).spec
    const { headers } = middleware('vestibule-strip')
    const { forwardAuth } = middleware('vestibule')
    const { name, namespace } = service.metadata
    const isTls = objects === sources.get(WITH_TLS)
    expect(forwardAuth['address']).toBe(
      `http${isTls ? 's' : ''}://${name}.${namespace}.svc.cluster.local.:${ports.internal}/auth`,
    )
    expect(forwardAuth['tls']).toEqual(isTls ? { caSecret: 'vestibule-client' } : undefined)
    const identity = [...IDENTITY_HEADERS.map((header) => header.name), ACCESS_TOKEN_HEADER]
    expect(forwardAuth['authResponseHeaders']).toEqual([...identity, 'Cookie'])
    expect(forwardAuth).not.toHaveProperty('authRequestHeaders')
    expect(Object.keys(headers.customRequestHeaders)).toEqual(
      expect.arrayContaining([...identity, 'X-Forwarded-Uri', 'X-Forwarded-Method', 'Forwarded']),
    )
    const { ownNames } = createCookies({
      name: 'vestibule',
      domain: undefined,
      sameSite: 'lax',
      sessionMaxAgeSeconds: 60,
      outageGraceSeconds: 300,
    })
    expect(new Set(forwardAuth['addAuthCookiesToResponse'] as string[])).toEqual(
      new Set([...ownNames].filter((cookie) => cookie.endsWith('_outage'))),
    )
    expect(middleware('protected')).toEqual({
      chain: { middlewares: [{ name: 'vestibule-strip' }, { name: 'vestibule' }] },
    })
  })

  suite(OVERLAYS, 'routes the sign-in past the middleware, and the app through it', (objects) => {
    const routes = ofKind<IngressRouteSpec>(objects, 'IngressRoute')
    for (const { apiVersion, metadata, spec } of routes) {
      expect(apiVersion).toBe('traefik.io/v1alpha1')
      const [route] = spec.routes
      const isSignIn = metadata.name === 'vestibule'
      expect(route?.middlewares).toEqual(isSignIn ? undefined : [{ name: 'protected' }])
      if (isSignIn) {
        expect(route?.services).toEqual([{ name: 'vestibule', port: ports.public }])
        expect(route?.match).toMatch(/ && PathPrefix\(`\/oauth2\/`\)$/)
      }
    }
    expect(routes.map(({ metadata }) => metadata.name)).toContain('vestibule')
  })
})

describe('TLS by cert-manager', () => {
  suite(
    [WITH_TLS],
    'has a certificate for each name by which Traefik asks, in its namespace',
    (all) => {
      const certificate = named<CertificateSpec>(all, 'Certificate', 'vestibule-tls').spec
      const { namespace } = named(all, 'Service', 'vestibule').metadata
      const names = ['svc.cluster.local', 'svc'].map((domain) => `vestibule.${namespace}.${domain}`)
      expect(certificate.dnsNames).toEqual([...names, 'vestibule', 'localhost'])
      // Our own commands present it where client certificates are demanded.
      expect(certificate.usages).toEqual(['digital signature', 'server auth', 'client auth'])
      expect(certificate.issuerRef).toMatchObject({ kind: 'Issuer', name: 'vestibule-ca' })
      const authority = named<CertificateSpec>(all, 'Certificate', 'vestibule-ca').spec
      expect(authority).toMatchObject({ isCA: true, privateKey: { rotationPolicy: 'Never' } })
    },
  )

  suite([WITH_TLS], 'is mounted at the files that the settings name, as a folder', (all) => {
    const workload = named<Workload>(all, 'Deployment', 'vestibule')
    const tls = podOf(workload).volumes?.find(({ name }) => name === 'tls')
    expect(tls?.secret).toEqual({ secretName: 'vestibule-tls', defaultMode: 0o440 })
    const mount = containerOf(workload).volumeMounts?.find(({ name }) => name === 'tls')
    expect(mount).toEqual({ name: 'tls', mountPath: '/run/secrets/vestibule-tls', readOnly: true })
    const { data } = named(all, 'ConfigMap', 'vestibule')
    expect(data).toMatchObject({
      INTERNAL_TLS_CERT_FILE: `${mount?.mountPath}/tls.crt`,
      INTERNAL_TLS_KEY_FILE: `${mount?.mountPath}/tls.key`,
    })
  })

  suite([WITH_TLS], 'gives the middlewares a Secret without the key of the server', (all) => {
    const { spec } = named<CertificateSpec>(all, 'Certificate', 'vestibule-client')
    expect(spec).toMatchObject({ secretName: 'vestibule-client' })
    expect(spec.usages).toEqual(['digital signature', 'client auth'])
  })
})

describe('the Redis of the demo', () => {
  const demo = sources.get('overlays/demo') ?? manifestFiles(`${K8S}/components/redis`)
  const redis = named<Workload>(demo, 'StatefulSet', 'redis')
  const lines = readFileSync(`${K8S}/components/redis/redis.conf`, 'utf8').split('\n')

  test('keeps what it is given, and evicts nothing', () => {
    expect(lines).toEqual(expect.arrayContaining(['appendonly yes', 'maxmemory-policy noeviction']))
    const [, maxMemoryMiB] = /^maxmemory (\d+)mb$/m.exec(lines.join('\n')) ?? []
    const [, limitMiB] = /^(\d+)Mi$/.exec(containerOf(redis).resources.limits['memory'] ?? '') ?? []
    expect(Number(maxMemoryMiB) * 2).toBeLessThanOrEqual(Number(limitMiB))
  })

  test('has a password from a file, on no command line', () => {
    const command = containerOf(redis).command?.join(' ') ?? ''
    expect(command).toContain('requirepass $(cat /run/secrets/redis/redis-password)')
    expect(command).not.toContain('--requirepass')
    const modes = podOf(redis).volumes?.flatMap(({ secret }) => secret?.defaultMode ?? [])
    expect(modes).toEqual([0o440])
  })

  test('is asked whether it is well without a write', () => {
    const { readinessProbe, livenessProbe } = containerOf(redis)
    for (const probe of [readinessProbe, livenessProbe])
      expect(probe?.exec?.command.join(' ')).toMatch(/ redis-cli ping \| grep -q PONG$/)
  })

  test('is reached by Vestibule alone', () => {
    const spec = policyOf(demo, 'redis')
    const vestibule = { matchLabels: { 'app.kubernetes.io/name': 'vestibule' } }
    expect(spec.ingress).toEqual([
      { from: [{ podSelector: vestibule }], ports: [{ protocol: 'TCP', port: 6379 }] },
    ])
    expect(spec).not.toHaveProperty('egress')
  })
})

describe("Traefik's namespace", () => {
  const TRAEFIK = ['traefik/plain', 'traefik/policies']
  const here = (all: readonly Manifest[]) =>
    all.filter(({ metadata: { namespace } }) => namespace === 'traefik')

  suite(TRAEFIK, 'C17: denies what is not allowed', (objects) => {
    expect(policyOf(here(objects), 'default-deny')).toEqual(DENY_ALL)
  })

  suite(TRAEFIK, 'C17: lets visitors and Prometheus in', (objects) => {
    const spec = policyOf(here(objects), 'traefik')
    const allowed = spec.ingress?.map(({ from, ports }) => [
      from?.map(({ podSelector }) => podSelector?.matchLabels['app.kubernetes.io/name']),
      ports.map(({ port }) => port),
    ])
    expect(allowed).toEqual([
      [undefined, [8000, 8443]],
      [['prometheus'], [8080, 9100]],
    ])
    const labels = spec.egress?.flatMap(({ to }) =>
      to.flatMap(({ namespaceSelector }) => Object.entries(namespaceSelector?.matchLabels ?? {})),
    )
    expect(labels).toContainEqual(['vestibule/behind-traefik', 'true'])
    expect(labels).toContainEqual(['kubernetes.io/metadata.name', 'vestibule'])
  })

  suite(OVERLAYS, 'C17: may call the apps of an overlay', (objects) => {
    const [namespace] = ofKind(objects, 'Namespace')
    expect(namespace?.metadata.labels).toMatchObject({ 'vestibule/behind-traefik': 'true' })
  })
})

test('C8: no overlay gives the session cookie to all hosts of a domain', () => {
  for (const overlay of ['overlays/demo', 'overlays/production']) {
    const settings = readSettings(`${K8S}/${overlay}/vestibule.env`)
    expect(settings).toHaveProperty('PROTECTED_HOSTS')
    expect(settings).not.toHaveProperty('COOKIE_DOMAIN')
  }
})

describe('Traefik', () => {
  type EntryPoints = Record<string, { http: Record<string, unknown>; forwardedHeaders?: object }>
  const read = (path: string) => parse(readFileSync(`${K8S}/traefik/${path}`, 'utf8')) as unknown

  test('has several replicas by either way of installing it', () => {
    const values = read('helm-values.yaml') as Record<string, Record<string, unknown>>
    const deployment = read('plain/deployment.yaml') as Manifest<Workload>
    expect(values['deployment']).toMatchObject({ replicas: 3 })
    expect(values['podDisruptionBudget']).toMatchObject({ enabled: true, maxUnavailable: 1 })
    expect(deployment.spec.replicas).toBe(3)
    expect(deployment.spec.template.metadata.labels['app.kubernetes.io/name']).toBe('traefik')
  })

  test('lets no other spelling of a header in and believes nobody, by either way', () => {
    const { entryPoints } = read('plain/traefik.yaml') as { entryPoints: EntryPoints }
    const { ports } = read('helm-values.yaml') as { ports: EntryPoints }
    for (const points of [entryPoints, ports]) {
      expect(Object.keys(points)).toEqual(expect.arrayContaining(['web', 'websecure']))
      for (const { http, forwardedHeaders } of Object.values(points)) {
        expect(http['aliasHeadersStrategy']).toBe('delete')
        // With another value beside it Traefik does not start.
        expect(http).not.toHaveProperty('underscoreHeadersStrategy')
        expect(forwardedHeaders).toBe(undefined)
      }
    }
  })

  test('is one version throughout', () => {
    const { image } = read('helm-values.yaml') as { image: { tag: string } }
    const { spec } = read('plain/deployment.yaml') as Manifest<Workload>
    expect(spec.template.spec.containers[0].image).toBe(`traefik:${image.tag}`)
    expect(readFileSync('docker-compose.yml', 'utf8')).toContain(`image: traefik:${image.tag}\n`)
  })
})
