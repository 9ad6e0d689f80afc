import type { Fate, Fates } from '../traefik/given-values.ts'

const REGISTRATION: Fate = {
  kind: 'dropped',
  text: 'Clients are not registered by themselves: see dynamicClientRegistration.enabled.',
}
const SECURITY_HEADER: Fate = {
  kind: 'differs',
  text: 'Vestibule does not touch the answers of apps: set it in a headers middleware of Traefik on their routers.',
}
const ACCESS_TOKEN: Fate = {
  kind: 'dropped',
  text: 'A session rests on the ID token, whose audience is always the client id; its access token is passed on and not looked at.',
}
const REDIS: Fate = {
  kind: 'carried',
  text: 'The setting of the same name, where Redis is enabled.',
}
const REDIS_TLS: Fate = {
  kind: 'differs',
  text: 'The setting of the same name. It has effect here; versions of the plugin read it and spoke without TLS.',
}
const REDIS_TIMEOUT: Fate = {
  kind: 'differs',
  text: 'The setting of the same name. It has effect here; versions of the plugin had fixed times.',
}
const ALLOWED: Fate = {
  kind: 'carried',
  text: 'The condition of the middleware: users or domains, and besides roles or groups where those are given. Upper and lower case of addresses does not count here.',
}

function all(names: string, prefix: string, fate: Fate): Fates {
  return Object.fromEntries(names.split(' ').map((name) => [`${prefix}${name}`, fate]))
}

/** Fate of each option of the plugin, by its path; lists have no index. */
export const FATES: Fates = {
  providerURL: {
    kind: 'carried',
    text: 'OIDC_ISSUER_URL, which must be the issuer of the metadata to the letter, a final slash included.',
  },
  clientID: { kind: 'carried', text: 'OIDC_CLIENT_ID.' },
  clientSecret: { kind: 'carried', text: 'OIDC_CLIENT_SECRET, in a file.' },
  sessionEncryptionKey: {
    kind: 'dropped',
    text: 'A new key was generated; the sessions of the plugin are its own.',
  },
  callbackURL: {
    kind: 'carried',
    text: 'BASE_PATH, where it ends in /callback; another path has another redirect URI.',
  },
  logoutURL: {
    kind: 'differs',
    text: 'The sign-out is BASE_PATH/logout. It asks before it ends a session, unless a form of your page sends it.',
  },
  postLogoutRedirectURI: {
    kind: 'differs',
    text: 'POST_LOGOUT_REDIRECT_URIS permits an address beside the protected hosts. A sign-out leads there where the link says so: BASE_PATH/logout?rd=ADDRESS.',
  },
  oidcEndSessionURL: { kind: 'carried', text: 'OIDC_END_SESSION_URL.' },
  revocationURL: { kind: 'dropped', text: 'The address is that of the metadata of the provider.' },
  logLevel: { kind: 'carried', text: 'LOG_LEVEL.' },
  audience: {
    kind: 'carried',
    text: 'audience in OIDC_AUTHORIZATION_PARAMS. The access token is not looked at here.',
  },
  ...all('strictAudienceValidation allowOpaqueTokens requireTokenIntrospection', '', ACCESS_TOKEN),
  cookiePrefix: {
    kind: 'dropped',
    text: 'The cookie has a name of its own (COOKIE_NAME), so that both can run side by side.',
  },
  cookieDomain: { kind: 'carried', text: 'COOKIE_DOMAIN.' },
  userIdentifierClaim: {
    kind: 'carried',
    text: 'The claim of allowedUsers and of X-Forwarded-User.',
  },
  groupClaimName: { kind: 'carried', text: 'OIDC_GROUPS_CLAIM.' },
  roleClaimName: {
    kind: 'carried',
    text: 'The claim that allowedRolesAndGroups is compared with beside the groups, and that of X-User-Roles.',
  },
  scopes: {
    kind: 'carried',
    text: 'OIDC_SCOPES, with openid, profile and email unless overrideScopes is true.',
  },
  overrideScopes: { kind: 'carried', text: 'In OIDC_SCOPES.' },
  ...all('allowedRolesAndGroups allowedUserDomains allowedUsers', '', ALLOWED),
  excludedURLs: { kind: 'carried', text: 'Public rules, as far as no other note says otherwise.' },
  ...all('name value', 'headers.', {
    kind: 'carried',
    text: 'IDENTITY_HEADERS, as far as no other note says otherwise.',
  }),
  refreshGracePeriodSeconds: {
    kind: 'differs',
    text: 'Tokens are renewed at three quarters of their life, behind the answer.',
  },
  sessionMaxAge: { kind: 'carried', text: 'SESSION_MAX_AGE.' },
  rateLimit: {
    kind: 'dropped',
    text: 'Sign-ins are bounded by SIGN_IN_CONCURRENCY; for requests use the rateLimit middleware of Traefik.',
  },
  disableReplayDetection: { kind: 'carried', text: 'DISABLE_REPLAY_DETECTION.' },
  enablePKCE: { kind: 'stricter', text: 'PKCE is always used; the provider has to permit it.' },
  forceHTTPS: {
    kind: 'differs',
    text: 'Hosts are https. For a host that browsers reach by http, write http:// before it in protectedHosts and set ALLOW_INSECURE_HTTP.',
  },
  allowPrivateIPAddresses: {
    kind: 'dropped',
    text: 'The provider may have any address; ALLOW_INSECURE_HTTP is needed for http alone.',
  },
  minimalHeaders: {
    kind: 'dropped',
    text: 'The headers of Vestibule are those of docs/headers.md; no token is among them unless a setting says so.',
  },
  stripAuthCookies: { kind: 'carried', text: 'Apps never get the cookies of Vestibule.' },
  enableBackchannelLogout: {
    kind: 'provider',
    text: 'Register the back-channel logout URI of the first app: https://HOST, BASE_PATH and /backchannel-logout.',
  },
  backchannelLogoutURL: { kind: 'differs', text: 'The path is BASE_PATH/backchannel-logout.' },
  enableFrontchannelLogout: {
    kind: 'dropped',
    text: 'Front-channel logout is not supported, because browsers send no cookie in a frame of the provider; use the back channel.',
  },
  frontchannelLogoutURL: { kind: 'dropped', text: 'See enableFrontchannelLogout.' },
  caCertPath: { kind: 'carried', text: 'OIDC_CA_FILE, at the same path.' },
  caCertPEM: {
    kind: 'todo',
    text: 'Write the certificate into a file and name it in OIDC_CA_FILE.',
  },
  insecureSkipVerify: {
    kind: 'stricter',
    text: 'Certificates of the provider are always verified: name its authority in OIDC_CA_FILE.',
  },
  ...all(
    'enabled address db cacheMode poolSize hybridL1Size hybridL1MemoryMB enableCircuitBreaker circuitBreakerThreshold circuitBreakerTimeout enableHealthCheck healthCheckInterval',
    'redis.',
    REDIS,
  ),
  'redis.password': { kind: 'carried', text: 'REDIS_PASSWORD, in a file.' },
  'redis.keyPrefix': {
    kind: 'dropped',
    text: 'REDIS_KEY_PREFIX is another one, so that both can run side by side with one Redis.',
  },
  ...all('enableTLS tlsSkipVerify', 'redis.', REDIS_TLS),
  ...all('connectTimeout readTimeout writeTimeout', 'redis.', REDIS_TIMEOUT),
  ...all(
    'enabled profile customHeaders permissionsPolicy contentSecurityPolicy crossOriginResourcePolicy crossOriginOpenerPolicy crossOriginEmbedderPolicy frameOptions contentTypeOptions xssProtection referrerPolicy corsAllowedHeaders corsAllowedOrigins corsAllowedMethods strictTransportSecurityMaxAge corsMaxAge strictTransportSecurityPreload strictTransportSecuritySubdomains corsEnabled corsAllowCredentials strictTransportSecurity disableServerHeader disablePoweredByHeader',
    'securityHeaders.',
    SECURITY_HEADER,
  ),
  ...all(
    'clientMetadata initialAccessToken registrationEndpoint credentialsFile storageBackend redisKeyPrefix enabled persistCredentials',
    'dynamicClientRegistration.',
    REGISTRATION,
  ),
}

/** Options that have members of any name. */
const OPEN = ['securityHeaders.customHeaders', 'dynamicClientRegistration.clientMetadata']

const NAMES: ReadonlyMap<string, string> = new Map(
  Object.keys(FATES).map((name) => [name.toLowerCase(), name]),
)

/** Returns the name of an option by its path, in any case of letters as Traefik reads it; `undefined` for an unknown one. */
export function optionAt(path: string): string | undefined {
  const open = OPEN.find((each) => path.toLowerCase().startsWith(`${each.toLowerCase()}.`))
  return open ?? NAMES.get(path.toLowerCase())
}
