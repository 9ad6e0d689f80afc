import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempDisposableSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { parse, parseAllDocuments } from 'yaml'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { findProgram } from '../../stand-ins/process.ts'
import { type Manifest, ofKind, type Workload } from './manifests.ts'

export const CHART = 'deploy/helm/vestibule'
export const NO_HELM = 'helm is not on PATH: the chart is not rendered'
export const helm = findProgram('helm')

/** Runs helm with values on standard input. Returns its output, or what it refused. */
export const runHelm = (args: readonly string[], values: object = {}) => {
  const input = JSON.stringify(values)
  const { status, stdout, stderr } = spawnSync(helm ?? '', args, { input, encoding: 'utf8' })
  return { isRefused: status !== 0, stdout, stderr }
}

/** Returns the arguments that render the chart with values from standard input, as the release `vestibule`. */
export const templateOf = (namespace = 'vestibule', ...args: readonly string[]) => [
  'template',
  'vestibule',
  CHART,
  `--namespace=${namespace}`,
  ...args,
  '--values=-',
]

/** Returns the objects of the chart without those of `helm test`. Throws what helm refuses. */
export const chartWith = (
  values: object,
  namespace?: string,
  ...args: readonly string[]
): readonly Manifest[] => {
  const { isRefused, stdout, stderr } = runHelm(templateOf(namespace, ...args), values)
  if (isRefused) throw new Error(stderr)
  return objectsIn(stdout).filter((object) => !isHook(object))
}

export const objectsIn = (text: string): readonly Manifest[] =>
  parseAllDocuments(text).flatMap((document) => (document.toJS() as Manifest | null) ?? [])

export const isHook = ({ metadata }: Manifest): boolean =>
  'helm.sh/hook' in ((metadata as { annotations?: object }).annotations ?? {})

/** Loads an environment by the product's own loader, with files of this test in the place of the mounted ones. */
export const loadEnvironment = (
  environment: Readonly<Record<string, string>>,
  settingsFile: string | undefined,
): Config => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'vestibule-chart-'))
  const write = (path: string): string => {
    const file = join(folder.path, path.replaceAll('/', '-'))
    const name = path.split('/').at(-1) ?? ''
    writeFileSync(file, name === 'vestibule.yaml' ? (settingsFile ?? '') : contentOf(name))
    return file
  }
  const here = Object.entries(environment)
    .filter(([name]) => !name.startsWith('INTERNAL_TLS_'))
    .map(([name, value]) => [name, /^\/(?:run|etc)\//.test(value) ? write(value) : value])
  return loadConfig(Object.fromEntries(here) as Record<string, string>)
}

const contentOf = (name: string): string => {
  if (name === 'session-key') return randomBytes(32).toString('base64')
  if (name === 'redis-url') return 'rediss://user:password@redis.example.com:6379'
  if (name.endsWith('.pem')) return rootCertificates[0] ?? ''
  if (name !== 'client-private-key') return `${name}-${randomBytes(16).toString('hex')}`
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' })
}

const FOLDER = 'test/deploy/chart-values'
export const DEFAULT = 'nothing given'
export const FILES = readdirSync(FOLDER).map((name) => basename(name, '.yaml'))

/** Returns the option that names a file with values; none for the default ones. */
export const valuesFile = (name: string): readonly string[] =>
  name === DEFAULT ? [] : [`--values=${FOLDER}/${name}.yaml`]

interface Values {
  readonly settings?: Readonly<Record<string, unknown>>
  readonly config?: object
  readonly redis?: { readonly kind: string }
}

export const valuesIn = (name: string): Values =>
  parse(readFileSync(`${FOLDER}/${name}.yaml`, 'utf8')) as Values

/** Renders the chart with a file in the namespace `gate`. */
export const renderFile = (name: string): string => {
  const { stdout, stderr } = runHelm(templateOf('gate', ...valuesFile(name)))
  if (stderr !== '') throw new Error(stderr)
  return stdout
}

const made = new Map<string, readonly Manifest[]>()

/** Returns the objects that a file makes, those of `helm test` among them. */
export const objectsOf = (name: string): readonly Manifest[] =>
  made.getOrInsertComputed(name, () => objectsIn(renderFile(name)))

export const deploymentIn = (objects: readonly Manifest[]): Manifest<Workload> => {
  const [deployment] = ofKind<Workload>(objects, 'Deployment')
  if (!deployment) throw new Error('there is no Deployment')
  return deployment
}

type Pod = Workload['template']['spec']

/** Returns the pods that objects are or make. */
export const podsIn = (objects: readonly Manifest[]): readonly Pod[] => [
  ...ofKind<Workload>(objects, 'Deployment', 'StatefulSet').map(({ spec }) => spec.template.spec),
  ...ofKind<Pod>(objects, 'Pod').map(({ spec }) => spec),
]
