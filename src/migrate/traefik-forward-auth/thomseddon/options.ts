import type { Fates } from '../../traefik/given-values.ts'

/** Options that may be given several times; each further value is added. */
export const LISTS: ReadonlySet<string> = new Set([
  'cookie-domain',
  'domain',
  'whitelist',
  'providers.generic-oauth.scope',
])

/** Options that need no value on the command line. */
export const SWITCHES: ReadonlySet<string> = new Set([
  'insecure-cookie',
  'match-whitelist-or-domain',
])

const NOT_OPENID =
  'Vestibule needs OpenID Connect, which this provider is not: let a service such as Dex or Keycloak stand between, and set OIDC_ISSUER_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET of that service'

/** Fate of each option of traefik-forward-auth 2; what depends on its value has notes of its own beside. */
export const FATES = {
  'log-level': { kind: 'carried', text: 'LOG_LEVEL; fatal and panic are error here.' },
  'log-format': { kind: 'dropped', text: 'The log has one JSON object a line.' },
  'auth-host': {
    kind: 'carried',
    text: 'PUBLIC_URL, for the hosts below the cookie domain that it shares with them.',
  },
  config: { kind: 'carried', text: 'The file was read.' },
  'cookie-domain': {
    kind: 'carried',
    text: 'COOKIE_DOMAIN, and the domain with all hosts below it in PROTECTED_HOSTS where no hosts are known.',
  },
  'cookie-domains': { kind: 'carried', text: 'The same as cookie-domain.' },
  'insecure-cookie': {
    kind: 'differs',
    text: 'True makes ALLOW_INSECURE_HTTP and http:// at each host. Where browsers reach Traefik by https, remove both: there such a service worked on http and https alike.',
  },
  'cookie-name': {
    kind: 'dropped',
    text: 'The cookie has a name of its own (COOKIE_NAME), so that both services can run side by side.',
  },
  'csrf-cookie-name': {
    kind: 'dropped',
    text: 'The cookies of a sign-in have names of their own.',
  },
  'default-action': {
    kind: 'carried',
    text: 'The last rule: signed-in for auth, public for allow.',
  },
  'default-provider': { kind: 'carried', text: 'The provider of the installation.' },
  domain: {
    kind: 'carried',
    text: 'emailDomains of the rules, unless there is a whitelist and match-whitelist-or-domain is not set: there the domains have no effect, and have none here.',
  },
  lifetime: { kind: 'carried', text: 'SESSION_MAX_AGE, in seconds.' },
  'logout-redirect': {
    kind: 'differs',
    text: 'POST_LOGOUT_REDIRECT_URIS permits the page. A sign-out leads there where the link says so: /oauth2/logout?rd=ADDRESS. It ends the session at the provider as well.',
  },
  'match-whitelist-or-domain': {
    kind: 'carried',
    text: 'True makes emails and emailDomains alternatives; otherwise a whitelist alone counts.',
  },
  'url-path': {
    kind: 'differs',
    text: 'The paths of the sign-in are below BASE_PATH, /oauth2 by default: another redirect URI, and /oauth2/logout in place of the path with /logout.',
  },
  secret: {
    kind: 'dropped',
    text: 'A new key was generated. Sessions are not in a signed cookie here but in memory or Redis: set REDIS_ENABLED and REDIS_ADDRESS so that a restart keeps them, and where several replicas run.',
  },
  'cookie-secret': { kind: 'dropped', text: 'The same as secret.' },
  'cookie-secure': { kind: 'differs', text: 'False is insecure-cookie.' },
  whitelist: {
    kind: 'carried',
    text: 'emails of the rules.',
  },
  port: {
    kind: 'dropped',
    text: 'There are two listeners: INTERNAL_PORT (4181) answers Traefik, PORT (4180) serves the pages.',
  },
  'providers.google.client-id': { kind: 'carried', text: 'OIDC_CLIENT_ID.' },
  'providers.google.client-secret': { kind: 'carried', text: 'OIDC_CLIENT_SECRET, in a file.' },
  'providers.google.prompt': { kind: 'carried', text: 'prompt in OIDC_AUTHORIZATION_PARAMS.' },
  'client-id': { kind: 'carried', text: 'The same as providers.google.client-id.' },
  'client-secret': { kind: 'carried', text: 'The same as providers.google.client-secret.' },
  prompt: { kind: 'carried', text: 'The same as providers.google.prompt.' },
  'providers.oidc.issuer-url': { kind: 'carried', text: 'OIDC_ISSUER_URL.' },
  'providers.oidc.client-id': { kind: 'carried', text: 'OIDC_CLIENT_ID.' },
  'providers.oidc.client-secret': { kind: 'carried', text: 'OIDC_CLIENT_SECRET, in a file.' },
  'providers.oidc.resource': { kind: 'carried', text: 'resource in OIDC_AUTHORIZATION_PARAMS.' },
  'providers.generic-oauth.auth-url': { kind: 'dropped', text: `${NOT_OPENID}.` },
  'providers.generic-oauth.token-url': { kind: 'dropped', text: 'See the auth-url.' },
  'providers.generic-oauth.user-url': { kind: 'dropped', text: 'See the auth-url.' },
  'providers.generic-oauth.client-id': { kind: 'dropped', text: 'See the auth-url.' },
  'providers.generic-oauth.client-secret': { kind: 'dropped', text: 'See the auth-url.' },
  'providers.generic-oauth.scope': { kind: 'dropped', text: 'See the auth-url.' },
  'providers.generic-oauth.token-style': { kind: 'dropped', text: 'See the auth-url.' },
  'providers.generic-oauth.resource': { kind: 'dropped', text: 'See the auth-url.' },
} as const satisfies Fates
