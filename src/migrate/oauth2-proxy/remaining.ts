import type { NoteKind } from '../installation.ts'
import { type Reading, tell } from './reading.ts'

/** Options without a counterpart, and those of which Vestibule does the same by itself. */
const REMAINING: readonly (readonly [kind: NoteKind, text: string, names: string])[] = [
  [
    'dropped',
    'TLS of browsers ends at Traefik; for TLS between Traefik and Vestibule see `INTERNAL_TLS_CERT_FILE` (docs/tls.md)',
    'https-address tls-cert-file tls-cipher-suite tls-key-file tls-min-version metrics-secure-address metrics-tls-cert-file metrics-tls-key-file',
  ],
  ['dropped', 'Traefik redirects to https, by `redirections` of its entry point', 'force-https'],
  [
    'differs',
    'the log has one line of JSON for each event, and none for each request: see `LOG_LEVEL` and docs/operations.md',
    'auth-logging auth-logging-format errors-to-info-log exclude-logging-path logging-compress logging-filename logging-local-time logging-max-age logging-max-backups logging-max-size request-logging request-logging-format silence-ping-logging standard-logging standard-logging-format',
  ],
  [
    'differs',
    'probes ask `/livez` and `/readyz` of the internal port, and balancers `/healthz` of the public one',
    'gcp-healthchecks ping-path ping-user-agent ready-path',
  ],
  [
    'dropped',
    'the pages are Vestibule’s own, and a visitor is led to the provider without one',
    'banner custom-sign-in-logo custom-templates-dir display-htpasswd-form footer provider-display-name skip-provider-button',
  ],
  [
    'stricter',
    'nobody signs in with a password of its own: make accounts at the provider',
    'htpasswd-file htpasswd-user-group',
  ],
  [
    'differs',
    'a navigation is sent to the sign-in, and anything else gets 401 with JSON, by what the browser says of the request',
    'api-route force-json-errors',
  ],
  ['dropped', 'no page shows details of a fault: they are in the log', 'show-debug-on-error'],
  [
    'dropped',
    'the id of a request is taken from `X-Request-Id`, and `traceparent` is passed on',
    'request-id-header',
  ],
  [
    'dropped',
    'a path with a semicolon is never public, and queries are not looked at',
    'allow-query-semicolons',
  ],
  ['dropped', 'requests carry no `GAP-Signature`: let only Traefik reach the app', 'signature-key'],
  [
    'dropped',
    'is for interfaces of the provider that Vestibule does not call; take the right away from the account there',
    'github-token google-admin-api-user-scope google-admin-email google-service-account-json google-target-principal google-use-application-default-credentials google-use-organization-id',
  ],
]

/** Says what becomes of the options that no other part reads. */
export function tellRemaining(reading: Reading): void {
  for (const [kind, text, names] of REMAINING)
    for (const name of names.split(' ')) tell(reading, name, kind, text)
}
