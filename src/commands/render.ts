import { parseArgs } from 'node:util'
import type { Config, Environment } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { kubernetesManifests, kubernetesPolicies } from '../render/kubernetes.ts'
import { faultOfPolicy } from '../render/policy-names.ts'
import { ROUTE_KINDS, type RouteKind } from '../render/sign-in-route.ts'
import { traefikFile, traefikPolicies } from '../render/traefik.ts'

const USAGE = `usage: vestibule render traefik [--policy NAME]... [--kubernetes [--routes KIND]] [--host NAME]
                                [--tls PLACE]
  --policy NAME only the middlewares that demand a policy of the settings file, vestibule-NAME and
                the chain protected-NAME, which go beside the output without this option
  --kubernetes  Middleware and IngressRoute objects instead of a file for the file provider
  --routes KIND with --kubernetes, the kind of route to the sign-in pages: ingressroute,
                gateway-api (an HTTPRoute) or ingress
  --host NAME   what Traefik calls Vestibule (vestibule; with --kubernetes the Service of
                that name in the namespace vestibule)
  --tls PLACE   with INTERNAL_TLS_CERT_FILE, where Traefik has the authority in ca.crt, and with
                INTERNAL_TLS_CLIENT_CA_FILE a certificate in tls.crt and tls.key: a folder
                (/etc/traefik/vestibule-tls), with --kubernetes a Secret in the namespace of
                each middleware (vestibule-client)
`

/** Prints the configuration for Traefik. Throws `ConfigError` when the configuration cannot be used. */
export async function render(environment: Environment, ...args: string[]): Promise<number> {
  const options = parseOptions(args)
  if (!options) {
    process.stderr.write(USAGE)
    return 2
  }
  const config = loadConfig(environment)
  const known = [...config.rules.policies.keys()]
  const faults = options.policies.flatMap(
    (policy) => faultOfPolicy(policy, known, options.isKubernetes) ?? [],
  )
  if (faults.length > 0) {
    process.stderr.write(faults.map((fault) => `vestibule: ${fault}\n`).join(''))
    return 1
  }
  process.stdout.write(options.isKubernetes ? objects(config, options) : file(config, options))
  return 0
}

interface RenderOptions {
  /** Policies to print middlewares for, each once; without any, everything else is printed. */
  readonly policies: readonly string[]
  readonly isKubernetes: boolean
  readonly routes: RouteKind | undefined
  readonly host: string | undefined
  readonly tls: string | undefined
}

function file(config: Config, { policies, host = 'vestibule', tls }: RenderOptions): string {
  return policies.length > 0
    ? traefikPolicies(config, policies, host, tls)
    : traefikFile(config, host, tls)
}

function objects(config: Config, options: RenderOptions): string {
  const { policies, routes, host = SERVICE, tls } = options
  if (policies.length > 0) return kubernetesPolicies(config, policies, host, tls)
  const { middlewares, signIn } = kubernetesManifests(config, host, tls, routes)
  return `${middlewares}---\n${signIn}`
}

/** The final dot keeps the resolver from trying the search domains of the pod. */
const SERVICE = 'vestibule.vestibule.svc.cluster.local.'

function parseOptions(args: string[]): RenderOptions | undefined {
  try {
    const { values, positionals } = parseArgs({
      args,
      options: {
        policy: { type: 'string', multiple: true, default: [] },
        kubernetes: { type: 'boolean', default: false },
        routes: { type: 'string' },
        host: { type: 'string' },
        tls: { type: 'string' },
      },
      allowPositionals: true,
    })
    if (positionals.join(' ') !== 'traefik') return undefined
    const { policy, kubernetes: isKubernetes, host, tls } = values
    const routes = ROUTE_KINDS.find((kind) => kind === values.routes)
    if (values.routes !== undefined && !(routes && isKubernetes)) return undefined
    // An empty one is a variable of a script that is not set.
    if (host === '' || tls === '' || policy.includes('')) return undefined
    return { policies: [...new Set(policy)], isKubernetes, routes, host, tls }
  } catch {
    return undefined
  }
}
