import { parseArgs } from 'node:util'
import type { Environment } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import { kubernetesManifests } from '../render/kubernetes.ts'
import { traefikFile } from '../render/traefik.ts'

const USAGE = `usage: vestibule render traefik [--kubernetes] [--host NAME] [--tls PLACE]
  --kubernetes  Middleware and IngressRoute objects instead of a file for the file provider
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
  if (options.isKubernetes) {
    // The final dot keeps the resolver from trying the search domains of the pod.
    const host = options.host ?? 'vestibule.vestibule.svc.cluster.local.'
    const { middlewares, signIn } = kubernetesManifests(config, host, options.tls)
    process.stdout.write(`${middlewares}---\n${signIn}`)
  } else {
    process.stdout.write(traefikFile(config, options.host ?? 'vestibule', options.tls))
  }
  return 0
}

function parseOptions(args: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args,
      options: {
        kubernetes: { type: 'boolean', default: false },
        host: { type: 'string' },
        tls: { type: 'string' },
      },
      allowPositionals: true,
    })
    if (positionals.join(' ') !== 'traefik') return undefined
    const { kubernetes: isKubernetes, host, tls } = values
    // An empty one is a variable of a script that is not set.
    return host === '' || tls === '' ? undefined : { isKubernetes, host, tls }
  } catch {
    return undefined
  }
}
