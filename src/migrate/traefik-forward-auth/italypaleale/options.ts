import type { Fate, Fates } from '../../traefik/given-values.ts'
import { PROVIDER_FATES } from './provider-options.ts'

const LISTENER: Fate = {
  kind: 'dropped',
  text: 'There are two listeners: INTERNAL_PORT (4181) answers Traefik, PORT (4180) serves the pages; HOST is their address.',
}
const TELEMETRY: Fate = {
  kind: 'dropped',
  text: 'Metrics are at /metrics of the internal listener, and the log goes to the standard output; there is no OpenTelemetry export.',
}
const TLS: Fate = {
  kind: 'dropped',
  text: 'TLS between Traefik and Vestibule has INTERNAL_TLS_CERT_FILE and INTERNAL_TLS_KEY_FILE (docs/tls.md).',
}
const CLIENT_TLS: Fate = {
  kind: 'differs',
  text: 'Who may ask is said by TRUSTED_PROXIES; client certificates have INTERNAL_TLS_CLIENT_CA_FILE (docs/tls.md).',
}
const KEY: Fate = {
  kind: 'dropped',
  text: 'A new key was generated. Sessions are in memory or Redis: set REDIS_ENABLED and REDIS_ADDRESS so that a restart keeps them, and where several replicas run.',
}
const COOKIE: Fate = {
  kind: 'dropped',
  text: 'The cookie has a name of its own (COOKIE_NAME), so that both services can run side by side.',
}
const INSECURE: Fate = {
  kind: 'differs',
  text: 'True makes ALLOW_INSECURE_HTTP and http:// at each host. Where browsers reach Traefik by https, remove both.',
}
const BASE: Fate = {
  kind: 'differs',
  text: 'The paths of the sign-in are below BASE_PATH, /oauth2 by default: another redirect URI, and /oauth2/logout and /oauth2/me in place of the logout and profile pages.',
}
const LIFETIME: Fate = { kind: 'carried', text: 'SESSION_MAX_AGE, in seconds.' }
const LEVEL: Fate = { kind: 'carried', text: 'LOG_LEVEL.' }
const LOG: Fate = {
  kind: 'dropped',
  text: 'The log has one JSON object a line, and no line for probes.',
}
const AUDIENCE: Fate = { kind: 'dropped', text: 'A session is no token here and has no audience.' }
const REQUEST_ID: Fate = {
  kind: 'dropped',
  text: 'X-Request-ID of Traefik is taken where it is well formed.',
}
const TIMEOUT: Fate = { kind: 'dropped', text: 'A sign-in that has begun has a limit of its own.' }
const LOOK: Fate = { kind: 'dropped', text: 'There is no page that shows it.' }
const ALLOWED: Fate = {
  kind: 'carried',
  text: 'The condition of the rule. Several lists are all needed, there and here. Upper and lower case of addresses does not count here.',
}

/** Options of version 3, by their name in YAML; `TFA_` and the name in capitals are the variables. */
export const V3_FATES: Fates = {
  hostname: { kind: 'carried', text: 'PUBLIC_URL.' },
  cookieDomain: {
    kind: 'carried',
    text: 'COOKIE_DOMAIN, and the domain with all hosts below it in PROTECTED_HOSTS where no hosts are known.',
  },
  cookieName: COOKIE,
  cookieInsecure: INSECURE,
  sessionLifetime: LIFETIME,
  port: LISTENER,
  bind: LISTENER,
  basePath: BASE,
  logLevel: LEVEL,
  omitHealthCheckLogs: LOG,
  logAsJson: LOG,
  logsOtelCollectorEndpoint: TELEMETRY,
  metricsServerEnabled: TELEMETRY,
  metricsServerPort: TELEMETRY,
  metricsPort: TELEMETRY,
  metricsServerBind: TELEMETRY,
  metricsBind: TELEMETRY,
  metricsOtelCollectorEndpoint: TELEMETRY,
  tokenSigningKey: KEY,
  authProvider: { kind: 'carried', text: 'The provider of the installation.' },
  authenticationTimeout: TIMEOUT,
  tlsPath: TLS,
  tlsCertPEM: TLS,
  tlsKeyPEM: TLS,
  tlsCAPEM: CLIENT_TLS,
  tlsClientAuth: CLIENT_TLS,
  trustedRequestIdHeader: REQUEST_ID,
  tracingSampling: TELEMETRY,
  tracingOtelCollectorEndpoint: TELEMETRY,
  sessionTokenAudience: AUDIENCE,
  ...ofProviders('auth$1_$2', {
    Google: ['clientID', 'clientSecret', 'requestTimeout'],
    GitHub: ['clientID', 'clientSecret', 'requestTimeout'],
    MicrosoftEntraID: [
      'tenantID',
      'clientID',
      'clientSecret',
      'azureFederatedIdentity',
      'requestTimeout',
    ],
    OpenIDConnect: [
      'clientID',
      'clientSecret',
      'tokenIssuer',
      'requestTimeout',
      'enablePKCE',
      'tlsInsecureSkipVerify',
      'tlsCACertificatePEM',
      'tlsCACertificatePath',
    ],
    TailscaleWhois: ['allowedTailnet', 'requestTimeout'],
  }),
  ...Object.fromEntries(
    ['Google', 'GitHub', 'MicrosoftEntraID', 'OpenIDConnect', 'TailscaleWhois'].flatMap((type) =>
      ['allowedUsers', 'allowedEmails', 'allowedDomains'].map((list) => [
        `auth${type}_${list}`,
        ALLOWED,
      ]),
    ),
  ),
}

const OIDC_OPTIONS = [
  'clientID',
  'clientSecret',
  'clientSecretFile',
  'clientAssertion',
  'scopes',
  'enablePKCE',
  'tlsInsecureSkipVerify',
  'tlsCACertificatePEM',
  'tlsCACertificatePath',
]
const LOOKS = ['name', 'displayName', 'icon', 'color', 'requestTimeout']

/** Options of version 4, by their path in YAML; lists have no index. */
export const V4_FATES: Fates = {
  'server.hostname': {
    kind: 'carried',
    text: 'PUBLIC_URL, where cookies.domain is set; there it has no effect otherwise.',
  },
  'server.domains.domain': {
    kind: 'carried',
    text: 'COOKIE_DOMAIN, and the domain with all hosts below it in PROTECTED_HOSTS where no hosts are known.',
  },
  'server.domains.authHost': { kind: 'carried', text: 'PUBLIC_URL.' },
  'server.port': LISTENER,
  'server.bind': LISTENER,
  'server.basePath': BASE,
  'server.tlsPath': TLS,
  'server.tlsCertPEM': TLS,
  'server.tlsKeyPEM': TLS,
  'server.tlsCAPEM': CLIENT_TLS,
  'server.tlsClientAuth': CLIENT_TLS,
  'server.trustedRequestIdHeader': REQUEST_ID,
  'server.favicon': LOOK,
  'cookies.domain': {
    kind: 'carried',
    text: 'COOKIE_DOMAIN, and the domain with all hosts below it in PROTECTED_HOSTS where no hosts are known.',
  },
  'cookies.namePrefix': COOKIE,
  'cookies.insecure': INSECURE,
  'tokens.sessionLifetime': LIFETIME,
  'tokens.signingKey': KEY,
  'tokens.signingKeyFile': KEY,
  'tokens.sessionTokenAudience': AUDIENCE,
  'logs.level': LEVEL,
  'logs.omitHealthChecks': LOG,
  'logs.json': LOG,
  defaultPortal: {
    kind: 'carried',
    text: 'Middlewares whose address has no /portals/NAME belong to this portal.',
  },
  'portals.name': { kind: 'carried', text: 'Each portal is an installation.' },
  'portals.displayName': LOOK,
  'portals.alwaysShowProvidersPage': LOOK,
  'portals.authenticationTimeout': TIMEOUT,
  'portals.sessionLifetime': LIFETIME,
  'portals.backgroundMedium': LOOK,
  'portals.backgroundLarge': LOOK,
  'portals.headers.name': {
    kind: 'carried',
    text: 'IDENTITY_HEADERS, as far as no other note says otherwise.',
  },
  'portals.headers.claim': {
    kind: 'carried',
    text: 'IDENTITY_HEADERS, as far as no other note says otherwise.',
  },
  'portals.headers.property': { kind: 'carried', text: 'A fixed text in IDENTITY_HEADERS.' },
  'dev.disableClientCache': { kind: 'dropped', text: 'An option for development.' },
  ...ofProviders('portals.providers.$1.$2', {
    github: ['clientID', 'clientSecret', 'clientSecretFile', ...LOOKS],
    google: ['clientID', 'clientSecret', 'clientSecretFile', 'scopes', ...LOOKS],
    microsoftEntraID: ['tenantID', 'azureFederatedIdentity', ...OIDC_OPTIONS.slice(0, 5), ...LOOKS],
    openIDConnect: ['tokenIssuer', ...OIDC_OPTIONS, ...LOOKS],
    pocketID: ['endpoint', ...OIDC_OPTIONS, ...LOOKS],
    tailscaleWhois: ['allowedTailnet', 'capabilityNames', ...LOOKS],
  }),
}

function ofProviders(pattern: string, options: Readonly<Record<string, readonly string[]>>): Fates {
  return Object.fromEntries(
    Object.entries(options).flatMap(([type, names]) =>
      names.map((name) => [
        pattern.replace('$1', type).replace('$2', name),
        PROVIDER_FATES[name] ?? { kind: 'dropped', text: 'See the provider.' },
      ]),
    ),
  )
}
