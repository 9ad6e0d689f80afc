import { cpSync, mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findProgram } from '../../stand-ins/process.ts'
import { chartWith, helm, NO_HELM } from './charts.ts'
import { K8S, type Manifest, rendered } from './manifests.ts'
import { readSettings } from './settings.ts'

const overlay = { image: { repository: 'registry.example.com/vestibule' }, replicaCount: 3 }
const allowed = { defaultDeny: true, provider: { cidrs: ['203.0.113.0/24'] } }
const DEMO = {
  ...overlay,
  settings: settingsOf('demo'),
  redis: { kind: 'bundled' },
  networkPolicy: allowed,
}
const PRODUCTION = {
  ...overlay,
  settings: settingsOf('production'),
  topologySpread: { hostname: 'DoNotSchedule' },
  networkPolicy: { ...allowed, redis: { cidrs: ['10.0.0.0/8'] } },
}
const tls = { enabled: true, certManager: { enabled: true } }
const MORE = ['tls', 'middleware-tls', 'connected-clients']

test.for<[string, string, object, (readonly string[])?]>([
  ['base', 'vestibule', {}],
  ['overlays/demo', 'vestibule', DEMO],
  ['overlays/production', 'vestibule', PRODUCTION],
  ['overlays/production', 'elsewhere', { ...PRODUCTION, tls, memory: '512Mi' }, MORE],
])('the chart means the same as %s in the namespace %s', (row, { skip }) => {
  const [path, namespace, values, components = []] = row
  if (!helm) return skip(NO_HELM)
  if (!findProgram('kubectl')) return skip('kubectl is not on PATH: nothing to compare with')
  const objectsBy = (objects: readonly Manifest[]) =>
    Object.fromEntries(objects.map((object) => [nameOf(object), plain(object)]))
  const expected = objectsBy(renderedAs(path, namespace, components))
  expect(Object.keys(expected).length).toBeGreaterThan(5)
  expect(objectsBy(chartWith(values, namespace))).toEqual(expected)
})

/** Leaves out what the chart makes of `redis.kind`. */
function settingsOf(overlay: string) {
  const { REDIS_URL_FILE: _, ...settings } = readSettings(
    `${K8S}/overlays/${overlay}/vestibule.env`,
  )
  return settings
}

function nameOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`
}

/**
 * Returns what kubectl makes of a kustomization in a namespace, without labels of its own, with components that it has as
 * comments, and with the hash of generated names removed. The namespace and the app of the demo are no part of Vestibule.
 */
function renderedAs(path: string, namespace: string, components: readonly string[]) {
  using copy = mkdtempDisposableSync(join(tmpdir(), 'vestibule-k8s-'))
  cpSync(K8S, copy.path, { recursive: true })
  const file = join(copy.path, path, 'kustomization.yaml')
  const switched = components.reduce(
    (text, name) =>
      text.replace(`  # - ../../components/${name}\n`, `  - ../../components/${name}\n`),
    readFileSync(file, 'utf8').replace(/^namespace: .*\n|^labels:\n(?: .*\n)+/gm, ''),
  )
  writeFileSync(file, `${switched}\nnamespace: ${namespace}\n`)
  const objects = rendered(path, copy.path) ?? []
  const generated = objects.flatMap(({ kind, metadata }) =>
    kind === 'ConfigMap' ? metadata.name : [],
  )
  const text = generated.reduce(
    (all, name) => all.replaceAll(`"${name}"`, `"${name.replace(/-[a-z0-9]{10}$/, '')}"`),
    JSON.stringify(objects),
  )
  return (JSON.parse(text) as readonly Manifest[]).filter(
    ({ kind, metadata }) => kind !== 'Namespace' && metadata.name !== 'whoami',
  )
}

/** Leaves out the labels of Helm, the annotation in the place of the hash, and what is empty then. */
function plain(value: unknown, place = ''): unknown {
  if (Array.isArray(value)) return value.map((each) => plain(each, place))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
    .filter(([key]) => !isOfHelm(key, place))
    .map(([key, each]) => [key, plain(each, `${place}.${key}`)] as const)
    .filter(
      ([key, each]) =>
        !/^(?:labels|annotations)$/.test(key) || Object.keys(each as object).length > 0,
    )
  return Object.fromEntries(entries)
}

function isOfHelm(key: string, place: string): boolean {
  if (
    /^(?:helm\.sh\/chart|app\.kubernetes\.io\/(?:instance|version|managed-by)|checksum\/settings)$/.test(
      key,
    )
  ) {
    return true
  }
  // Helm gives every object the label of its app, the manifests some of them.
  return key === 'app.kubernetes.io/name' && place === '.metadata.labels'
}
