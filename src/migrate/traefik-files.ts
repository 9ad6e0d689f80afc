import { parseAllDocuments, stringify, visit } from 'yaml'
import type { Config } from '../config/config.ts'
import { kubernetesManifests, kubernetesPolicies } from '../render/kubernetes.ts'
import { namesOf, STRIP } from '../render/policy-names.ts'
import { hostsRule, traefikFile, traefikPolicies } from '../render/traefik.ts'
import type { AppRoute, Installation } from './installation.ts'

/** Namespace of `deploy/k8s`, and the final dot that keeps the resolver from trying other domains. */
const CLUSTER = '.vestibule.svc.cluster.local.'

/**
 * Returns the files for Traefik by their paths. Those of an installation with a name carry it in each of theirs, because
 * Traefik drops a middleware that two files define.
 */
export function traefikFiles(
  config: Config,
  { name, platform, apps = [] }: Pick<Installation, 'name' | 'platform' | 'apps'>,
): ReadonlyMap<string, string> {
  const policies = [...config.rules.policies.keys()]
  const host = suffixed('vestibule', name)
  const files: [string, string][] = [['traefik/vestibule.yaml', traefikFile(config, host)]]
  if (policies.length > 0)
    files.push(['traefik/policies.yaml', traefikPolicies(config, policies, host)])
  if (apps.length > 0) files.push(['traefik/apps.yaml', appsFile(config, apps)])
  if (platform === 'kubernetes') files.push(...objects(config, policies, `${host}${CLUSTER}`))
  const ofChecks = [undefined, ...policies].map((each) => namesOf(each))
  const known = new Set([STRIP, ...ofChecks.flatMap(({ check, chain }) => [check, chain])])
  return new Map(files.map(([path, text]) => [path, renamed(text, known, name)]))
}

/** Returns the name of an object of Traefik: `protected` of the only installation, `protected-NAME` of one of several. */
export function suffixed(object: string, name: string): string {
  return name === '' ? object : `${object}-${name}`
}

function objects(config: Config, policies: readonly string[], host: string): [string, string][] {
  const { middlewares, signIn } = kubernetesManifests(config, host)
  return [
    ['kubernetes/middlewares.yaml', middlewares],
    ['kubernetes/sign-in.yaml', signIn],
    ...(policies.length > 0
      ? [['kubernetes/policies.yaml', kubernetesPolicies(config, policies, host)] as const]
      : []),
  ].map(([path = '', text = '']) => [path, text])
}

function appsFile({ hosts }: Config, apps: readonly AppRoute[]): string {
  const routers = apps.map(({ path, isFolder }, at): [string, object] => {
    const matcher = isFolder ? 'PathPrefix' : 'Path'
    const rule = `${hostsRule(hosts)} && ${matcher}(\`${path}\`)`
    return [`app-${at + 1}`, { rule, middlewares: [namesOf().chain], service: `app-${at + 1}` }]
  })
  const services = apps.map(({ url, passesHost }, at): [string, object] => {
    return [`app-${at + 1}`, { loadBalancer: { servers: [{ url }], passHostHeader: passesHost } }]
  })
  const http = new Map([
    ['routers', new Map(routers)],
    ['services', new Map<string, object>(services)],
  ])
  return stringify({ http }, { lineWidth: 0 })
}

function renamed(text: string, known: ReadonlySet<string>, name: string): string {
  if (name === '') return text
  const documents = parseAllDocuments(text)
  for (const document of documents) {
    visit(document, {
      Scalar(_, node) {
        if (typeof node.value === 'string' && known.has(node.value))
          node.value = suffixed(node.value, name)
      },
    })
  }
  return documents.map((document) => document.toString({ lineWidth: 0 })).join('')
}
