import { parseAllDocuments, visit } from 'yaml'
import type { Config } from '../config/config.ts'
import { kubernetesManifests, kubernetesPolicies } from '../render/kubernetes.ts'
import { namesOf, STRIP } from '../render/policy-names.ts'
import { traefikFile, traefikPolicies } from '../render/traefik.ts'
import type { Installation } from './installation.ts'

/** Namespace of `deploy/k8s`, and the final dot that keeps the resolver from trying other domains. */
const CLUSTER = '.vestibule.svc.cluster.local.'

/**
 * Returns the files for Traefik by their paths. Those of an installation with a name carry it in each of theirs, because
 * Traefik drops a middleware that two files define.
 */
export function traefikFiles(
  config: Config,
  { name, platform }: Pick<Installation, 'name' | 'platform'>,
): ReadonlyMap<string, string> {
  const policies = [...config.rules.policies.keys()]
  const host = suffixed('vestibule', name)
  const files: [string, string][] = [['traefik/vestibule.yaml', traefikFile(config, host)]]
  if (policies.length > 0)
    files.push(['traefik/policies.yaml', traefikPolicies(config, policies, host)])
  if (platform === 'kubernetes') files.push(...objects(config, policies, `${host}${CLUSTER}`))
  const known = new Set([undefined, ...policies].flatMap((each) => Object.values(namesOf(each))))
  known.add(STRIP)
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
