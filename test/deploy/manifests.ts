import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { findProgram } from '../../stand-ins/process.ts'

type Labels = Readonly<Record<string, string>>
type Values = Readonly<Record<string, unknown>>
type Selector = { readonly matchLabels: Labels }

/** A Kubernetes object; its reader says what its `spec` holds. */
export interface Manifest<Spec = unknown> {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Labels
  }
  readonly spec: Spec
  readonly data?: Labels
  readonly automountServiceAccountToken?: boolean
}

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string }
  readonly exec?: { readonly command: readonly string[] }
}

interface Container {
  readonly image: string
  readonly command?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value?: string; valueFrom?: unknown }[]
  readonly envFrom?: readonly unknown[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe?: Probe
  readonly readinessProbe?: Probe
  readonly livenessProbe?: Probe
  readonly resources: { readonly requests: Labels; readonly limits: Labels }
  readonly securityContext: Values
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
}

interface PodSpec extends Values {
  readonly automountServiceAccountToken: boolean
  readonly enableServiceLinks: boolean
  readonly terminationGracePeriodSeconds?: number
  readonly securityContext: Values
  readonly initContainers?: readonly unknown[]
  readonly topologySpreadConstraints?: readonly {
    readonly topologyKey: string
    readonly whenUnsatisfiable: string
    readonly labelSelector: Selector
  }[]
  readonly containers: readonly [Container]
  readonly volumes?: readonly {
    readonly name: string
    readonly hostPath?: unknown
    readonly secret?: { readonly secretName: string; readonly defaultMode: number }
  }[]
}

export interface Workload {
  readonly replicas: number
  readonly strategy?: { readonly rollingUpdate: Values }
  readonly selector: Selector
  readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec }
}

export interface ServiceSpec {
  readonly selector: Labels
  readonly sessionAffinity?: string
  readonly ports: readonly { readonly name: string; port: number; targetPort: string }[]
}

interface Peer {
  readonly namespaceSelector?: Selector
  readonly podSelector?: Selector
  readonly ipBlock?: { readonly cidr: string }
}
type PolicyPorts = readonly { readonly protocol: string; readonly port: number }[]

export interface NetworkPolicySpec {
  readonly podSelector: Partial<Selector>
  readonly policyTypes: readonly string[]
  /** Everybody may call where `from` is absent. */
  readonly ingress?: readonly { readonly from?: readonly Peer[]; readonly ports: PolicyPorts }[]
  readonly egress?: readonly { readonly to: readonly Peer[]; readonly ports: PolicyPorts }[]
}

export interface IngressRouteSpec {
  readonly routes: readonly {
    readonly match: string
    readonly middlewares?: readonly { readonly name: string }[]
    readonly services: readonly { readonly name: string; readonly port: number | string }[]
  }[]
}

export const K8S = 'deploy/k8s'

const parseManifests = (text: string): readonly Manifest[] =>
  parseAllDocuments(text).map((document) => document.toJS() as Manifest)

/** The objects in the files themselves, which no cluster gets in this form. */
export const manifestFiles = (folder = K8S): readonly Manifest[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.yaml') && !path.endsWith('.example.yaml'))
    .flatMap((path) => parseManifests(readFileSync(join(folder, path), 'utf8')))
    .filter((object) => object.apiVersion && !object.apiVersion.startsWith('kustomize.'))

/** Returns the manifests that `kubectl apply -k` sends; `undefined` without kubectl. */
export const rendered = (kustomization: string): readonly Manifest[] | undefined => {
  const kubectl = findProgram('kubectl')
  if (!kubectl) return undefined
  const folder = join(K8S, kustomization)
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
