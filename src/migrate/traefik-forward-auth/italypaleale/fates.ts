import type { Fate, Fates } from '../../traefik/given-values.ts'
import { PROVIDER_FATES } from './provider-options.ts'

export const LISTENER: Fate = {
  kind: 'dropped',
  text: 'There are two listeners: INTERNAL_PORT (4181) answers Traefik, PORT (4180) serves the pages; HOST is their address.',
}
export const TELEMETRY: Fate = {
  kind: 'dropped',
  text: 'Metrics are at /metrics of the internal listener, and the log goes to the standard output; there is no OpenTelemetry export.',
}
export const TLS: Fate = {
  kind: 'dropped',
  text: 'TLS between Traefik and Vestibule has INTERNAL_TLS_CERT_FILE and INTERNAL_TLS_KEY_FILE (docs/tls.md).',
}
export const CLIENT_TLS: Fate = {
  kind: 'differs',
  text: 'Who may ask is said by TRUSTED_PROXIES; client certificates have INTERNAL_TLS_CLIENT_CA_FILE (docs/tls.md).',
}
export const KEY: Fate = {
  kind: 'dropped',
  text: 'A new key was generated. Sessions are in memory or Redis: set REDIS_ENABLED and REDIS_ADDRESS so that a restart keeps them, and where several replicas run.',
}
export const COOKIE: Fate = {
  kind: 'dropped',
  text: 'The cookie has a name of its own (COOKIE_NAME), so that both services can run side by side.',
}
export const INSECURE: Fate = {
  kind: 'differs',
  text: 'True makes ALLOW_INSECURE_HTTP and http:// at each host. Where browsers reach Traefik by https, remove both.',
}
export const BASE: Fate = {
  kind: 'differs',
  text: 'The paths of the sign-in are below BASE_PATH, /oauth2 by default: another redirect URI, and /oauth2/logout and /oauth2/me in place of the logout and profile pages.',
}
export const LIFETIME: Fate = { kind: 'carried', text: 'SESSION_MAX_AGE, in seconds.' }
export const LEVEL: Fate = { kind: 'carried', text: 'LOG_LEVEL.' }
export const LOG: Fate = {
  kind: 'dropped',
  text: 'The log has one JSON object a line, and no line for probes.',
}
export const AUDIENCE: Fate = {
  kind: 'dropped',
  text: 'A session is no token here and has no audience.',
}
export const REQUEST_ID: Fate = {
  kind: 'dropped',
  text: 'X-Request-ID of Traefik is taken where it is well formed.',
}
export const TIMEOUT: Fate = {
  kind: 'dropped',
  text: 'A sign-in that has begun has a limit of its own.',
}
export const LOOK: Fate = { kind: 'dropped', text: 'There is no page that shows it.' }
export const ALLOWED: Fate = {
  kind: 'carried',
  text: 'The condition of the rule. Several lists are all needed, there and here. Upper and lower case of addresses does not count here.',
}

/** Returns the fates of options of providers, by a pattern of their names. */
export function ofProviders(
  pattern: string,
  options: Readonly<Record<string, readonly string[]>>,
): Fates {
  return Object.fromEntries(
    Object.entries(options).flatMap(([type, names]) =>
      names.map((name) => [
        pattern.replace('$1', type).replace('$2', name),
        PROVIDER_FATES[name] ?? { kind: 'dropped', text: 'See the provider.' },
      ]),
    ),
  )
}
