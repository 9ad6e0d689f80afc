import type { Config } from '../config/config.ts'
import { explained, middlewareOptions, signInRule } from './traefik.ts'

/** Not the Secret of the service, whose key belongs in no other namespace. */
const TLS_SECRET = 'vestibule-client'

/**
 * Returns Traefik's custom resources: the middlewares, which each namespace with an app needs, and the route to the
 * sign-in pages, which belongs beside the Service of Vestibule. `host` is the full name of that Service because
 * Traefik runs in another namespace; `secret` names the Secret with certificates beside each middleware.
 */
export function kubernetesManifests(config: Config, host: string, secret = TLS_SECRET) {
  const server = { caSecret: secret }
  const both = { caSecret: secret, certSecret: secret }
  const { strip, check } = middlewareOptions(config, host, { server, both })
  const { rule: match, priority } = signInRule(config)
  const [name = host] = host.split('.')
  const chain = { middlewares: [{ name: 'vestibule-strip' }, { name: 'vestibule' }] }
  const services = [{ name, port: config.settings.PORT }]
  return {
    middlewares: manifests([
      resource('Middleware', 'vestibule-strip', strip),
      resource('Middleware', 'vestibule', check),
      resource('Middleware', 'protected', { chain }),
    ]),
    signIn: manifests([
      resource('IngressRoute', 'vestibule', {
        routes: [{ kind: 'Rule', match, priority, services }],
      }),
    ]),
  }
}

function resource(kind: string, name: string, spec: object) {
  return { apiVersion: 'traefik.io/v1alpha1', kind, metadata: { name }, spec }
}

function manifests(resources: readonly object[]): string {
  return resources.map(explained).join('---\n')
}
