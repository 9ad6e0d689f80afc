import { nearName } from '../../config/sources/near-names.ts'

/** Options of oauth2-proxy 7.15.3 by their kind, named as on its command line. */
const NAMES = {
  text: `
    acr-values approval-prompt auth-logging-format auth-request-response-mode
    authenticated-emails-file azure-graph-group-field azure-tenant backend-logout-url banner
    basic-auth-password bitbucket-repository bitbucket-team client-id client-secret
    client-secret-file code-challenge-method cookie-csrf-samesite cookie-name cookie-path
    cookie-samesite cookie-secret cookie-secret-file custom-sign-in-logo
    custom-templates-dir footer force-code-challenge-method github-org github-repo
    github-team github-token google-admin-api-user-scope google-admin-email
    google-service-account-json google-target-principal
    google-use-application-default-credentials google-use-organization-id htpasswd-file
    http-address https-address jwt-key jwt-key-file logging-filename login-url
    metrics-address metrics-secure-address metrics-tls-cert-file metrics-tls-key-file
    oidc-email-claim oidc-groups-claim oidc-issuer-url oidc-jwks-url ping-path
    ping-user-agent profile-url prompt provider provider-display-name proxy-prefix
    pubjwk-url ready-path real-client-ip-header redeem-url redirect-url redis-ca-path
    redis-connection-url redis-password redis-sentinel-master-name redis-sentinel-password
    redis-username request-id-header request-logging-format resource scope
    session-store-type signature-key standard-logging-format tls-cert-file tls-key-file
    tls-min-version user-id-claim validate-url`,
  flag: `
    allow-query-semicolons auth-logging bearer-token-login-fallback cookie-csrf-per-request
    cookie-httponly cookie-secure disable-keep-alives display-htpasswd-form encode-state
    entra-id-federated-token-auth errors-to-info-log force-https force-json-errors
    gcp-healthchecks insecure-oidc-allow-unverified-email
    insecure-oidc-skip-issuer-verification insecure-oidc-skip-nonce logging-compress
    logging-local-time pass-access-token pass-authorization-header pass-basic-auth
    pass-host-header pass-user-headers prefer-email-to-user proxy-websockets
    redis-insecure-skip-tls-verify redis-use-cluster redis-use-sentinel
    relative-redirect-url request-logging reverse-proxy session-cookie-minimal
    set-authorization-header set-basic-auth set-xauthrequest show-debug-on-error
    silence-ping-logging skip-auth-preflight skip-auth-strip-headers
    skip-claims-from-profile-url skip-jwt-bearer-tokens skip-oidc-discovery
    skip-provider-button ssl-insecure-skip-verify ssl-upstream-insecure-skip-verify
    standard-logging use-system-trust-store`,
  number: `
    cookie-csrf-per-request-limit logging-max-age logging-max-backups logging-max-size
    redis-connection-idle-timeout`,
  duration: `
    cookie-csrf-expire cookie-expire cookie-refresh flush-interval upstream-timeout`,
  list: `
    allowed-group allowed-role api-route cookie-domain email-domain entra-id-allowed-tenant
    exclude-logging-path extra-jwt-issuers github-user gitlab-group gitlab-project
    google-group htpasswd-user-group keycloak-group oidc-audience-claim
    oidc-enabled-signing-alg oidc-extra-audience oidc-public-key-file provider-ca-file
    redis-cluster-connection-urls redis-sentinel-connection-urls skip-auth-regex
    skip-auth-route tls-cipher-suite trusted-ip trusted-proxy-ip upstream whitelist-domain`,
} as const

export type OptionKind = keyof typeof NAMES

/** Kind of each option. */
export const OPTIONS: ReadonlyMap<string, OptionKind> = new Map(
  (Object.keys(NAMES) as OptionKind[]).flatMap((kind) =>
    NAMES[kind]
      .trim()
      .split(/\s+/)
      .map((name) => [name, kind] as const),
  ),
)

/** Lists whose names have no plural of their own in files and variables. */
const WITHOUT_PLURAL = new Set([
  'extra-jwt-issuers',
  'redis-cluster-connection-urls',
  'redis-sentinel-connection-urls',
  'skip-auth-regex',
])

/** Returns the key of an option in the configuration file: `email_domains` for `email-domain`. */
export function fileKeyOf(name: string): string {
  const isPlural = OPTIONS.get(name) === 'list' && !WITHOUT_PLURAL.has(name)
  return `${name}${isPlural ? 's' : ''}`.replaceAll('-', '_')
}

/** Options by the keys that the configuration file, and in capitals the environment, know. */
export const BY_FILE_KEY: ReadonlyMap<string, string> = new Map([
  ...[...OPTIONS.keys()].map((name) => [fileKeyOf(name), name] as const),
  // Deprecated, and still read.
  ['google_group', 'google-group'],
])

/** Returns what an unknown name seems to mean, with a remedy. */
export function meantBy(unknown: string, known: Iterable<string>): string {
  const names = [...known]
  const plural = names.find((name) => name === `${unknown}s` || `${name}s` === unknown)
  const near = plural ?? nearName(unknown, names)
  return near === undefined ? 'remove it' : `${near} may be meant`
}

/** Beginnings of the options that an alpha configuration has instead. */
const MOVED =
  /^(?:acr-values|allowed-|approval-|auth-request-|azure-|backend-|basic-auth-|bitbucket-|client-|code-|disable-keep-|entra-id-|flush-|force-code-|github-|gitlab-|google-|https?-address|insecure-oidc-|jwt-|keycloak-|login-|metrics-|oidc-|pass-|prefer-email-|profile-|prompt|provider|proxy-websockets|pubjwk-|redeem-|resource|scope|set-|skip-auth-strip-|skip-claims-|skip-oidc-|ssl-upstream-|tls-|upstream|use-system-|user-id-|validate-)/

export function movedToAlpha(name: string): boolean {
  return MOVED.test(name)
}
