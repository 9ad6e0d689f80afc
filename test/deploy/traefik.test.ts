import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { kubernetesManifests } from '../../src/render/kubernetes.ts'
import type { RouteKind } from '../../src/render/sign-in-route.ts'
import { traefikFile } from '../../src/render/traefik.ts'
import { startProcess } from '../../stand-ins/process.ts'
import { readSettings } from './settings.ts'

const FOLDER = 'deploy/traefik'
const settings = readSettings(`${FOLDER}/vestibule.env`)
const pair = { certFile: 'tls.crt', keyFile: 'tls.key' }

interface Dynamic {
  readonly http: {
    readonly middlewares: {
      readonly vestibule: { readonly forwardAuth: Record<string, unknown> }
      readonly 'vestibule-strip': { headers: { customRequestHeaders: Record<string, string> } }
    }
    readonly routers: { readonly vestibule: { readonly rule: string; readonly priority: number } }
    readonly services: Record<string, { loadBalancer: { servers: { url: string }[] } }>
  }
}

const renderedFor = (changes: Readonly<Record<string, string>>, host = 'vestibule'): Dynamic =>
  parse(traefikFile(loadConfig({ ...settings, ...changes }), host)) as Dynamic

const command = async (args: readonly string[], env: Readonly<Record<string, string>>) => {
  const running = startProcess(process.execPath, ['src/main.ts', 'render', ...args], { env })
  return { code: await running.exited, output: running.output() }
}

describe('render traefik', () => {
  test('prints the committed file for its settings', async () => {
    const { code, output } = await command(['traefik'], settings)
    const [, ...committed] = readFileSync(`${FOLDER}/dynamic/vestibule.yaml`, 'utf8').split('\n')
    expect(code).toBe(0)
    expect(output).toBe(committed.join('\n'))
  })

  test('prints custom resources with --kubernetes', async () => {
    const { code, output } = await command(['traefik', '--kubernetes'], settings)
    const manifests = kubernetesManifests(
      loadConfig(settings),
      'vestibule.vestibule.svc.cluster.local.',
    )
    expect(code).toBe(0)
    expect(output).toBe(`${manifests.middlewares}---\n${manifests.signIn}`)
  })

  const misused = [
    [],
    ['nginx'],
    ['traefik', '--kubernets'],
    ['traefik', 'again'],
    ['traefik', '--tls'],
    ['traefik', '--tls='],
    ['traefik', '--host='],
    ['traefik', '--policy'],
    ['traefik', '--policy='],
    ['traefik', '--routes=ingress'],
    ['traefik', '--kubernetes', '--routes=nginx'],
  ]
  test.for(misused)('prints its usage: %j', async (args) => {
    const { code, output } = await command(args, settings)
    expect(code).toBe(2)
    expect(output).toMatch(/^usage: vestibule render traefik /)
  })

  test('ends with what is wrong with a configuration that cannot be used', async () => {
    const { code, output } = await command(['traefik'], { ...settings, PROTECTED_HOSTS: '' })
    expect(code).toBe(1)
    expect(output).toContain('PROTECTED_HOSTS: is empty')
  })

  test('lists and strips the headers that this configuration gives', () => {
    const { middlewares } = renderedFor({ IDENTITY_HEADERS: 'Remote-User=sub' }).http
    expect(middlewares.vestibule.forwardAuth['authResponseHeaders']).toContain('Remote-User')
    expect(middlewares['vestibule-strip'].headers.customRequestHeaders).toHaveProperty(
      'Remote-User',
      '',
    )
  })

  test.for(['false', 'true', 'access-token', 'id-token'])(
    'takes Authorization with PASS_AUTHORIZATION: %s',
    (value) => {
      const { middlewares } = renderedFor({ PASS_AUTHORIZATION: value }).http
      const listed = middlewares.vestibule.forwardAuth['authResponseHeaders'] as string[]
      expect(listed.includes('Authorization')).toBe(value !== 'false')
      // A bearer must reach the check.
      const { customRequestHeaders } = middlewares['vestibule-strip'].headers
      expect(customRequestHeaders).not.toHaveProperty('Authorization')
      expect(customRequestHeaders).not.toHaveProperty('Cookie')
    },
  )

  test('routes the sign-in of every host, PUBLIC_URL and wildcards among them', () => {
    const { rule } = renderedFor({
      PUBLIC_URL: 'https://auth.example.com',
      PROTECTED_HOSTS: 'app.example.com:8443,*.apps.example.com,app.example.com',
      COOKIE_DOMAIN: 'example.com',
      BASE_PATH: '/account',
    }).http.routers.vestibule
    expect(rule).toBe(
      '(Host(`auth.example.com`) || Host(`app.example.com`) || HostRegexp(`^.+\\.apps\\.example\\.com$`)) && PathPrefix(`/account/`)',
    )
  })

  test.for([
    [{}, 'http', undefined, undefined],
    [pair, 'https', { ca: 'F/ca.crt' }, { caSecret: 'F' }],
    [
      { ...pair, clientCaFile: 'clients.crt' },
      'https',
      { ca: 'F/ca.crt', cert: 'F/tls.crt', key: 'F/tls.key' },
      { caSecret: 'F', certSecret: 'F' },
    ],
  ] as const)('asks as the internal listener speaks: with %o by %s', ([files, scheme, ...tls]) => {
    const config = { ...loadConfig(settings), ...('certFile' in files && { internalTls: files }) }
    const file = parse(traefikFile(config, 'vestibule', 'F')) as Dynamic
    const { middlewares } = kubernetesManifests(config, 'vestibule', 'F')
    const [, resource] = parseAllDocuments(middlewares).map(
      (each) => each.toJS() as { spec: { forwardAuth: Record<string, unknown> } },
    )
    for (const [at, forwardAuth] of [
      file.http.middlewares.vestibule.forwardAuth,
      resource?.spec.forwardAuth,
    ].entries()) {
      expect(forwardAuth?.['address']).toBe(`${scheme}://vestibule:4181/auth`)
      expect(forwardAuth?.['tls']).toEqual(tls[at])
    }
  })

  test('names each host once in an HTTPRoute and in an Ingress, wildcards too', () => {
    const config = loadConfig({
      ...settings,
      PUBLIC_URL: 'https://auth.example.com',
      COOKIE_DOMAIN: 'example.com',
      PROTECTED_HOSTS: 'app.example.com:8443,*.apps.example.com,app.example.com',
      BASE_PATH: '/account',
      PORT: '8000',
    })
    const hosts = ['auth.example.com', 'app.example.com', '*.apps.example.com']
    const made = (kind: RouteKind) =>
      parse(kubernetesManifests(config, 'door.hall.svc', undefined, kind).signIn) as object
    expect(made('gateway-api')).toMatchObject({
      kind: 'HTTPRoute',
      spec: {
        hostnames: hosts,
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/account/' } }],
            backendRefs: [{ name: 'door', port: 8000 }],
          },
        ],
      },
    })
    const backend = { service: { name: 'door', port: { number: 8000 } } }
    const paths = [{ path: '/account/', pathType: 'Prefix', backend }]
    expect(made('ingress')).toMatchObject({
      kind: 'Ingress',
      metadata: { annotations: { 'traefik.ingress.kubernetes.io/router.priority': '100000' } },
      spec: { rules: hosts.map((host) => ({ host, http: { paths } })) },
    })
  })

  test('names the cookies, the ports and the host of this configuration', () => {
    const { http } = renderedFor(
      { COOKIE_NAME: 'door', PORT: '8000', INTERNAL_PORT: '8001' },
      'door.example',
    )
    expect(http.middlewares.vestibule.forwardAuth).toMatchObject({
      address: 'http://door.example:8001/auth',
      addAuthCookiesToResponse: ['door_outage', '__Host-door_outage', '__Secure-door_outage'],
    })
    expect(http.services['vestibule']?.loadBalancer.servers).toEqual([
      { url: 'http://door.example:8000' },
    ])
  })
})
