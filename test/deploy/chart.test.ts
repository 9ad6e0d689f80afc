import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import { boundsWithin, memoryNeed, streamBound } from '../../src/compose/memory-budget.ts'
import { memoryFaults } from '../../src/routes/memory-faults.ts'
import {
  CHART,
  chartWith,
  helm,
  isHook,
  loadEnvironment,
  NO_HELM,
  objectsIn,
  runHelm,
  templateOf,
} from './charts.ts'
import {
  isSubset,
  type Manifest,
  type NetworkPolicySpec,
  named,
  ofKind,
  type ServiceSpec,
  type Workload,
} from './manifests.ts'

const FOLDER = 'test/deploy/chart-values'
const FILES = readdirSync(FOLDER).map((name) => basename(name, '.yaml'))
const DEFAULT = 'nothing given'
const pathOf = (name: string) => (name === DEFAULT ? [] : ['--values', `${FOLDER}/${name}.yaml`])
const valuesOf = (name: string) => parse(readFileSync(`${FOLDER}/${name}.yaml`, 'utf8')) as Values
const textOf = (name: string) =>
  helm ? runHelm(templateOf('gate', ...pathOf(name))) : { stdout: '', stderr: NO_HELM }
const renderings = new Map([DEFAULT, ...FILES].map((name) => [name, textOf(name)]))
const objectsOf = (name: string) => objectsIn(renderings.get(name)?.stdout ?? '')

type Pod = Workload['template']['spec']
interface Values {
  readonly settings?: Readonly<Record<string, unknown>>
  readonly config?: object
  readonly redis?: { readonly kind: string }
}

const podsOf = (objects: readonly Manifest[]) => [
  ...ofKind<Workload>(objects, 'Deployment', 'StatefulSet').map(({ spec }) => spec.template.spec),
  ...ofKind<Pod>(objects, 'Pod').map(({ spec }) => spec),
]
const deploymentOf = (objects: readonly Manifest[]) => {
  const [deployment] = ofKind<Workload>(objects, 'Deployment')
  if (!deployment) throw new Error('there is no Deployment')
  return deployment
}
const each = (names: readonly string[], title: string, check: (name: string) => void) =>
  test.for(names)(`%s: ${title}`, (name, { skip }) => (helm ? check(name) : skip(NO_HELM)))
const ALL = [...renderings.keys()]

each(ALL, 'passes helm lint --strict and renders the same twice', (name) => {
  const { isRefused, stdout, stderr } = runHelm(['lint', '--strict', CHART, ...pathOf(name)])
  expect(isRefused, stdout + stderr).toBe(false)
  const text = renderings.get(name)
  expect(text?.stderr).toBe('')
  expect(textOf(name).stdout).toBe(text?.stdout)
  const names = objectsOf(name).map(({ kind, metadata: { namespace, name } }) =>
    [kind, namespace, name].join(),
  )
  expect(names.length).toBeGreaterThan(4)
  expect(new Set(names).size).toBe(names.length)
})

each(ALL, 'has pods that are restricted, the one of helm test among them', (name) => {
  const objects = objectsOf(name)
  const pods = podsOf(objects)
  expect(objects.filter(isHook).map(({ kind }) => kind)).toContain('Pod')
  expect(pods.length).toBeGreaterThan(1)
  for (const pod of pods) {
    expect(pod).toMatchObject({
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      automountServiceAccountToken: false,
      enableServiceLinks: false,
    })
    for (const forbidden of ['hostNetwork', 'hostPID', 'hostIPC', 'initContainers'])
      expect(pod).not.toHaveProperty(forbidden)
    const kinds = pod.volumes?.flatMap((volume) => Object.keys(volume)) ?? []
    expect(['name', 'configMap', 'secret', 'emptyDir']).toEqual(expect.arrayContaining(kinds))
    for (const { securityContext, resources, image } of pod.containers) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
      expect(resources.limits).toEqual({ memory: resources.requests['memory'] })
      expect(image).toMatch(/[:@](?!latest$)[a-z0-9][a-z0-9.:-]*/)
    }
  }
})

each(FILES, 'gives pods a configuration that the service itself loads', (name) => {
  const objects = objectsOf(name)
  const {
    env = [],
    envFrom,
    volumeMounts = [],
  } = deploymentOf(objects).spec.template.spec.containers[0]
  const release = deploymentOf(objects).metadata.name
  expect(envFrom?.[0]).toEqual({ configMapRef: { name: release } })
  const data = named(objects, 'ConfigMap', release).data ?? {}
  const added = env.filter((entry) => !/^(?:NODE_OPTIONS|MALLOC_ARENA_MAX|TZ)$/.test(entry.name))
  const environment = {
    ...data,
    ...Object.fromEntries(added.map((entry) => [entry.name, entry.value ?? ''])),
  }
  const file = objects.find(({ metadata }) => metadata.name === `${release}-config`)?.data
  const ofOthers =
    'protectedHosts: [app.example.com]\nrules: [{ access: signed-in, groups: [a] }]\n'
  const given = valuesOf(name)
  const config = loadEnvironment(environment, file?.['vestibule.yaml'] ?? ofOthers)
  expect(config.mode).toBe(
    given.settings?.['REDIS_CACHE_MODE'] ?? (given.redis?.kind === 'memory' ? 'memory' : 'hybrid'),
  )
  expect(config.notices.filter(({ kind }) => kind !== ('networks-of-proxies' as string))).toEqual(
    [],
  )
  for (const [setting, path] of Object.entries(environment)) {
    if (setting !== 'VESTIBULE_CONFIG' && !setting.endsWith('_FILE')) continue
    expect(
      volumeMounts.some(({ mountPath }) => path.startsWith(`${mountPath}/`)),
      setting,
    ).toBe(true)
  }
})

each(FILES, 'has routes, ports and middlewares that fit each other', (name) => {
  const objects = objectsOf(name)
  const workload = deploymentOf(objects)
  const { name: release } = workload.metadata
  const service = named<ServiceSpec>(objects, 'Service', release)
  const [{ ports }] = workload.spec.template.spec.containers
  expect(service.spec.ports.map(({ name, port }) => [name, port])).toEqual(
    ports.map(({ name, containerPort }) => [name, containerPort]),
  )
  expect(isSubset(service.spec.selector, workload.spec.template.metadata.labels)).toBe(true)
  const routes = ofKind(objects, 'IngressRoute', 'Ingress', 'HTTPRoute')
  expect(routes).toHaveLength(1)
  const text = JSON.stringify(routes)
  expect(text).toContain(`"name":"${release}"`)
  expect(text).toMatch(new RegExp(`"(?:port|number)":${ports[0]?.containerPort}\\b`))
  expect(text).not.toContain('protected')
  type Spec = { chain?: { middlewares: { name: string }[] } }
  const middlewares = ofKind<Spec>(objects, 'Middleware')
  const keys = middlewares.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
  expect(keys).toContain('gate/protected')
  for (const { spec, metadata } of middlewares)
    for (const { name } of spec.chain?.middlewares ?? [])
      expect(keys).toContain(`${metadata.namespace}/${name}`)
})

each(ALL, 'C17: has policies that select pods and call addresses that are named', (name) => {
  const objects = objectsOf(name)
  const labels = [
    ...ofKind<Workload>(objects, 'Deployment', 'StatefulSet').map(
      ({ spec }) => spec.template.metadata.labels,
    ),
    ...ofKind(objects, 'Pod').map(({ metadata }) => metadata.labels ?? {}),
  ]
  const policies = ofKind<NetworkPolicySpec>(objects, 'NetworkPolicy')
  expect(policies.length > 0).toBe(name !== 'hosts')
  for (const { spec, metadata } of policies) {
    const { matchLabels = {} } = spec.podSelector
    expect(
      labels.some((each) => isSubset(matchLabels, each)),
      metadata.name,
    ).toBe(true)
    for (const { to } of spec.egress ?? [])
      for (const { namespaceSelector, podSelector, ipBlock } of to) {
        if (ipBlock?.cidr.endsWith('/0')) expect(ipBlock).toHaveProperty('except')
        const selected = { ...namespaceSelector?.matchLabels, ...podSelector?.matchLabels }
        expect(Object.keys(selected).length + (ipBlock ? 1 : 0)).toBeGreaterThan(0)
      }
  }
})

const withHelm = (title: string, check: () => void) =>
  test(title, ({ skip }) => (helm ? check() : skip(NO_HELM)))

describe('pods', () => {
  test.for(['256Mi', '512Mi', '640Mi', '1Gi'])(
    'with %s have a heap that fits (C61)',
    (memory, { skip }) => {
      if (!helm) return skip(NO_HELM)
      const [{ env = [], resources }] = deploymentOf(chartWith({ memory })).spec.template.spec
        .containers
      expect(resources.limits).toEqual({ memory })
      const options = env.find(({ name }) => name === 'NODE_OPTIONS')?.value ?? ''
      const script = "require('node:v8').getHeapStatistics().heap_size_limit"
      const heapLimitBytes = Number(
        execFileSync(process.execPath, [...options.split(' '), '-p', script]),
      )
      const limitBytes =
        Number.parseInt(memory, 10) * (memory.endsWith('Gi') ? 1024 ** 3 : 1024 ** 2)
      const cache = boundsWithin('cache', heapLimitBytes)
      const need = memoryNeed(cache, streamBound(cache.maxBytes, heapLimitBytes), heapLimitBytes)
      expect(memoryFaults({ need, limitBytes, mode: 'hybrid' })).toEqual([])
      expect(memoryFaults({ need, limitBytes: limitBytes * 0.7, mode: 'hybrid' })).toHaveLength(1)
    },
  )

  withHelm('restart when settings change, and not when rules do', () => {
    const given = valuesOf('policies')
    const checksumOf = (changes: object) => {
      const { template } = deploymentOf(chartWith({ ...given, ...changes })).spec
      return (template.metadata as { annotations?: Record<string, string> }).annotations?.[
        'checksum/settings'
      ]
    }
    const before = checksumOf({})
    expect(before).toMatch(/^[0-9a-f]{64}$/)
    expect(
      checksumOf({ config: { ...given.config, rules: [{ access: 'signed-in', groups: ['x'] }] } }),
    ).toBe(before)
    expect(checksumOf({ config: { ...given.config, logLevel: 'debug' } })).not.toBe(before)
    expect(checksumOf({ settings: { ...given.settings, LOG_LEVEL: 'debug' } })).not.toBe(before)
  })

  withHelm('have a number by load or a fixed one, and a budget where there are several', () => {
    const scaled = objectsOf('hosts')
    expect(deploymentOf(scaled).spec).not.toHaveProperty('replicas')
    expect(named(scaled, 'HorizontalPodAutoscaler', 'vestibule').spec).toMatchObject({
      minReplicas: 3,
      maxReplicas: 9,
    })
    expect(ofKind(scaled, 'PodDisruptionBudget')).toHaveLength(1)
    expect(deploymentOf(objectsOf('memory')).spec).toMatchObject({
      replicas: 1,
      strategy: { type: 'Recreate' },
    })
    expect(ofKind(objectsOf('memory'), 'PodDisruptionBudget', 'HorizontalPodAutoscaler')).toEqual(
      [],
    )
    expect(
      deploymentOf(objectsOf('identity')).spec.template.spec.terminationGracePeriodSeconds,
    ).toBe(55)
  })
})

withHelm('monitoring reads the port that there is, by TLS where there is TLS', () => {
  const endpointsOf = (name: string) => {
    const [monitor] = ofKind<Record<string, Record<string, unknown>[]>>(
      objectsOf(name),
      'ServiceMonitor',
      'PodMonitor',
    )
    expect(monitor?.kind).toBe(name === 'tls-issuer' ? 'PodMonitor' : 'ServiceMonitor')
    return monitor?.spec['endpoints'] ?? monitor?.spec['podMetricsEndpoints']
  }
  const plain = { port: 'internal', path: '/metrics', interval: '30s' }
  const secret = (key: string) => ({ secret: { name: 'vestibule-client', key } })
  const tls = { serverName: 'vestibule', ca: secret('ca.crt') }
  const keySecret = { name: 'vestibule-client', key: 'tls.key' }
  expect(endpointsOf('production')).toEqual([plain])
  expect(endpointsOf('tls')).toEqual([{ ...plain, scheme: 'https', tlsConfig: tls }])
  expect(endpointsOf('tls-issuer')).toEqual([
    { ...plain, scheme: 'https', tlsConfig: { ...tls, cert: secret('tls.crt'), keySecret } },
  ])
  const objects = objectsOf('production')
  const rule = named(objects, 'PrometheusRule', 'vestibule')
  expect(rule.spec).toEqual(parse(readFileSync(`${CHART}/files/alerts.yaml`, 'utf8')))
  expect(rule.metadata.labels).toMatchObject({ release: 'kube-prometheus-stack', team: 'platform' })
  const dashboard = named(objects, 'ConfigMap', 'vestibule-dashboard')
  expect(dashboard.metadata.labels).toMatchObject({ grafana_dashboard: '1' })
  const panel = JSON.parse(dashboard.data?.['vestibule.json'] ?? '') as unknown
  expect(panel).toEqual(JSON.parse(readFileSync(`${CHART}/files/dashboard.json`, 'utf8')))
})

test.for([
  [
    'least',
    [
      'https://app.example.com/oauth2/callback',
      '--from-file=client-secret',
      '--from-file=redis-url',
      'protected\n',
    ],
  ],
  [
    'hosts',
    [
      'https://auth.example.com/oauth2/callback',
      'for the client gate',
      'TRUSTED_PROXIES',
      'gate, shop, wiki',
    ],
  ],
  ['identity', ['https://app.example.com/door/in/callback', 'deployment/gate']],
  [
    'policies',
    ['protected-admins, protected-staff-1', 'https://wiki.example.com/oauth2/signed-out'],
  ],
  ['bundled', ['openssl rand -hex 32 >redis-password', 'for trials']],
  [
    'production',
    [
      'openssl rand -hex 32 >admin-token',
      '--from-file=client-private-key',
      'secret generic vestibule-production',
    ],
  ],
  ['tls-secret', ['Secret internal-tls with', 'needs the Secret internal-client']],
  ['memory', ['a restart signs everybody out']],
  [DEFAULT, ['NOT CONFIGURED']],
] as const)('%s: the notes say what to do next', ([name, texts], { skip }) => {
  if (!helm) return skip(NO_HELM)
  const install = [
    'install',
    'vestibule',
    CHART,
    '--namespace=gate',
    '--dry-run=client',
    ...pathOf(name),
  ]
  const [, notes = ''] = runHelm(install).stdout.split('\nNOTES:\n')
  for (const text of texts) expect(notes).toContain(text)
})

test('the chart has the version of the service', () => {
  const chart = parse(readFileSync(`${CHART}/Chart.yaml`, 'utf8')) as object
  expect(chart).toMatchObject({
    apiVersion: 'v2',
    version: packageJson.version,
    appVersion: packageJson.version,
  })
})

test('every value has a comment, and the schema has each and no other', () => {
  const text = readFileSync(`${CHART}/values.yaml`, 'utf8')
  interface Schema {
    readonly properties?: Readonly<Record<string, Schema>>
    readonly additionalProperties?: unknown
  }
  const { properties: { global: _, ...properties } = {}, ...root } = JSON.parse(
    readFileSync(`${CHART}/values.schema.json`, 'utf8'),
  ) as Schema
  const compare = (values: object, schema: Schema, place: string) => {
    if (!schema.properties || Object.keys(values).length === 0) return
    expect(schema.additionalProperties, place).toBe(false)
    expect(Object.keys(values).toSorted(), place).toEqual(Object.keys(schema.properties).toSorted())
    for (const [key, value] of Object.entries(values))
      if (typeof value === 'object')
        compare(value as object, schema.properties[key] ?? {}, `${place}.${key}`)
  }
  compare(parse(text) as object, { ...root, properties }, 'values')
})
