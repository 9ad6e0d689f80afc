import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempDisposableSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { findProgram } from '../../stand-ins/process.ts'

type Labels = Record<string, string>
type Values = Record<string, unknown>
type Selector = { matchLabels: Labels }

export interface Manifest<Spec = unknown> {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Labels; annotations?: Labels }
  spec: Spec
  data?: Labels
  automountServiceAccountToken?: boolean
}

type Probes = 'startupProbe' | 'readinessProbe' | 'livenessProbe'
type Probe = { httpGet?: Values; exec?: { command: string[] } }

interface Container extends Partial<Record<Probes, Probe>> {
  image: string
  command?: string[]
  env?: { name: string; value?: string; valueFrom?: unknown }[]
  envFrom?: unknown[]
  ports: { name: string; containerPort: number }[]
  resources: { requests: Labels; limits: Labels }
  securityContext: Values
  volumeMounts?: { name: string; mountPath: string }[]
}

type Spread = { topologyKey: string; whenUnsatisfiable: string; labelSelector: Selector }
type Volume = {
  name: string
  hostPath?: unknown
  secret?: { secretName: string; defaultMode: number }
}

export interface Workload {
  replicas: number
  strategy?: { rollingUpdate: Values }
  selector: Selector
  template: {
    metadata: { labels: Labels }
    spec: Values & {
      terminationGracePeriodSeconds?: number
      securityContext: Values
      topologySpreadConstraints?: Spread[]
      containers: [Container]
      volumes?: Volume[]
    }
  }
}

export interface ServiceSpec {
  selector: Labels
  sessionAffinity?: string
  ports: { name: string; port: number; targetPort: string }[]
}

type Peer = { namespaceSelector?: Selector; podSelector?: Selector; ipBlock?: { cidr: string } }
type PolicyPorts = { protocol: string; port: number }[]

export interface NetworkPolicySpec {
  podSelector: Partial<Selector>
  policyTypes: string[]
  /** Everybody may call where `from` is absent. */
  ingress?: { from?: Peer[]; ports: PolicyPorts }[]
  egress?: { to: Peer[]; ports: PolicyPorts }[]
}

export interface CertificateSpec {
  dnsNames: string[]
  usages: string[]
  issuerRef: Labels
}

export interface IngressRouteSpec {
  routes: {
    match: string
    priority?: number
    middlewares?: { name: string }[]
    services: { name: string; port: number | string }[]
  }[]
}

export const K8S = 'deploy/k8s'

const parseManifests = (text: string): readonly Manifest[] =>
  parseAllDocuments(text).map((document) => document.toJS() as Manifest)

export const manifestFiles = (folder = K8S): readonly Manifest[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.yaml') && !path.endsWith('.example.yaml'))
    .flatMap((path) => parseManifests(readFileSync(join(folder, path), 'utf8')))
    .filter((object) => object.apiVersion && !object.apiVersion.startsWith('kustomize.'))

/**
 * Returns the manifests of a kustomization with these components alone, in another namespace: their lines are no comments,
 * all others are.
 */
export const renderedWith = (
  kustomization: string,
  components: readonly string[],
): readonly Manifest[] | undefined => {
  using copy = mkdtempDisposableSync(join(tmpdir(), 'vestibule-k8s-'))
  cpSync(K8S, copy.path, { recursive: true })
  const file = join(copy.path, kustomization, 'kustomization.yaml')
  writeFileSync(file, switched(readFileSync(file, 'utf8'), components))
  return rendered(kustomization, copy.path)
}

function switched(text: string, components: readonly string[]): string {
  const missing = new Set(components)
  const lines = (block: string) =>
    block.replaceAll(/^(?: {2})?(?:# )?- (\S+)$/gm, (_, path: string) => {
      const name = path.replace(/^(?:\.\.\/)+(?:components\/)?/, '')
      return `  ${missing.delete(name) ? '' : '# '}- ${path}`
    })
  const made = text
    .replace(
      /^(?:# )?(components:\n)((?:(?: {2}|# - ).*\n)+)/m,
      (_, key: string, block: string) => `${key}${lines(block)}`,
    )
    .replace(/^replicas:\n.*\n/m, components.includes('hpa') ? '' : '$&')
    .replace('\nnamespace: vestibule\n', '\nnamespace: elsewhere\n')
  if (missing.size > 0) throw new Error(`no line for ${[...missing].join(', ')}`)
  return made
}

/** Returns the manifests that `kubectl apply -k` sends; `undefined` without kubectl. */
export const rendered = (kustomization: string, from = K8S): readonly Manifest[] | undefined => {
  const kubectl = findProgram('kubectl')
  if (!kubectl) return undefined
  const folder = join(from, kustomization)
  return parseManifests(execFileSync(kubectl, ['kustomize', folder], { encoding: 'utf8' }))
}

export const ofKind = <Spec>(objects: readonly Manifest[], ...kinds: readonly string[]) =>
  objects.filter(({ kind }) => kinds.includes(kind)) as readonly Manifest<Spec>[]

/** The one object of a kind and name; generated names carry a hash behind it. */
export const named = <Spec>(
  objects: readonly Manifest[],
  kind: string,
  name: string,
): Manifest<Spec> => {
  const found = ofKind<Spec>(objects, kind).find(
    ({ metadata }) => metadata.name.replace(/-[a-z0-9]{10}$/, '') === name,
  )
  if (!found) throw new Error(`there is no ${kind} ${name}`)
  return found
}

export const isSubset = (part: Labels, whole: Labels): boolean =>
  Object.entries(part).every(([name, value]) => whole[name] === value)
