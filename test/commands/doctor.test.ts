import type { IncomingHttpHeaders } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { useFolder } from '../support/configuration.ts'
import {
  checkOf,
  type Gateway,
  type Installation,
  issueFor,
  publicUrl,
  routesOf,
  runDoctor,
  startGateway,
  startInstallation,
  writePem,
} from '../support/doctor-installation.ts'
import { startMeddler } from '../support/meddler.ts'
import { prepared } from '../support/prepared.ts'
import { faults } from '../support/provider.ts'

const started = prepared(startInstallation)
const { pathOf, write } = useFolder()

/** Fault of one examination, and how the command is called. */
interface Planted {
  readonly gateway?: Gateway
  readonly changes?: Readonly<Record<string, string | undefined>>
  readonly args?: readonly string[]
}

type Plant = (installation: Installation, stack: AsyncDisposableStack) => Planted | Promise<Planted>

/** Faults by the codes that are found for each, what follows from it included, and by what a remedy names. */
type Table = Readonly<Record<`${string}: ${string}`, Plant>>

const byTls =
  (plant: Plant): Plant =>
  async (installation, stack) => {
    const { gateway, changes, args } = await plant(installation, stack)
    const ca = await writePem(pathOf('ca.crt'), installation.authority)
    return {
      gateway: { tls: installation.certificate, ...gateway },
      changes: { PROTECTED_HOSTS: installation.secure, ...changes },
      args: args ?? ['--ca', ca],
    }
  }

const trusting = async (certificate: { readonly certificate: string }) => ({
  args: ['--ca', await writePem(pathOf('own.crt'), certificate)],
})

const atCheck =
  (changes: Parameters<typeof checkOf>[1]): Plant =>
  (installation) => ({
    gateway: {
      routes: routesOf(installation, {
        app: { forwardAuth: checkOf(installation.vestibule, changes) },
      }),
    },
  })

const atSignIn =
  (changes: (installation: Installation) => object): Plant =>
  (installation) => ({
    gateway: { routes: routesOf(installation, { signIn: changes(installation) }) },
  })

/** Puts a proxy between Traefik and one of the listeners. */
const between =
  (listener: 'check' | 'pages', meddling: Parameters<typeof startMeddler>[1]): Plant =>
  async (installation, stack) => {
    const { vestibule } = installation
    const target =
      listener === 'check' ? `http://127.0.0.1:${vestibule.internalPort}` : publicUrl(vestibule)
    const { port } = stack.use(await startMeddler(target, meddling))
    const routes =
      listener === 'check'
        ? routesOf(installation, { app: { forwardAuth: checkOf({ internalPort: port }) } })
        : routesOf(installation, { signIn: { backend: `http://127.0.0.1:${port}` } })
    return { gateway: { routes } }
  }

/** Examines a service of its own. */
const ofService =
  (settings: Readonly<Record<string, string>>, planted: Planted = {}): Plant =>
  async (installation, stack) => {
    const vestibule = stack.use(await installation.start(settings))
    return {
      ...planted,
      gateway: { routes: routesOf({ app: installation.app, vestibule }), ...planted.gateway },
      changes: { INTERNAL_PORT: `${vestibule.internalPort}`, ...planted.changes },
    }
  }

const atProvider =
  (...given: Parameters<Installation['provider']['set']>): Plant =>
  ({ provider }) => {
    provider.set(...given)
    return {}
  }

const inMetadata = (changes: object): Plant =>
  atProvider('discovery', { rewrite: (metadata) => ({ ...metadata, ...changes }) })

/** Returns how a proxy passes on all headers but one. */
const without = (name: string) => (headers: IncomingHttpHeaders) =>
  Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name))

const json = { 'Content-Type': 'application/json' }

/** Carries the forwarded headers of the client past the stand-in, which trusts none. */
const trustingForwarded: Plant = async (installation, stack) => {
  const renamed = (from: string, to: string) => (headers: IncomingHttpHeaders) => {
    const entries = Object.entries(headers).filter(([name]) => name.startsWith(from))
    const copies = entries.map(([name, value]) => [name.replace(from, to), value])
    return { ...headers, ...(Object.fromEntries(copies) as IncomingHttpHeaders) }
  }
  const { vestibule, ports } = installation
  const before = { request: renamed('x-forwarded-', 'x-saved-') }
  const behind = { request: renamed('x-saved-', 'x-forwarded-') }
  const check = stack.use(await startMeddler(`http://127.0.0.1:${vestibule.internalPort}`, behind))
  const { port } = stack.use(await startMeddler(`http://127.0.0.1:${ports.plain}`, before))
  const routes = routesOf(installation, {
    app: { forwardAuth: checkOf({ internalPort: check.port }) },
  })
  return { gateway: { routes }, args: ['--connect', `127.0.0.1:${port}`] }
}

const HOSTS: Table = {
  'dns: PROTECTED_HOSTS': async ({ provider }) => {
    await provider.allowOrigin('https://app.invalid')
    return { changes: { PROTECTED_HOSTS: 'app.invalid' } }
  },
  'host_unreachable: --connect': ({ ports, plain }) => ({
    changes: { PROTECTED_HOSTS: plain },
    args: ['--connect', `127.0.0.1:${ports.unused}`],
  }),
  'tls_untrusted: certResolver': byTls(() => ({ args: [] })),
  'tls_name: tls.domains': byTls(async ({ authority }) => ({
    gateway: { tls: await authority.issue(['other.localhost']) },
  })),
  'tls_expired: certResolver': byTls(async () => {
    const tls = await issueFor('safe.localhost', -9, -1)
    return { gateway: { tls }, ...(await trusting(tls)) }
  }),
  'tls_expiring: certResolver': byTls(async () => {
    const tls = await issueFor('safe.localhost', -80, 9)
    return { gateway: { tls }, ...(await trusting(tls)) }
  }),
  'plain_http: http.tls': async ({ provider, ports }) => {
    await provider.allowOrigin(`https://app.localhost:${ports.plain}`)
    return { changes: { PROTECTED_HOSTS: `app.localhost:${ports.plain}` } }
  },
  'https_unexpected: speaks TLS': async ({ provider, ports, certificate }) => {
    await provider.allowOrigin(`http://safe.localhost:${ports.secure}`)
    return {
      gateway: { tls: certificate },
      changes: { PROTECTED_HOSTS: `http://safe.localhost:${ports.secure}` },
    }
  },
  'https_unexpected: PROTECTED_HOSTS': async ({ plain, ports }, stack) => {
    const to = plain.replace('http:', 'https:')
    const { port } = stack.use(
      await startMeddler(`http://127.0.0.1:${ports.plain}`, {
        response: () => ({ location: to }),
      }),
    )
    return { args: ['--connect', `127.0.0.1:${port}`] }
  },
  'base_path_missing app_router_missing: render traefik': () => ({ gateway: { routes: [] } }),
  'app_router_missing: protected': (installation) => ({
    gateway: { routes: routesOf(installation).slice(1) },
  }),
  'base_path_guarded: priority 100000': atSignIn(({ vestibule }) => ({
    forwardAuth: checkOf(vestibule),
  })),
  'base_path_guarded: without the middleware': (installation) => ({
    gateway: { routes: routesOf(installation).slice(0, 1) },
  }),
  'base_path_stripped: stripPrefix': between('pages', {
    path: (path) => path.replace('/oauth2', ''),
  }),
  'base_path_elsewhere: PORT': atSignIn(({ app }) => ({ backend: app.url })),
  'base_path_down: PORT': atSignIn(({ ports }) => ({
    backend: `http://127.0.0.1:${ports.unused}`,
  })),
  'host_unknown: PROTECTED_HOSTS': async ({ provider, ports }) => {
    await provider.allowOrigin(`http://other.localhost:${ports.plain}`)
    return { changes: { PROTECTED_HOSTS: `http://other.localhost:${ports.plain}` } }
  },
  'other_settings redirect_uri: PUBLIC_URL': ofService({}, { changes: { BASE_PATH: '/sign-in' } }),
  'app_unguarded: middlewares: [protected]': ({ app, vestibule }) => ({
    gateway: {
      routes: routesOf({ app, vestibule }, { app: { forwardAuth: undefined } }),
    },
  }),
  'check_unreachable: forwardAuth.address': (installation, stack) =>
    atCheck({ address: `http://127.0.0.1:${installation.ports.unused}/auth` })(installation, stack),
  'check_refused: refused': (installation, stack) =>
    atCheck({
      address: `http://127.0.0.1:${installation.vestibule.internalPort}/auth?policy=none`,
    })(installation, stack),
  'answer_replaced: maxResponseBodySize': atCheck({ maxResponseBodySize: 10 }),
  'answer_replaced: authSigninURL': (installation, stack) =>
    atCheck({ authSigninURL: `${installation.plain}/oauth2/login` })(installation, stack),
  'forwarded_proto: trustedIPs': () => ({ gateway: { scheme: 'https' } }),
  'untrusted_proxy: TRUSTED_PROXIES': ofService({ TRUSTED_PROXIES: '192.0.2.0/24' }),
  'headers_hidden: authRequestHeaders': between('check', {
    request: (headers) => {
      const kept = Object.entries(headers).filter(([name]) => /^(?:host|cookie|x-)/.test(name))
      return Object.fromEntries(kept)
    },
  }),
  'headers_hidden: every header': between('check', { request: without('cookie') }),
  'alias_headers: aliasHeadersStrategy': () => ({ gateway: { underscoreHeadersStrategy: 'keep' } }),
  'forwarded_headers: X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-Method, X-Forwarded-Uri':
    trustingForwarded,
  'check_unavailable: busy': between('check', {
    body: { status: 401, text: '{"error":"busy","message":"wait"}' },
  }),
  'check_address: INTERNAL_PORT': (installation, stack) =>
    atCheck({ address: `${publicUrl(installation.vestibule)}/auth` })(installation, stack),
  'sign_in_failed: internal': between('pages', {
    body: { status: 401, text: '{"error":"internal","message":"sorry"}' },
  }),
  'path_changed: stripPrefix': between('check', {
    request: (headers) => ({ ...headers, 'x-forwarded-uri': '/other' }),
  }),
  'answer_replaced: errors': between('check', { body: { status: 401, text: '<h1>Sorry</h1>' } }),
  'host_unreachable alias_headers: A further request': async ({ ports }, stack) => {
    const port = await steadyPort()
    const before = {
      port: ports.plain,
      drops: (path: string) => path.startsWith('/oauth2/login'),
    }
    stack.use(await startMeddler(`http://127.0.0.1:${port}`, before))
    return { gateway: { port, underscoreHeadersStrategy: 'keep' } }
  },
  'check_unreachable: ECONNRESET': async ({ ports }, stack) => {
    const port = await steadyPort()
    const before = { port: ports.plain, drops: (path: string) => path === '/' }
    stack.use(await startMeddler(`http://127.0.0.1:${port}`, before))
    return { gateway: { port } }
  },
  'sign_in_failed: BASE_PATH': between('pages', { response: without('location') }),
  'sign_in_loop: PUBLIC_URL': (installation, stack) =>
    between('pages', {
      response: (headers) => ({
        ...headers,
        ...(headers.location && { location: `${installation.plain}/oauth2/login` }),
      }),
    })(installation, stack),
  'redirect_uri_differs: PUBLIC_URL': between('pages', {
    response: (headers) => ({
      ...headers,
      ...(headers.location && {
        location: headers.location.replace('http%3A%2F%2Fapp', 'https%3A%2F%2Fapp'),
      }),
    }),
  }),
  'login_cookie: Set-Cookie': between('pages', { response: without('set-cookie') }),
  'login_cookie: proxies': byTls(
    between('pages', {
      response: ({ 'set-cookie': cookies, ...headers }) => ({
        ...headers,
        ...(cookies && { 'set-cookie': cookies.map((each) => each.replace('; Secure', '')) }),
      }),
    }),
  ),
  'cookie_domain: COOKIE_DOMAIN': async (installation, stack) => {
    const { provider, ports } = installation
    const host = `http://app.duckdns.org:${ports.plain}`
    await provider.allowOrigin(host)
    const settings = {
      PROTECTED_HOSTS: host,
      COOKIE_DOMAIN: 'duckdns.org',
      ALLOW_INSECURE_HTTP: 'true',
    }
    return ofService(settings, {
      changes: settings,
      args: ['--connect', `127.0.0.1:${ports.plain}`],
    })(installation, stack)
  },
  'internal_exposed: INTERNAL_PORT': (installation) => ({
    gateway: {
      routes: [
        ...routesOf(installation),
        {
          host: '*',
          pathPrefix: '/metrics',
          backend: `http://127.0.0.1:${installation.vestibule.internalPort}`,
        },
      ],
    },
  }),
}

/** Sends the provider's answer to the redirect URI. */
const sending =
  (status: number, location: string): Plant =>
  ({ provider }) => {
    provider.set('authorization', { status, headers: { Location: location }, body: '' })
    return {}
  }

const SERVICES: Table = {
  'configuration: OIDC_CLIENT_ID': () => ({ changes: { OIDC_CLIENT_ID: undefined } }),
  'internal_unreachable: --internal-url': ({ ports }) => ({
    args: ['--internal-url', `http://127.0.0.1:${ports.unused}`],
  }),
  'internal_tls: INTERNAL_TLS_CERT_FILE': async ({ certificate, vestibule }) => ({
    changes: {
      INTERNAL_TLS_CERT_FILE: await write(certificate.certificate),
      INTERNAL_TLS_KEY_FILE: await write(certificate.privateKey),
      INTERNAL_PORT: `${vestibule.internalPort}`,
    },
  }),
  'sign_in_unavailable degraded provider_unreachable: OIDC_ISSUER_URL': async (
    installation,
    stack,
  ) => {
    const issuer = `http://127.0.0.1:${installation.ports.unused}`
    const settings = { OIDC_ISSUER_URL: issuer }
    return ofService(settings, { changes: settings })(installation, stack)
  },
  'provider_metadata: OIDC_ISSUER_URL': inMetadata({ issuer: 'https://id.example.com' }),
  'provider_metadata: Correct OIDC_ISSUER_URL': atProvider('discovery', faults.html),
  'provider_endpoint: OIDC_ISSUER_URL': inMetadata({ end_session_endpoint: 'http://10.0.0.1/end' }),
  'provider_keys: jwks_uri': atProvider('jwks', faults.serverError),
  'provider_algorithms: OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG': inMetadata({
    id_token_signing_alg_values_supported: ['HS256'],
  }),
  'provider_pkce: PKCE': inMetadata({ code_challenge_methods_supported: ['plain'] }),
  'provider_auth_method: OIDC_TOKEN_ENDPOINT_AUTH_METHOD': inMetadata({
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
  }),
  'provider_clock: NTP': atProvider('discovery', {
    rewrite: (each) => each,
    headers: { Date: new Date(Date.now() - 300_000).toUTCString() },
  }),
  'redirect_uri: /oauth2/callback': (installation, stack) => {
    const host = `http://new.localhost:${installation.ports.plain}`
    const settings = { PROTECTED_HOSTS: host }
    return ofService(settings, { changes: settings })(installation, stack)
  },
  'redirect_uri: redirect_uri_mismatch': sending(
    302,
    `/signin/oauth/error?authError=${btoa('redirect_uri_mismatch')}`,
  ),
  'redirect_uri: AADSTS50011': atProvider('authorization', {
    status: 200,
    body: `<style>${'<style>'.repeat(5000)}</style>${'<'.repeat(20_000)}<p>AADSTS50011: no match`,
  }),
  'client_unknown: AADSTS700016': atProvider('authorization', {
    status: 200,
    body: 'AADSTS700016: not found in the directory \x1b[31m',
  }),
  'provider_unreachable: 503': atProvider('authorization', faults.unavailable),
  'client_unknown other_settings client_credentials: OIDC_CLIENT_ID': () => ({
    changes: { OIDC_CLIENT_ID: 'nobody' },
  }),
  'provider_scope: OIDC_SCOPES': ({ provider, plain }) => {
    const headers = { Location: `${plain}/oauth2/callback?error=invalid_scope` }
    provider.set('authorization', { status: 303, headers, body: '' })
    return {}
  },
  'client_credentials: OIDC_CLIENT_SECRET': () => ({
    changes: { OIDC_CLIENT_SECRET: 'another-secret' },
  }),
  'client_grant: authorization_code': atProvider('token', {
    status: 400,
    headers: json,
    body: '{"error":"unauthorized_client"}',
  }),
  'provider_unreachable: OIDC_ISSUER_URL': atProvider('token', faults.down),
  'provider_unreachable: token_endpoint cannot be used: 503': atProvider(
    'token',
    faults.unavailable,
  ),
}

afterEach(() => started().provider.reset())

describe('a planted fault is found by its code, and nothing besides what follows from it', () => {
  test.each(Object.entries({ ...HOSTS, ...SERVICES }))('%s', async (row, plant) => {
    const [codes = '', names = ''] = row.split(/: (.*)/)
    const installation = started()
    await using stack = new AsyncDisposableStack()
    const { gateway = {}, changes = {}, args = [] } = await plant(installation, stack)
    stack.use(await startGateway(installation, gateway))
    const environment = { ...installation.environment, ...changes }
    const { code, findings, codes: found, output } = await runDoctor(environment, ...args)
    expect(found.toSorted(), output).toEqual(codes.split(' ').toSorted())
    expect(code).toBe(1)
    for (const { seen, why, remedy } of findings) {
      for (const text of [seen, why, remedy]) expect(text.length).toBeGreaterThan(15)
      expect(`${seen}${why}${remedy}`).not.toContain(installation.provider.clientSecret)
    }
    const main = findings.filter((each) => each.code === codes.split(' ')[0])
    expect(main.map(({ seen, remedy }) => `${seen} ${remedy}`).join(' ')).toContain(names)
  })
})

/** Signs in at a host of its own, for a host below a wildcard. */
const withPublicUrl: Plant = async (installation, stack) => {
  const { provider, ports } = installation
  const [home, app] = ['auth', 'app'].map((name) => `http://${name}.apps.localhost:${ports.plain}`)
  await provider.allowOrigin(`${home}`)
  const settings = {
    PUBLIC_URL: `${home}`,
    PROTECTED_HOSTS: `http://*.apps.localhost:${ports.plain}`,
    COOKIE_DOMAIN: 'apps.localhost',
  }
  const args = ['--host', new URL(`${app}`).host]
  return ofService(settings, { changes: settings, args })(installation, stack)
}

/** Answers of providers without a session there, the first of which refuses `prompt=none` itself. */
const atAuthorization = (status: number, location: string, body = ''): Plant =>
  atProvider('authorization', {
    status,
    headers: { 'Content-Type': 'text/html', ...(location && { Location: location }) },
    body,
    times: 1,
  })
const returning =
  (error: string): Plant =>
  (installation, stack) =>
    atAuthorization(303, `${installation.plain}/oauth2/callback?error=${error}`)(
      installation,
      stack,
    )

const withSettings = (settings: Readonly<Record<string, string>>, planted: Planted = {}) =>
  ofService(settings, { ...planted, changes: { ...settings, ...planted.changes } })

const GOOD: Readonly<Record<string, Plant>> = {
  'over http': () => ({}),
  'over https': byTls(() => ({})),
  'with PUBLIC_URL and a wildcard': withPublicUrl,
  'with public pages': withSettings({ PUBLIC_PATHS: '/**' }),
  'with a public start page': withSettings({ PUBLIC_PATHS: '/' }),
  'with another BASE_PATH': async (installation, stack) => {
    const { plain, provider } = installation
    const vestibule = stack.use(await installation.start({ BASE_PATH: '/sign/in' }))
    const headers = { Location: `${plain}/sign/in/callback?error=login_required` }
    provider.set('authorization', { status: 303, headers, body: '' })
    const backend = publicUrl(vestibule)
    return {
      gateway: {
        routes: [
          { host: '*', backend: installation.app.url, forwardAuth: checkOf(vestibule) },
          { host: '*', pathPrefix: '/sign/in/', backend },
        ],
      },
      changes: { BASE_PATH: '/sign/in', INTERNAL_PORT: `${vestibule.internalPort}` },
    }
  },
  'with apps below a path': (installation) => ({
    gateway: {
      routes: routesOf(installation, { app: { pathPrefix: '/app' } }),
    },
    args: ['--path', '/app/x'],
  }),
  'with a host that is named twice': ({ ports }) => ({
    args: ['--host', `app.localhost:${ports.plain}`],
  }),
  'with metadata from a cache': atProvider('discovery', {
    rewrite: (each) => each,
    headers: { Date: new Date(Date.now() - 600_000).toUTCString(), Age: '600' },
  }),
  'without a sign-out there': inMetadata({ end_session_endpoint: undefined }),
  'with a slow provider': atProvider('discovery', { delayMs: 200, rewrite: (each) => each }),
  'where a page refuses prompt=none': atAuthorization(400, '', 'prompt not allowed for client'),
  'where access_denied refuses it': returning('access_denied'),
  'where consent_required refuses it': returning('consent_required'),
  'where interaction_required refuses it': returning('interaction_required'),
  'where a login page follows': atAuthorization(
    302,
    '/login?client_id=vestibule&redirect_uri=http%3A%2F%2Fx',
  ),
}

describe('an installation as it should be has no findings', () => {
  test.each(Object.entries(GOOD))('%s', async (_, plant) => {
    const installation = started()
    await using stack = new AsyncDisposableStack()
    const { gateway = {}, changes = {}, args = [] } = await plant(installation, stack)
    stack.use(await startGateway(installation, gateway))
    const environment = { ...installation.environment, ...changes }
    installation.provider.forgetRequests()
    const { code, findings } = await runDoctor(environment, ...args)
    expect(findings).toEqual([])
    expect(code).toBe(0)
    const asked = installation.provider.requests('authorization')
    const silent = asked.map(({ url }) => new URLSearchParams(url).get('prompt') === 'none')
    expect(silent).toEqual([true, false].slice(0, asked.length))
  })
})
