import type { ProviderUser } from '../../../stand-ins/provider/provider.ts'
import type { MigrationInput } from '../migration.ts'

/** Provider of the test, and a writer of further files. */
export interface Places {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly write: (name: string, text: string) => Promise<string>
}

/** Page with the people whom the old service lets in by its code: `everybody` needs no sign-in. */
export interface OldPage {
  readonly uri?: string
  readonly query?: string
  readonly method?: string
  readonly passes: readonly string[] | 'everybody'
  /** People, or everybody, whom Vestibule refuses on purpose. */
  readonly refused?: readonly string[] | 'everybody'
}

export interface TraefikExample {
  readonly name: string
  readonly service: 'traefik-forward-auth' | 'traefikoidc'
  readonly input: (places: Places) => Promise<MigrationInput>
  readonly host: string
  readonly pages: readonly OldPage[]
  /** Headers that the app gets for ann. */
  readonly headers: Readonly<Record<string, string>>
  /** Options that were given, each of which has a line. */
  readonly options: readonly string[]
}

const verified = { email_verified: true }

/** People of the provider, one for each way of being in or out. */
export const PEOPLE: readonly ProviderUser[] = [
  { sub: 'ann', email: 'ann@example.com', ...verified, groups: ['staff'] },
  { sub: 'bob', email: 'bob@example.com', ...verified, groups: ['admins'] },
  { sub: 'cat', email: 'cat@example.net', ...verified, groups: [] },
  { sub: 'dan', email: 'dan@example.com', email_verified: false, groups: ['staff', 'admins'] },
]

export const SECRETS = ['old-signing-secret-0123456789abcdef']
const [KEY = ''] = SECRETS

export const EXAMPLES: readonly TraefikExample[] = [
  {
    name: 'version 2 with a host for the sign-in, from variables',
    service: 'traefik-forward-auth',
    host: 'auth.example.com',
    input: async ({ issuer, clientId, clientSecret }) => ({
      env: `DEFAULT_PROVIDER=oidc
PROVIDERS_OIDC_ISSUER_URL=${issuer}
PROVIDERS_OIDC_CLIENT_ID=${clientId}
PROVIDERS_OIDC_CLIENT_SECRET="${clientSecret}"
SECRET=${KEY}
AUTH_HOST=auth.example.com
COOKIE_DOMAIN=example.com
COOKIE_NAME=_auth
WHITELIST=ann@example.com,cat@example.net
DOMAIN=example.com
LOGOUT_REDIRECT=https://www.example.com/bye
TZ=Europe/Rome
`,
    }),
    // The whitelist overrides the domain.
    pages: [{ passes: ['ann', 'cat'] }],
    headers: { 'x-forwarded-user': 'ann@example.com' },
    options: [
      'default-provider',
      'providers.oidc.issuer-url',
      'providers.oidc.client-id',
      'providers.oidc.client-secret',
      'secret',
      'auth-host',
      'cookie-domain',
      'cookie-name',
      'whitelist',
      'domain',
      'logout-redirect',
      'TZ',
      'lifetime',
    ],
  },
  {
    name: 'version 2 with rules, from a file and flags',
    service: 'traefik-forward-auth',
    host: 'app.example.com',
    input: async ({ issuer, clientId, clientSecret }) => ({
      config: `; thomseddon/traefik-forward-auth
default-provider = oidc
providers.oidc.issuer-url = ${issuer}
providers.oidc.client-id = ${clientId}
providers.oidc.client-secret = "${clientSecret}"
domain = example.com
log-level = debug
rule.health.action = allow
rule.health.rule = Host(\`app.example.com\`) && Path(\`/healthz\`)
rule.api.action = allow
rule.api.rule = PathPrefix(\`/api/public\`) && Method(\`GET\`)
rule.admin.rule = Host(\`app.example.com\`) && PathPrefix(\`/admin/\`)
rule.admin.whitelist = cat@example.net
rule.eyes.action = allow
rule.eyes.rule = Path(\`/eyes-only\`)
rule.eyes.whitelist = bob@example.com
`,
      flags: [`--secret=${KEY}`, '--lifetime', '3600', '--url-path=_oauth'],
    }),
    pages: [
      { passes: ['ann', 'bob', 'dan'], refused: ['dan'] },
      { uri: '/admin/users', passes: ['cat'] },
      { uri: '/admin/', passes: ['cat'] },
      { uri: '/healthz', passes: 'everybody' },
      { uri: '/healthz2', passes: ['ann', 'bob', 'dan'], refused: ['dan'] },
      { uri: '/api/public/x', passes: 'everybody' },
      { uri: '/api/public/x', method: 'POST', passes: ['ann', 'bob', 'dan'], refused: ['dan'] },
      { uri: '/api/publicity', passes: 'everybody', refused: ['cat', 'dan'] },
      // Its action makes the list of this rule have no effect there.
      { uri: '/eyes-only', passes: 'everybody', refused: ['ann', 'cat', 'dan'] },
    ],
    headers: { 'x-forwarded-user': 'ann@example.com' },
    options: ['log-level', 'secret', 'lifetime', 'url-path', 'rule.health', 'rule.admin', 'rule'],
  },
  {
    name: 'version 3 with several lists, from variables',
    service: 'traefik-forward-auth',
    host: 'auth.example.com',
    input: async ({ issuer, clientId, clientSecret }) => ({
      env: `TFA_HOSTNAME=auth.example.com
TFA_COOKIEDOMAIN=example.com
TFA_AUTHPROVIDER=openidconnect
TFA_AUTHOPENIDCONNECT_CLIENTID=${clientId}
TFA_AUTHOPENIDCONNECT_CLIENTSECRET="${clientSecret}"
TFA_AUTHOPENIDCONNECT_TOKENISSUER=${issuer}
TFA_AUTHOPENIDCONNECT_ALLOWEDEMAILS=ann@example.com,cat@example.net
TFA_AUTHOPENIDCONNECT_ALLOWEDUSERS=ann,bob
TFA_TOKENSIGNINGKEY=${KEY}
TFA_SESSIONLIFETIME=1h30m
`,
    }),
    // Every list that is given has to name the person.
    pages: [{ passes: ['ann'] }],
    headers: { 'x-forwarded-user': 'ann' },
    options: [
      'hostname',
      'cookieDomain',
      'authProvider',
      'authOpenIDConnect_clientID',
      'authOpenIDConnect_clientSecret',
      'authOpenIDConnect_allowedEmails',
      'authOpenIDConnect_allowedUsers',
      'tokenSigningKey',
      'sessionLifetime',
    ],
  },
  {
    name: 'version 4 with conditions in the addresses of the middlewares',
    service: 'traefik-forward-auth',
    host: 'auth.example.com',
    input: async ({ issuer, clientId, clientSecret, write }) => ({
      config: `server:
  domains: [{ domain: example.com, authHost: auth.example.com }]
tokens: { signingKey: ${KEY}, sessionLifetime: 8h }
portals:
  - name: main
    displayName: Sign in
    headers:
      - { name: X-Forwarded-User, claim: email }
      - { name: X-Portal, property: portal.name }
    providers:
      - openIDConnect:
          clientID: ${clientId}
          clientSecret: '${clientSecret}'
          tokenIssuer: ${issuer}
          scopes: openid profile email groups
          enablePKCE: true
`,
      flags: [
        await write(
          'traefik.yaml',
          `http:
  middlewares:
    users: { forwardauth: { address: 'http://tfa:4181/portals/main' } }
    admins:
      forwardAuth:
        address: 'http://tfa:4181/portals/main?if=Group%28%22admins%22%29+%26%26+%21Eq%28%22id%22%2C%22dan%22%29'
  routers:
    app: { rule: 'Host(\`app.example.com\`)', middlewares: [users], service: app }
    admin: { rule: 'Host(\`admin.example.com\`)', middlewares: ['admins@file'], service: app }
`,
        ),
      ],
    }),
    pages: [{ passes: ['ann', 'bob', 'cat', 'dan'] }, { query: '?policy=admins', passes: ['bob'] }],
    headers: { 'x-forwarded-user': 'ann@example.com', 'x-portal': 'main' },
    options: [
      'server.domains.domain',
      'server.domains.authHost',
      'tokens.signingKey',
      'tokens.sessionLifetime',
      'portals.displayName',
      'portals.headers.claim',
      'portals.providers.openIDConnect.enablePKCE',
      'users',
      'admins?if=',
    ],
  },
  {
    name: 'the plugin with one middleware, from the file provider',
    service: 'traefikoidc',
    host: 'app.example.com',
    input: async ({ issuer, clientId, clientSecret }) => ({
      config: `http:
  middlewares:
    oidc:
      plugin:
        traefikoidc:
          providerURL: ${issuer}
          clientID: ${clientId}
          clientSecret: '${clientSecret}'
          sessionEncryptionKey: ${KEY}
          callbackURL: /oauth2/callback
          logoutURL: /oauth2/logout
          scopes: [groups]
          allowedUserDomains: [example.com]
          allowedRolesAndGroups: [staff, admins]
          excludedURLs: [/health, /assets/]
          rateLimit: 100
          forceHTTPS: true
          headers:
            - { name: X-User-Email, value: '{{.Claims.email}}' }
            - { name: X-Role, value: 'user-{{.Claims.sub}}' }
            - { name: Authorization, value: 'Bearer {{.AccessToken}}' }
  routers:
    app: { rule: 'Host(\`app.example.com\`)', middlewares: [oidc], service: app }
`,
    }),
    pages: [
      { passes: ['ann', 'bob', 'dan'], refused: ['dan'] },
      { uri: '/health', passes: 'everybody' },
      { uri: '/health/live', passes: 'everybody' },
      { uri: '/healthy', passes: 'everybody', refused: ['cat', 'dan'] },
      { uri: '/assets/a.css', passes: 'everybody' },
      { uri: '/assets', passes: ['ann', 'bob', 'dan'], refused: ['dan'] },
    ],
    headers: {
      'x-forwarded-user': 'ann@example.com',
      'x-user-groups': 'staff',
      'x-user-email': 'ann@example.com',
      'x-role': 'user-ann',
      authorization: 'Bearer ',
    },
    options: [
      'providerURL',
      'clientID',
      'clientSecret',
      'sessionEncryptionKey',
      'callbackURL',
      'logoutURL',
      'scopes',
      'allowedUserDomains',
      'allowedRolesAndGroups',
      'excludedURLs',
      'rateLimit',
      'forceHTTPS',
      'headers.name',
      'Accept: text/event-stream',
    ],
  },
  {
    name: 'the plugin with two middlewares, from Kubernetes',
    service: 'traefikoidc',
    host: 'app.example.com',
    input: async ({ issuer, clientId, clientSecret }) => ({
      config: [
        middleware('oidc-users', issuer, clientId, clientSecret, 'cookiePrefix: _u_'),
        middleware(
          'oidc-admins',
          issuer,
          clientId,
          clientSecret,
          'allowedUsers: [ANN@example.com, dan@example.com]',
        ),
        `apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: { name: app }
spec:
  routes:
    - { match: 'Host(\`app.example.com\`)', kind: Rule, middlewares: [{ name: oidc-users }] }
    - { match: 'Host(\`app.example.com\`) && PathPrefix(\`/admin\`)', kind: Rule, middlewares: [{ name: oidc-admins }] }
`,
      ].join('---\n'),
    }),
    pages: [
      { passes: ['ann', 'bob', 'cat', 'dan'] },
      { query: '?policy=oidc-admins', passes: ['ann', 'dan'], refused: ['dan'] },
    ],
    headers: { 'x-forwarded-user': 'ann@example.com' },
    options: ['cookiePrefix', 'allowedUsers', 'oidc-users', 'oidc-admins'],
  },
]

function middleware(...[name, issuer, clientId, secret, more]: readonly string[]): string {
  return `apiVersion: traefik.io/v1alpha1
kind: Middleware
metadata: { name: ${name} }
spec:
  plugin:
    traefikoidc:
      providerURL: ${issuer}
      clientID: ${clientId}
      clientSecret: '${secret}'
      sessionEncryptionKey: ${KEY}
      callbackURL: /oauth2/callback
      ${more}
`
}
