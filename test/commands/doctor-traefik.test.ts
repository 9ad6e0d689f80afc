import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { createAsk } from '../../src/doctor/ask.ts'
import type { Patient } from '../../src/doctor/examination.ts'
import { readTraefikApi } from '../../src/doctor/traefik/read-api.ts'
import { readTraefikFiles } from '../../src/doctor/traefik/read-files.ts'
import { examineTraefik } from '../../src/doctor/traefik/traefik.ts'
import { kubernetesManifests } from '../../src/render/kubernetes.ts'
import { traefikFile } from '../../src/render/traefik.ts'
import { closeServer, listenOn } from '../../stand-ins/network/server.ts'
import { confidential, useFolder } from '../support/configuration.ts'

const { write, pathOf } = useFolder()
const config = loadConfig(confidential)

interface Traefik {
  entryPoints: Record<string, { forwardedHeaders?: object; http: Record<string, unknown> }>
  http: {
    middlewares: Record<string, Record<string, Record<string, unknown>>>
    routers: Record<string, Record<string, unknown>>
  }
}

/** Output of `render traefik`, beside an app and an entry point as in the documentation. */
function configured(): Traefik {
  const rendered = parse(traefikFile(config, 'vestibule')) as Traefik
  const encodedCharacters = { allowEncodedBackSlash: false, allowEncodedNullCharacter: false }
  const app = { rule: 'Host(`app.example.com`)', middlewares: ['protected'], service: 'app' }
  return {
    entryPoints: { websecure: { http: { aliasHeadersStrategy: 'delete', encodedCharacters } } },
    http: { ...rendered.http, routers: { ...rendered.http.routers, app } },
  }
}

const examine = (read: Patient['traefik'][number]['read']) =>
  examineTraefik({
    config,
    note: () => undefined,
    traefik: [{ name: 'given', read }],
  } as unknown as Patient)

const inFile = async (traefik: unknown) => {
  const path = await write(stringify(traefik))
  return examine(() => readTraefikFiles(path))
}

const FORWARD_AUTH: readonly (readonly [code: string, option: string, changes: object])[] = [
  [
    'identity_headers_missing',
    'authResponseHeaders',
    { authResponseHeaders: ['X-Auth-Request-User', 'Cookie'] },
  ],
  [
    'outage_cookie_missing',
    '__Host-vestibule_outage',
    { addAuthCookiesToResponse: ['vestibule_outage'] },
  ],
  ['trust_forward_header', 'trustForwardHeader', { trustForwardHeader: false }],
  ['location_header', 'preserveLocationHeader', { preserveLocationHeader: undefined }],
  ['response_size', 'maxResponseBodySize', { maxResponseBodySize: 1024 }],
  ['response_size', 'maxResponseBodySize', { maxResponseBodySize: undefined }],
  ['headers_hidden', 'authRequestHeaders', { authRequestHeaders: ['Cookie'] }],
  ['forward_body', 'forwardBody', { forwardBody: true }],
  ['answer_replaced', 'authSigninURL', { authSigninURL: 'https://app.example.com/login' }],
  ['check_address', 'forwardAuth.address', { address: 'http://vestibule:4180/auth' }],
  ['check_address', 'forwardAuth.address', { address: 'http://app.example.com:4181/auth' }],
  ['check_tls', 'https', { address: 'https://vestibule:4181/auth' }],
  ['check_tls', 'insecureSkipVerify', { tls: { insecureSkipVerify: true } }],
  ['forward_auth_missing', 'render traefik', { address: 'http://authelia:9091/api/verify' }],
]

type Change = (traefik: Traefik) => void

const router =
  (name: string, changes: object): Change =>
  ({ http }) => {
    http.routers[name] = { ...http.routers[name], ...changes }
  }

const middleware =
  (name: string, options: object): Change =>
  ({ http }) => {
    http.middlewares[name] = options as Record<string, Record<string, unknown>>
  }

const entryPoint =
  (
    changes: { readonly http?: object; readonly forwardedHeaders?: object },
    name = 'websecure',
  ): Change =>
  ({ entryPoints }) => {
    const before = entryPoints[name] ?? { http: {} }
    entryPoints[name] = { ...before, ...changes, http: { ...before.http, ...changes.http } }
  }

const all =
  (...changes: readonly Change[]): Change =>
  (traefik) =>
    changes.forEach((change) => change(traefik))

const stripPrefix = middleware('short', { stripPrefix: { prefixes: ['/app'] } })
const toHttps = middleware('https', { redirectScheme: { scheme: 'https' } })
const app = (changes: object) => router('app', changes)
const signIn = (changes: object) => router('vestibule', changes)
const other = (host: string, ...names: readonly string[]) =>
  all(
    middleware('other', {
      forwardAuth: { address: 'http://o:1/auth', addAuthCookiesToResponse: ['vestibule_outage'] },
    }),
    router('other', { rule: `Host(\`${host}\`)`, middlewares: ['other', ...names] }),
  )

const WEB = { entryPoints: ['websecure'] }
const HOST = { rule: 'Host(`app.example.com`)' }
const LESS = { headers: { customRequestHeaders: { 'X-Auth-Request-Email': '' } } }
const patternOfHeaders: Change = ({ http }) =>
  Object.assign(http.middlewares['vestibule']?.['forwardAuth'] ?? {}, {
    authResponseHeaders: ['Cookie'],
    authResponseHeadersRegex: '^X-Auth-',
  })

const OTHERS: readonly (readonly [code: string, option: string, change: Change])[] = [
  ['strip_missing', 'routers app deletes', app({ middlewares: ['vestibule'] })],
  ['strip_order', 'chain `protected`', app({ middlewares: ['protected', 'vestibule-strip'] })],
  ['path_changed', 'stripPrefix', all(stripPrefix, app({ middlewares: ['short', 'protected'] }))],
  ['cookie_shared', 'COOKIE_NAME', other('APP.example.com', 'protected')],
  ['base_path_missing', 'BASE_PATH', ({ http }) => delete http.routers['vestibule']],
  ['base_path_missing', 'BASE_PATH', signIn({ rule: 'Host(`a.test`) && PathPrefix(`/oauth2/`)' })],
  ['base_path_guarded', 'without the middleware', signIn({ middlewares: ['protected@file'] })],
  [
    'base_path_guarded',
    'without the middleware',
    entryPoint({ http: { middlewares: ['protected@file'] } }),
  ],
  ['base_path_guarded', 'priority 100000', signIn({ priority: 10 })],
  ['app_unguarded', 'middlewares: [protected]', app({ middlewares: ['vestibule-strip'] })],
  ['app_unguarded', 'PUBLIC_PATHS', app({ rule: 'Host("App.example.com")', middlewares: [] })],
  ['app_unguarded', 'protected', all(toHttps, app({ middlewares: ['https'], tls: {} }))],
  [
    'app_unguarded',
    'protected',
    all(
      middleware('root', { redirectRegex: { regex: '^https://[^/]+/$', replacement: '/ui' } }),
      app({ middlewares: ['root'] }),
    ),
  ],
  [
    'forwarded_headers',
    'forwardedHeaders.insecure',
    entryPoint({ forwardedHeaders: { insecure: true } }),
  ],
  [
    'forwarded_headers',
    'trustedIPs',
    entryPoint({ forwardedHeaders: { trustedIPs: ['10.0.0.1', '::/0'] } }),
  ],
  [
    'alias_headers',
    'aliasHeadersStrategy: delete',
    entryPoint({ http: { aliasHeadersStrategy: 'keep' } }),
  ],
  ['encoded_characters', 'allowEncodedBackSlash', entryPoint({ http: { encodedCharacters: {} } })],
]

describe('a fault in the files of Traefik', () => {
  test.each([
    ...FORWARD_AUTH.map(([code, option, changes]) => {
      const change = ({ http }: Traefik) => {
        Object.assign(http.middlewares['vestibule']?.['forwardAuth'] ?? {}, changes)
      }
      return [code, option, change] as const
    }),
    ...OTHERS,
  ])('is %s, whose remedy names %s', async (code, option, change) => {
    const traefik = configured()
    change(traefik)
    const findings = await inFile(traefik)
    expect(findings.map((each) => each.code)).toEqual([code])
    expect(findings.map(({ seen, remedy }) => seen + remedy).join()).toContain(option)
  })

  test('that cannot be read is named without what it says, and hides no other file', async () => {
    const traefik = configured()
    app({ middlewares: [] })(traefik)
    const folder = pathOf('mixed')
    await mkdir(join(folder, '..data'), { recursive: true })
    await writeFile(join(folder, '..data', 'secret.yaml'), 'a: b: hunter2\n')
    await writeFile(join(folder, 'secret.yaml'), 'a: b\npassword: hunter2: x\n')
    await writeFile(join(folder, 'secret.toml'), 'password = hunter2 x\n')
    await writeFile(join(folder, 'traefik.yaml'), stringify(traefik))
    for (const path of [folder, pathOf('nothing.yaml')]) {
      const findings = await examine(() => readTraefikFiles(path))
      const isFolder = path === folder
      expect(findings.map(({ code }) => code)).toEqual(
        isFolder
          ? ['traefik_unreadable', 'traefik_unreadable', 'app_unguarded']
          : ['traefik_unreadable'],
      )
      expect(JSON.stringify(findings)).not.toContain('hunter2')
      expect(JSON.stringify(findings)).toMatch(isFolder ? /error in line 2/ : /ENOENT/)
    }
  })
})

describe('nothing is found', () => {
  test.each<readonly [string, Change]>([
    ['in what the command renders, beside entry points and an app', () => undefined],
    ['in another installation on another host', other('b.example.com')],
    ['in the host of another app', router('b', { rule: 'Host(`b.example.com`)', service: 'b' })],
    [
      'in a middleware of the entry point, and a sign-in on another one',
      all(
        entryPoint({ http: { middlewares: ['protected'] } }),
        entryPoint(configured().entryPoints['websecure'] ?? {}, 'pages'),
        app({ entryPoints: ['websecure'], middlewares: [] }),
        signIn({ entryPoints: ['pages'] }),
      ),
    ],
    ['in a path after the check', all(stripPrefix, app({ middlewares: ['protected', 'short'] }))],
    [
      'in the priority of other paths and hosts',
      all(
        app({ rule: 'Host(`app.example.com`) && PathPrefix(`/api`)', priority: 200_000 }),
        router('b', { rule: 'Host(`b.example.com`)', priority: 300_000, service: 'b' }),
      ),
    ],
    ['in a redirect to https', all(toHttps, router('plain', { ...HOST, middlewares: ['https'] }))],
    [
      'in middlewares of other providers',
      all(
        app({ middlewares: ['vestibule', 'strip@docker'] }),
        router('b', { ...HOST, middlewares: ['m@docker'] }),
      ),
    ],
    ['in a router of any host', router('b', { rule: 'PathPrefix(`/b`)', service: 'b' })],
    ['in the entry point of Traefik itself', entryPoint({}, 'traefik')],
    ['in services of Traefik', router('ping', { ...HOST, service: 'ping@internal' })],
    [
      'in entry points that no app uses',
      all(entryPoint({}, 'metrics'), signIn(WEB), app(WEB), entryPoint({}, 'traefik')),
    ],
    ['in headers that a pattern copies', patternOfHeaders],
    [
      'in an app that deletes one header',
      all(middleware('m', LESS), app({ middlewares: ['protected', 'm'] })),
    ],
    ['in static configuration alone', (traefik) => Reflect.deleteProperty(traefik, 'http')],
  ])('%s', async (_, change) => {
    const traefik = configured()
    change(traefik)
    expect(await inFile(traefik)).toEqual([])
  })

  test.each(['documents', 'a list'])('in rendered objects of Kubernetes, as %s', async (form) => {
    const { middlewares, signIn } = kubernetesManifests(config, 'vestibule.vestibule.svc')
    const text = `${middlewares}---\n${signIn}`
    const items = parseAllDocuments(text).map((each) => each.toJS() as unknown)
    const path = await write(form === 'a list' ? stringify({ kind: 'List', items }) : text)
    const { middlewares: read, routers } = await readTraefikFiles(path)
    expect([read.size, routers.length]).toEqual([3, 1])
    expect(await examine(() => readTraefikFiles(path))).toEqual([])
  })

  test('in the files that are deployed', async () => {
    expect(await examine(() => readTraefikFiles('deploy/traefik'))).toEqual([])
  })
})

test('the API shows the version, faults and errors, on as many pages as there are', async () => {
  const { entryPoints, http } = configured()
  const errors = { error: ['middleware "protected@file" does not exist'], status: 'disabled' }
  const many = Object.fromEntries(
    Array.from({ length: 1500 }, (_, at) => [
      `r${at}`,
      { rule: `Host(\`h${at}.${'x'.repeat(40)}.example.net\`)` },
    ]),
  )
  const named = (all: object) =>
    Object.entries(all).map(([name, options]) => ({ ...(options as object), name: `${name}@file` }))
  const lists: Readonly<Record<string, readonly unknown[]>> = {
    '/api/entrypoints': named({
      ...entryPoints,
      // Traefik leaves out what is false.
      web: {
        http: { aliasHeadersStrategy: 'delete', encodedCharacters: { allowEncodedHash: true } },
      },
    }),
    '/api/http/middlewares': named({ ...http.middlewares, 'vestibule-strip': { headers: {} } }),
    '/api/http/routers': named({
      ...many,
      ...http.routers,
      app: { ...http.routers['app'], ...errors },
    }),
  }
  const server = createServer(({ url = '' }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://traefik')
    const list = lists[pathname]
    const end = Number(searchParams.get('page')) * 1000
    response.setHeader('X-Next-Page', list && list.length > end ? end / 1000 + 1 : 1)
    response.end(JSON.stringify(list?.slice(end - 1000, end) ?? { Version: '3.7.9' }))
  })
  const port = await listenOn(server)
  try {
    const findings = await examine(() =>
      readTraefikApi(`http://127.0.0.1:${port}/api`, createAsk()),
    )
    expect(findings.map(({ code }) => code)).toEqual([
      'traefik_version',
      'strip_missing',
      'traefik_error',
    ])
    expect(findings.at(-1)?.seen).toContain('"protected (file)" does not exist')
  } finally {
    await closeServer(server)
  }
})
