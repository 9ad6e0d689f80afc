import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import { boundsWithin, memoryNeed, streamBound } from '../../src/compose/memory-budget.ts'
import { memoryFaults } from '../../src/routes/memory-faults.ts'
import * as charts from './charts.ts'
import type { NetworkPolicySpec, ServiceSpec, Workload } from './manifests.ts'
import { isSubset, named, ofKind } from './manifests.ts'

const { CHART, DEFAULT, FILES, deploymentIn, helm, NO_HELM, objectsOf } = charts
const ALL = [DEFAULT, ...FILES]
const withHelm = (title: string, check: () => void) =>
  test(title, ({ skip }) => (helm ? check() : skip(NO_HELM)))
const each = (names: readonly string[], title: string, check: (name: string) => void) =>
  test.for(names)(`%s: ${title}`, (name, { skip }) => (helm ? check(name) : skip(NO_HELM)))

each(ALL, 'has pods that are restricted, the one of helm test among them', (name) => {
  const objects = objectsOf(name)
  expect(objects.filter(charts.isHook).map(({ kind }) => kind)).toContain('Pod')
  for (const pod of charts.podsIn(objects)) {
    expect(pod).toMatchObject({
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      automountServiceAccountToken: false,
      enableServiceLinks: false,
    })
    for (const forbidden of ['hostNetwork', 'hostPID', 'hostIPC', 'initContainers'])
      expect(pod).not.toHaveProperty(forbidden)
    const kinds = pod.volumes?.flatMap((volume) => Object.keys(volume)) ?? []
    expect(['name', 'configMap', 'secret', 'emptyDir']).toEqual(expect.arrayContaining(kinds))
    const { securityContext, resources, image } = pod.containers[0]
    expect(securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(resources.limits).toEqual({ memory: resources.requests['memory'] })
    expect(image).toMatch(/[:@](?!latest$)[a-z0-9][a-z0-9.:-]*/)
  }
})

each(FILES, 'gives pods a configuration that the service itself loads', (name) => {
  const objects = objectsOf(name)
  const { spec, metadata } = deploymentIn(objects)
  const { env = [], envFrom, volumeMounts = [] } = spec.template.spec.containers[0]
  expect(envFrom?.at(-1)).toEqual({ configMapRef: { name: metadata.name } })
  const others = env.filter((each) => !/^(?:NODE_OPTIONS|MALLOC_ARENA_MAX|TZ)$/.test(each.name))
  const environment = {
    ...Object.fromEntries(others.map((each) => [each.name, each.value ?? ''])),
    ...named(objects, 'ConfigMap', metadata.name).data,
  }
  const file = objects.find((each) => each.metadata.name === `${metadata.name}-config`)?.data
  const ofOthers = 'protectedHosts: [app.example.com]\nallowedGroups: [staff]\n'
  const config = charts.loadEnvironment(environment, file?.['vestibule.yaml'] ?? ofOthers)
  const { settings, redis } = charts.valuesIn(name)
  const byDefault = redis?.kind === 'memory' ? 'memory' : 'hybrid'
  expect(config.mode).toBe(settings?.['REDIS_CACHE_MODE'] ?? byDefault)
  expect(config.notices).toEqual([])
  for (const [setting, path] of Object.entries(environment))
    if (setting === 'VESTIBULE_CONFIG' || setting.endsWith('_FILE'))
      expect(volumeMounts.some(({ mountPath }) => path.startsWith(`${mountPath}/`))).toBe(true)
})

each(FILES, 'has a Service and a route to its port, past the middleware', (name) => {
  const objects = objectsOf(name)
  const { metadata, spec } = deploymentIn(objects)
  const service = named<ServiceSpec>(objects, 'Service', metadata.name).spec
  const { ports } = spec.template.spec.containers[0]
  expect(service.ports.map(({ port }) => port)).toEqual(ports.map((each) => each.containerPort))
  const routes = ofKind(objects, 'IngressRoute', 'Ingress', 'HTTPRoute')
  expect(routes).toHaveLength(1)
  const text = JSON.stringify(routes)
  expect(text).toContain(`"name":"${metadata.name}"`)
  expect(text).toMatch(new RegExp(`"(?:port|number)":${ports[0]?.containerPort}\\b`))
  expect(text).not.toContain('protected')
})

each(ALL, 'C17: has policies that select pods and call addresses that are named', (name) => {
  const objects = objectsOf(name)
  const workloads = ofKind<Workload>(objects, 'Deployment', 'StatefulSet')
  const labels = [
    ...workloads.map(({ spec }) => spec.template.metadata.labels),
    ...ofKind(objects, 'Pod').map(({ metadata }) => metadata.labels ?? {}),
  ]
  const policies = ofKind<NetworkPolicySpec>(objects, 'NetworkPolicy')
  expect(policies.length > 0).toBe(name !== 'hosts')
  for (const { spec } of policies) {
    expect(labels.some((each) => isSubset(spec.podSelector.matchLabels ?? {}, each))).toBe(true)
    const called = spec.egress?.flatMap(({ to }) => to) ?? []
    for (const { namespaceSelector, podSelector, ipBlock } of called) {
      if (ipBlock?.cidr.endsWith('/0')) expect(ipBlock).toHaveProperty('except')
      expect(ipBlock ?? podSelector ?? namespaceSelector).not.toEqual({})
    }
  }
})

describe('pods', () => {
  each(
    ['256Mi', '512Mi', '640Mi', '1Gi'],
    'is a memory into which the heap fits (C61)',
    (memory) => {
      const { spec } = deploymentIn(charts.chartWith({ memory }))
      const { env = [], resources } = spec.template.spec.containers[0]
      expect(resources.limits).toEqual({ memory })
      const options = env.find(({ name }) => name === 'NODE_OPTIONS')?.value?.split(' ') ?? []
      const script = "require('node:v8').getHeapStatistics().heap_size_limit"
      const heapBytes = Number(execFileSync(process.execPath, [...options, '-p', script]))
      const limitBytes = Number.parseInt(memory, 10) * 1024 ** (memory.endsWith('Gi') ? 3 : 2)
      const cache = boundsWithin('cache', heapBytes)
      const need = memoryNeed(cache, streamBound(cache.maxBytes, heapBytes), heapBytes)
      expect(memoryFaults({ need, limitBytes, mode: 'hybrid' })).toEqual([])
      expect(memoryFaults({ need, limitBytes: limitBytes * 0.7, mode: 'hybrid' })).toHaveLength(1)
    },
  )

  withHelm('restart when settings change, and not when rules do', () => {
    const given = charts.valuesIn('policies')
    const checksumOf = (changes: object) => {
      const { template } = deploymentIn(charts.chartWith({ ...given, ...changes })).spec
      return (template.metadata as { annotations?: object }).annotations
    }
    const before = checksumOf({})
    expect(before).toEqual({
      'checksum/settings': expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    })
    const rules = [{ access: 'signed-in', groups: ['x'] }]
    expect(checksumOf({ config: { ...given.config, rules } })).toEqual(before)
    expect(checksumOf({ config: { ...given.config, logLevel: 'debug' } })).not.toEqual(before)
    expect(checksumOf({ settings: { ...given.settings, PORT: 5000 } })).not.toEqual(before)
  })

  withHelm('have a number by load or a fixed one, and a budget where there are several', () => {
    const scaled = objectsOf('hosts')
    expect(deploymentIn(scaled).spec).not.toHaveProperty('replicas')
    const [scaler] = ofKind(scaled, 'HorizontalPodAutoscaler')
    expect(scaler?.spec).toMatchObject({ minReplicas: 3, maxReplicas: 9 })
    expect(ofKind(scaled, 'PodDisruptionBudget')).toHaveLength(1)
    const single = objectsOf('memory')
    expect(deploymentIn(single).spec).toMatchObject({ strategy: { type: 'Recreate' } })
    expect(ofKind(single, 'PodDisruptionBudget', 'HorizontalPodAutoscaler')).toEqual([])
    const drained = deploymentIn(objectsOf('identity')).spec.template.spec
    expect(drained.terminationGracePeriodSeconds).toBe(55)
  })
})

withHelm('monitoring reads the port that there is, by TLS where there is TLS', () => {
  const endpoint = { port: 'internal', path: '/metrics', interval: '30s' }
  const secret = (key: string) => ({ secret: { name: 'vestibule-client', key } })
  const tls = { serverName: 'vestibule.gate.svc.cluster.local', ca: secret('ca.crt') }
  const keySecret = { name: 'vestibule-client', key: 'tls.key' }
  const mutual = { ...tls, cert: secret('tls.crt'), keySecret }
  for (const [name, kind, key, tlsConfig] of [
    ['production', 'ServiceMonitor', 'endpoints', undefined],
    ['tls', 'ServiceMonitor', 'endpoints', tls],
    ['tls-issuer', 'PodMonitor', 'podMetricsEndpoints', mutual],
  ] as const) {
    const { spec } = named<Record<string, unknown>>(objectsOf(name), kind, 'vestibule')
    expect(spec[key]).toEqual([{ ...endpoint, ...(tlsConfig && { scheme: 'https', tlsConfig }) }])
  }
  const objects = objectsOf('production')
  const file = (name: string) => parse(readFileSync(`${CHART}/files/${name}`, 'utf8')) as unknown
  expect(named(objects, 'PrometheusRule', 'vestibule').spec).toEqual(file('alerts.yaml'))
  const { data, metadata } = named(objects, 'ConfigMap', 'vestibule-dashboard')
  expect(metadata.labels).toMatchObject({ grafana_dashboard: '1', team: 'platform' })
  expect(JSON.parse(data?.['vestibule.json'] ?? '')).toEqual(file('dashboard.json'))
})

test.for([
  ['least', 'https://app.example.com/oauth2/callback', '--from-file=redis-url', 'protected\n'],
  ['hosts', 'https://auth.example.com/oauth2/callback', 'client gate', 'gate, shop, wiki'],
  ['identity', 'https://app.example.com/door/in/callback', 'deployment/gate'],
  ['policies', 'protected-admins, protected-staff-1', 'https://wiki.example.com/oauth2/signed-out'],
  ['bundled', 'openssl rand -hex 32 >redis-password', 'for trials'],
  ['production', 'rand -hex 32 >admin-token', '=client-private-key', 'vestibule-production'],
  ['tls-secret', 'Secret internal-tls with', 'needs the Secret internal-client'],
  ['memory', 'a restart signs everybody out'],
  [DEFAULT, 'NOT CONFIGURED'],
])('%s: is the same twice, and its notes say what to do', ([name = '', ...texts], { skip }) => {
  if (!helm) return skip(NO_HELM)
  const file = charts.valuesFile(name)
  const options = ['--namespace=gate', '--dry-run=client', ...file]
  const { stdout } = charts.runHelm(['install', 'vestibule', CHART, ...options])
  const [, manifest = '', notes = ''] = stdout.split(/\n(?:MANIFEST|NOTES):\n/)
  for (const text of texts) expect(notes).toContain(text)
  const objects = objectsOf(name).filter((object) => !charts.isHook(object))
  expect(charts.objectsIn(manifest)).toEqual(objects)
})

each([DEFAULT, 'production'], 'passes helm lint', (name) => {
  const lint = charts.runHelm(['lint', '--strict', CHART, ...charts.valuesFile(name)])
  expect(lint.isRefused, lint.stdout).toBe(false)
})

const isEmpty = (value: unknown) => /^(?:""|\{\}|\[\])$/.test(JSON.stringify(value))

withHelm('a blank in the place of an empty default changes nothing', () => {
  const blanksIn = (values: object): object => {
    const blanks: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(values) as [string, unknown][]) {
      if (isEmpty(value)) blanks[key] = null
      else if (value instanceof Object && !Array.isArray(value)) blanks[key] = blanksIn(value)
    }
    return blanks
  }
  const blanks = blanksIn(parse(readFileSync(`${CHART}/values.yaml`, 'utf8')) as object)
  expect(blanks).toMatchObject({ settings: null, image: { tag: null }, tolerations: null })
  const policy = { provider: { anyPublic: true }, redis: { namespace: 'redis' } }
  const given = { ...charts.valuesIn('least'), networkPolicy: policy }
  const options = Object.entries(given).map(([key, value]) => `${key}=${JSON.stringify(value)}`)
  for (const set of ['commonLabels={}', `tls.enabled=true,tls.secretName="x",${options.join()}`])
    expect(charts.chartWith(blanks, 'gate', '--set-json', set)).toEqual(
      charts.chartWith({}, 'gate', '--set-json', set),
    )
})

test('the chart has the version of the service, and its schema demands values with defaults', () => {
  const { version } = packageJson
  const chart = parse(readFileSync(`${CHART}/Chart.yaml`, 'utf8')) as unknown
  expect(chart).toMatchObject({ apiVersion: 'v2', version, appVersion: version })
  type Schema = Partial<{
    properties: Record<string, Schema>
    additionalProperties: unknown
    required: readonly string[]
  }>
  const schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8')) as Schema
  delete schema.properties?.['global']
  const compare = (values: object, { properties, additionalProperties, required }: Schema) => {
    if (!properties || Object.keys(values).length === 0) return
    expect(additionalProperties).toBe(false)
    expect(Object.keys(values).toSorted()).toEqual(Object.keys(properties).toSorted())
    const kept = Object.entries(values).flatMap(([key, value]) => (isEmpty(value) ? [] : key))
    expect(required?.toSorted() ?? []).toEqual(kept.toSorted())
    for (const [key, value] of Object.entries(values))
      if (typeof value === 'object') compare(value as object, properties[key] ?? {})
  }
  compare(parse(readFileSync(`${CHART}/values.yaml`, 'utf8')) as object, schema)
})
