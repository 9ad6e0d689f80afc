import { existsSync, mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { Script } from 'node:vm'
import { parse as parseIni } from 'ini'
import { parse as parseToml } from 'smol-toml'
import { parseAllDocuments } from 'yaml'
import { confidential, problemsOf } from '../configuration.ts'
import type { Block } from './pages.ts'

type Problems = readonly string[]
type Yaml = Readonly<Record<string, unknown>>

/** Languages of blocks; each returns what is wrong with one, or throws. */
export const LANGUAGES: Readonly<Record<string, (block: Block) => Problems | Promise<Problems>>> = {
  sh: () => [],
  yaml: problemsOfYaml,
  json: ({ text }) => parsed(() => JSON.parse(text)),
  toml: ({ text }) => parsed(() => parseToml(text)),
  hcl: parseHcl,
  env: ({ text }) => (Object.keys(parseEnv(text)).length > 0 ? [] : ['has no value']),
  ini: ({ text }) => (Object.keys(parseIni(text)).length > 0 ? [] : ['has no value']),
  js: ({ text }) => parsed(() => new Script(text)),
  ...Object.fromEntries(
    ['', 'text', 'ts', 'html', 'mermaid', 'console', 'nginx', 'caddyfile', 'promql', 'redis'].map(
      (language) => [language, () => []],
    ),
  ),
}

function parsed(parse: () => unknown): Problems {
  parse()
  return []
}

/** Its types bring those of browsers with them, which hide those of Node in the whole project. */
const HCL: string = '@cdktn/hcl2json'

async function parseHcl({ text }: Block): Promise<Problems> {
  const { parse } = (await import(HCL)) as {
    readonly parse: (name: string, text: string) => Promise<unknown>
  }
  await parse('page.tf', text)
  return []
}

/** Kinds of YAML by a key at their top, the first that fits. */
const KINDS: readonly (readonly [
  keys: readonly string[],
  check: (yaml: Yaml, text: string) => Problems,
])[] = [
  [['apiVersion'], ({ kind, metadata }) => (kind && metadata ? [] : ['is no object'])],
  [
    ['entryPoints', 'providers', 'certificatesResolvers'],
    (yaml) => strangers(yaml, STATIC, 'Traefik'),
  ],
  [['http', 'tls'], problemsOfDynamic],
  [['components', 'configMapGenerator', 'resources', 'patches'], problemsOfKustomization],
  [['services', 'x-vestibule'], problemsOfCompose],
  [
    ['rules', 'policies', 'publicUrl', 'protectedHosts', 'oidc', 'redis', 'session'],
    problemsOfSettings,
  ],
]

const STATIC =
  'global entryPoints providers certificatesResolvers ping metrics accessLog log api tracing experimental'.split(
    ' ',
  )
const ROUTER = 'entryPoints rule service middlewares priority tls observability'.split(' ')
const FORWARD_AUTH =
  'address tls trustForwardHeader authRequestHeaders authResponseHeaders authResponseHeadersRegex addAuthCookiesToResponse headerField forwardBody maxBodySize maxResponseBodySize preserveLocationHeader preserveRequestMethod authSigninURL'.split(
    ' ',
  )
const KUSTOMIZATION =
  'apiVersion kind namespace namePrefix resources components patches configMapGenerator secretGenerator images labels replacements replicas generatorOptions'.split(
    ' ',
  )
const SERVICE =
  'image build command entrypoint environment env_file volumes ports expose networks depends_on labels configs secrets read_only cap_drop cap_add security_opt restart user tmpfs healthcheck deploy stop_grace_period pull_policy network_mode extra_hosts'.split(
    ' ',
  )

function strangers(value: unknown, known: readonly string[], what: string): Problems {
  const keys = Object.keys((value ?? {}) as Yaml).filter((key) => !key.startsWith('x-'))
  return keys.filter((key) => !known.includes(key)).map((key) => `${what} has no ${key}`)
}

function problemsOfYaml({ text, file, page }: Block): Problems {
  return parseAllDocuments(text, { merge: true }).flatMap((document) => {
    const wrong = [...document.errors, ...document.warnings].map(({ message }) => message)
    const yaml = document.toJS() as Yaml | null
    if (wrong.length > 0 || yaml === null || typeof yaml !== 'object') return wrong
    // Their page has tests that ask these questions.
    if (Array.isArray(yaml) || page === 'docs/helm.md' || file?.endsWith('.test.yaml')) return []
    const [, check] = KINDS.find(([keys]) => keys.some((key) => key in yaml)) ?? []
    return check?.(yaml, text) ?? []
  })
}

function problemsOfDynamic({ http = {} }: Yaml): Problems {
  const { routers = {}, middlewares = {}, ...rest } = http as Record<string, Record<string, Yaml>>
  return [
    ...strangers(rest, ['services', 'serversTransports'], 'http'),
    ...Object.values(routers).flatMap((each) => strangers(each, ROUTER, 'a router')),
    ...Object.values(middlewares).flatMap(({ forwardAuth }) =>
      strangers(forwardAuth, FORWARD_AUTH, 'forwardAuth'),
    ),
  ]
}

function problemsOfKustomization(yaml: Yaml): Problems {
  const paths = [yaml['resources'], yaml['components']].flat().map(String)
  const missing = paths
    .map((path) => /^(?:\.\.\/)+((?:deploy|components|base)\/.*)$/.exec(path)?.[1])
    .filter((path) => path && ![path, `deploy/k8s/${path}`].some((it) => existsSync(it)))
  return [
    ...strangers(yaml, KUSTOMIZATION, 'kustomize'),
    ...missing.map((path) => `there is no ${path}`),
  ]
}

function problemsOfCompose({ services = {} }: Yaml): Problems {
  return Object.values(services as Yaml).flatMap((each) => strangers(each, SERVICE, 'a service'))
}

/** Through the product's own loader; files that the settings name are elsewhere. */
function problemsOfSettings(_: Yaml, text: string): Problems {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'vestibule-page-'))
  const file = join(folder.path, 'vestibule.yaml')
  writeFileSync(file, text)
  return problemsOf({ ...confidential, VESTIBULE_CONFIG: file }).filter(
    (problem) => !/cannot be read|ENOENT|both|allowAnyUser|ALLOW_ANY_USER/.test(problem),
  )
}
