import type { MigrationInput } from '../migration.ts'

/** Provider and Redis of the test, which stand where the operator's are. */
export interface Places {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly redisPort: number
  readonly redisPassword: string
  /** File with an address a line. */
  readonly emails: string
  readonly authHost: string
}

/** Configuration as people publish it, written for this project, with what it means. */
export interface MigrationExample {
  readonly name: string
  readonly input: (places: Places) => MigrationInput
  /** People who pass. `stricter` names those whom oauth2-proxy alone lets in, `wider` those whom Vestibule alone does. */
  readonly passes: readonly string[]
  readonly stricter?: readonly string[]
  readonly wider?: readonly string[]
  readonly isOnRedis?: boolean
  readonly openPath?: string
  /** Headers that the app gets for ann. */
  readonly headers: Readonly<Record<string, string>>
  /** Lines that the page must have. */
  readonly notes: readonly RegExp[]
}

const verified = { email_verified: true }

/** People of the provider, one for each way of being in or out. */
export const PEOPLE = [
  {
    sub: 'ann',
    email: 'ann@example.com',
    ...verified,
    groups: ['staff'],
    preferred_username: 'ann',
  },
  { sub: 'bea', email: 'bea@example.com', ...verified, groups: ['guests'] },
  { sub: 'cat', email: 'cat@sub.example.com', ...verified, groups: ['staff'] },
  { sub: 'dan', email: 'dan@example.org', ...verified, groups: ['staff', '/ops'] },
  { sub: 'eve', email: 'eve@example.com', email_verified: false, groups: ['staff'] },
  { sub: 'fay', email: 'fay@example.com', groups: ['staff'] },
  { sub: 'gus', groups: ['staff'] },
  { sub: 'hal', email: 'HAL@Example.com', ...verified, groups: ['Staff'] },
  { sub: 'ivy', email: 'ivy@example.net', ...verified, groups: ['/ops'] },
] as const

const COOKIE_SECRET = 'c00kie-Secret-of-32-characters-x'

export const SECRETS = [COOKIE_SECRET, 'basic-Passw0rd', 'signature-K3y'] as const

export const EXAMPLES: readonly MigrationExample[] = [
  {
    name: 'a compose file with everything on the command line, before one app',
    input: ({ issuer, clientId, clientSecret }) => ({
      flags: [
        '--provider=oidc',
        '--provider-display-name=Sign in with ACME',
        `--oidc-issuer-url=${issuer}`,
        `--client-id=${clientId}`,
        '--client-secret',
        clientSecret,
        `--cookie-secret=${COOKIE_SECRET}`,
        '--redirect-url=https://app.example.com/oauth2/callback',
        '--email-domain=example.com',
        '--allowed-group=staff',
        '--allowed-group=admins',
        '--scope=openid profile email groups',
        '--code-challenge-method=S256',
        '--http-address=0.0.0.0:4180',
        '--upstream=static://202',
        '--set-xauthrequest',
        '--pass-access-token=false',
        '--reverse-proxy',
        '--skip-provider-button',
        '--skip-auth-route=GET=^/health$,^/public(/|$)',
        '--cookie-refresh=5m',
      ],
    }),
    passes: ['ann'],
    stricter: ['fay'],
    openPath: '/public/logo.svg',
    headers: { 'x-auth-request-user': 'ann', 'x-auth-request-groups': 'staff' },
    notes: [
      /## Stricter[^#]*`--insecure-oidc-allow-unverified-email`: was not given/,
      /## Stricter[^#]*`--skip-auth-route`: `GET` is the method of the visitor/,
      /## Not carried over[^#]*`--cookie-secret`/,
      /## Carried over[^#]*`--allowed-group`: .* both needed/,
      /## Carried over[^#]*`\^\/public\(\/\|\$\)` is `\/public\/\*\*`/,
    ],
  },
  {
    name: 'a file with Redis, for all hosts of a domain, with a list of addresses',
    isOnRedis: true,
    input: ({ issuer, clientId, clientSecret, redisPort, redisPassword, emails, authHost }) => ({
      config: `
# oauth2-proxy.cfg
provider = "keycloak-oidc"
oidc_issuer_url = "${issuer}"
client_id = "${clientId}"
client_secret = "${clientSecret}"
code_challenge_method = "S256"
scope = "openid profile email groups"
redirect_url = "https://${authHost}/oauth2/callback"
cookie_domains = [".example.com"]
whitelist_domains = [".example.com"]
cookie_secret = "${COOKIE_SECRET}"
cookie_expire = "12h"
email_domains = "example.com"
authenticated_emails_file = "${emails}"
allowed_groups = ["/ops", "staff"]
session_store_type = "redis"
redis_connection_url = "redis://:${redisPassword}@127.0.0.1:${redisPort}"
reverse_proxy = true
set_xauthrequest = true
basic_auth_password = "${SECRETS[1]}"
signature_key = "sha256:${SECRETS[2]}"
upstreams = ["static://202"]
http_address = "127.0.0.1:4180"
`,
    }),
    passes: ['ann', 'dan'],
    stricter: ['fay'],
    headers: { 'x-auth-request-email': 'ann@example.com' },
    notes: [
      /## Different[^#]*`cookie_domains`: .*every host below `example\.com`/,
      /## Carried over[^#]*`cookie_expire`: is `SESSION_MAX_AGE=43200`/,
      /## Not carried over[^#]*`signature_key`/,
    ],
  },
  {
    name: 'variables for Entra ID, whose tokens have no email_verified',
    input: ({ issuer, clientId, clientSecret }) => ({
      env: [
        'OAUTH2_PROXY_PROVIDER=entra-id',
        `OAUTH2_PROXY_OIDC_ISSUER_URL=${issuer}`,
        `OAUTH2_PROXY_CLIENT_ID=${clientId}`,
        `OAUTH2_PROXY_CLIENT_SECRET="${clientSecret}"`,
        'OAUTH2_PROXY_CODE_CHALLENGE_METHOD=S256',
        'OAUTH2_PROXY_SCOPE=openid profile email groups',
        'OAUTH2_PROXY_REDIRECT_URL=https://app.example.com/oauth2/callback',
        `OAUTH2_PROXY_COOKIE_SECRET=${COOKIE_SECRET}`,
        'OAUTH2_PROXY_EMAIL_DOMAINS=*',
        'OAUTH2_PROXY_EMAIL_DOMAIN=example.com',
        'OAUTH2_PROXY_ALLOWED_GROUPS=staff',
        'OAUTH2_PROXY_REVERSE_PROXY=true',
        'OAUTH2_PROXY_UPSTREAMS=http://127.0.0.1:9/',
        'OAUTH2_PROXY_PASS_ACCESS_TOKEN=true',
        'OAUTH2_PROXY_SKIP_PROVIDER_BUTTON=true',
        'PATH=/usr/bin',
      ].join('\n'),
    }),
    passes: ['ann', 'cat', 'dan', 'fay'],
    wider: ['eve'],
    headers: { 'x-forwarded-user': 'ann', 'x-forwarded-email': 'ann@example.com' },
    notes: [
      /## Wider[^#]*`--insecure-oidc-allow-unverified-email`/,
      /## Not carried over[^#]*`OAUTH2_PROXY_EMAIL_DOMAIN`: .*OAUTH2_PROXY_EMAIL_DOMAINS may be meant/,
      /## Different[^#]*`OAUTH2_PROXY_UPSTREAMS`: .*traefik\/apps\.yaml/,
      /## To do at the provider[^#]*object ids/,
    ],
  },
  {
    name: 'an alpha configuration with injected headers and a variable for the secret',
    input: ({ issuer, clientId, clientSecret }) => ({
      alpha: `
upstreamConfig:
  upstreams:
    - { id: auth, path: /, static: true, staticCode: 202 }
injectResponseHeaders:
  - name: X-Auth-Request-User
    values: [{ claimSource: { claim: user } }]
  - name: Remote-Email
    values: [{ claimSource: { claim: email } }]
  - name: X-Team
    values: [{ claimSource: { claim: groups, prefix: 'team-' } }]
server: { bindAddress: '0.0.0.0:4180' }
providers:
  - id: acme
    provider: oidc
    clientID: ${clientId}
    clientSecret: '\${SECRET_OF_CLIENT}'
    code_challenge_method: S256
    scope: openid profile email groups
    allowedGroups: [staff]
    loginURLParameters:
      - { name: prompt, default: [login] }
    oidcConfig:
      issuerURL: ${issuer}
      insecureAllowUnverifiedEmail: true
`,
      env: `SECRET_OF_CLIENT="${clientSecret}"\nOAUTH2_PROXY_COOKIE_SECRET=${COOKIE_SECRET}`,
      flags: [
        '--email-domain=example.com,example.org',
        '--redirect-url=https://app.example.com/oauth2/callback',
        '--reverse-proxy=true',
        '--skip-provider-button=true',
      ],
    }),
    passes: ['ann', 'dan', 'eve', 'fay'],
    headers: { 'remote-email': 'ann@example.com', 'x-team': 'team-staff' },
    notes: [
      /## Carried over[^#]*`injectResponseHeaders\.Remote-Email`: `Remote-Email` is in/,
      /## Carried over[^#]*`providers\[0\]\.clientSecret`: .*file of its own/,
      /## Carried over[^#]*`providers\[0\]\.loginURLParameters\.prompt`|## Carried over[^#]*prompt/,
    ],
  },
  {
    name: 'any address of a provider that says which are verified, without groups',
    input: ({ issuer, clientId, clientSecret }) => ({
      flags: [
        '--provider=oidc',
        `--oidc-issuer-url=${issuer}`,
        `--client-id=${clientId}`,
        `--client-secret=${clientSecret}`,
        `--cookie-secret=${COOKIE_SECRET}`,
        '--redirect-url=https://app.example.com/oauth2/callback',
        '--email-domain=*',
        '--scope=openid profile email groups',
        '--code-challenge-method=S256',
        '--reverse-proxy=true',
        '--upstream=static://202',
        '--http-address=127.0.0.1:4180',
        '--skip-provider-button=true',
        '--set-authorization-header=true',
      ],
    }),
    passes: ['ann', 'bea', 'cat', 'dan', 'hal', 'ivy'],
    stricter: ['fay'],
    headers: { authorization: 'Bearer ' },
    notes: [/## Carried over[^#]*`--email-domain`: `\*` lets everybody with an address in/],
  },
]
