import type { Config } from '../config/config.ts'
import { checkOptions, explained, stripOptions } from './middlewares.ts'
import { namesOf, STRIP } from './policy-names.ts'
import { type RouteKind, signInRoute } from './sign-in-route.ts'

/** Not the Secret of the service, whose key belongs in no other namespace. */
const TLS_SECRET = 'vestibule-client'

/**
 * Returns Traefik's custom resources: the middlewares, which each namespace with an app needs, and the route to the
 * sign-in pages, which belongs beside the Service of Vestibule. `host` is the full name of that Service because
 * Traefik runs in another namespace; `secret` names the Secret with certificates beside each middleware.
 */
export function kubernetesManifests(
  config: Config,
  host: string,
  secret?: string,
  kind: RouteKind = 'ingressroute',
) {
  const [service = host] = host.split('.')
  return {
    middlewares: manifests([
      resource('Middleware', STRIP, stripOptions(config)),
      ...checkOf(config, host, secret),
    ]),
    signIn: manifests([signInRoute(config, service, kind)]),
  }
}

/** Returns the middlewares of policies, which belong beside those of `kubernetesManifests` in each namespace. */
export function kubernetesPolicies(
  config: Config,
  policies: readonly string[],
  host: string,
  secret?: string,
): string {
  const head = `Belongs beside the Middleware ${STRIP} that \`vestibule render traefik --kubernetes\` prints, which the\nchains use.`
  return manifests(
    policies.flatMap((policy) => checkOf(config, host, secret, policy)),
    head,
  )
}

function checkOf(config: Config, host: string, secret = TLS_SECRET, policy?: string) {
  const tls = { server: { caSecret: secret }, both: { caSecret: secret, certSecret: secret } }
  const { check, chain } = namesOf(policy)
  return [
    resource('Middleware', check, checkOptions(config, host, tls, policy)),
    resource('Middleware', chain, { chain: { middlewares: [{ name: STRIP }, { name: check }] } }),
  ]
}

function resource(kind: string, name: string, spec: object) {
  return { apiVersion: 'traefik.io/v1alpha1', kind, metadata: { name }, spec }
}

function manifests(resources: readonly object[], head?: string): string {
  return resources.map((each, at) => explained(each, at === 0 ? head : undefined)).join('---\n')
}
