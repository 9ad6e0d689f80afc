import type { Draft } from '../draft.ts'
import { flagOf, listOf, secondsOf, textOf } from '../traefik/given-values.ts'
import { secretHeld } from '../traefik/kept-elsewhere.ts'
import { placeSites } from '../traefik/sites.ts'
import type { PluginMiddleware } from './plugin-middleware.ts'
import { groupClaim } from './who-may-enter.ts'

/** Sets provider, client, addresses and session for the middlewares of one client. */
export function placeClient(
  draft: Draft,
  middlewares: readonly PluginMiddleware[],
  basePath: string,
): void {
  const [first] = middlewares
  if (!first) return
  const read = (option: string) => textOf(first.options.get(option))
  draft.set('OIDC_ISSUER_URL', read('providerURL') ?? '')
  draft.set('OIDC_CLIENT_ID', read('clientID') ?? '')
  placeSecret(draft, read('clientSecret'))
  draft.set('OIDC_SCOPES', scopesOf(middlewares).join(' '))
  placeParams(draft, read)
  draft.set('SESSION_MAX_AGE', Math.min(...middlewares.map(sessionSeconds)))
  draft.set('BASE_PATH', basePath)
  for (const [option, setting] of ONE_TO_ONE) {
    const value = read(option)
    if (value !== undefined) draft.set(setting, value)
  }
  if (flagOf(read('disableReplayDetection') ?? '') === true)
    draft.set('DISABLE_REPLAY_DETECTION', true)
  if (read('groupClaimName') !== undefined)
    draft.set('OIDC_GROUPS_CLAIM', groupClaim(first.options))
  placePages(draft, middlewares)
  placeHosts(draft, middlewares)
}

const ONE_TO_ONE = [
  ['logLevel', 'LOG_LEVEL'],
  ['oidcEndSessionURL', 'OIDC_END_SESSION_URL'],
  ['caCertPath', 'OIDC_CA_FILE'],
] as const

/** The plugin has 24 hours where no age, or none above zero, is given. */
function sessionSeconds({ options }: PluginMiddleware): number {
  return secondsOf(options.get('sessionMaxAge') ?? 0) || 86_400
}

function scopesOf(middlewares: readonly PluginMiddleware[]): readonly string[] {
  const all = middlewares.flatMap(({ options }) => [
    ...(flagOf(options.get('overrideScopes') ?? '') === true ? [] : ['openid', 'profile', 'email']),
    ...listOf(options.get('scopes')),
  ])
  return [...new Set(all)]
}

function placeSecret(draft: Draft, secret: string | undefined): void {
  const held = secretHeld(secret ?? '')
  draft.keepSecret('OIDC_CLIENT_SECRET', held)
  if (held === undefined) {
    draft.note(
      'todo',
      'clientSecret',
      'Is not given or kept elsewhere: write it into secrets/oidc-client-secret, or mount the Secret and name its file in OIDC_CLIENT_SECRET_FILE.',
    )
  }
}

function placeParams(draft: Draft, read: (option: string) => string | undefined): void {
  const audience = read('audience')
  const isGoogle = /accounts\.google\.com/.test(read('providerURL') ?? '')
  const params = [
    ...(audience !== undefined && audience !== read('clientID')
      ? [`audience=${encodeURIComponent(audience)}`]
      : []),
    ...(isGoogle ? ['access_type=offline', 'prompt=consent'] : []),
  ]
  if (params.length > 0) draft.set('OIDC_AUTHORIZATION_PARAMS', params)
  if (isGoogle)
    draft.note(
      'carried',
      'providerURL',
      'For Google access_type=offline and prompt=consent are in OIDC_AUTHORIZATION_PARAMS, as the plugin sends them.',
    )
}

function placePages(draft: Draft, middlewares: readonly PluginMiddleware[]): void {
  const pages = middlewares
    .map(({ options }) => textOf(options.get('postLogoutRedirectURI')) ?? '/')
    .filter((page) => URL.canParse(page))
  if (pages.length > 0) draft.set('POST_LOGOUT_REDIRECT_URIS', [...new Set(pages)])
}

function placeHosts(draft: Draft, middlewares: readonly PluginMiddleware[]): void {
  const [first] = middlewares
  const domain = textOf(first?.options.get('cookieDomain'))?.replace(/^\./, '').toLowerCase()
  const found = [...new Set(middlewares.flatMap(({ hosts }) => hosts))]
  const hosts = found.length > 0 || domain === undefined ? found : [domain, `*.${domain}`]
  placeSites(
    draft,
    {
      name: '',
      domain: domain === undefined ? undefined : { domain, authHost: undefined },
      hosts,
      scheme: 'https',
    },
    textOf(first?.options.get('callbackURL')) ?? '/oauth2/callback',
  )
}
