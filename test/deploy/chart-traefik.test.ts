import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { render } from '../../src/commands/render.ts'
import { runCommand } from '../support/command.ts'
import { makeTlsFiles } from '../support/internal-tls.ts'
import { chartWith, helm, NO_HELM, objectsIn } from './charts.ts'
import { type Manifest, named, ofKind } from './manifests.ts'

const files = await makeTlsFiles()
afterAll(() => files[Symbol.dispose]())

interface Values {
  readonly settings?: object
  readonly config?: object
  readonly policies?: readonly string[]
  readonly tls?: object
  readonly fullnameOverride?: string
  readonly clusterDomain?: string
}

const LEAST = {
  PROTECTED_HOSTS: 'app.example.com',
  OIDC_ISSUER_URL: 'https://id.example.com',
  OIDC_CLIENT_ID: 'vestibule',
  ALLOW_ANY_USER: true,
}
const IN_MEMORY = {
  redis: { kind: 'memory' },
  replicaCount: 1,
  clientAuthentication: 'none',
  networkPolicy: { enabled: false },
}
const policies = { admins: { groups: ['admins'] }, 'staff-1': { emailDomains: ['example.com'] } }
const CONFIG = {
  protectedHosts: ['a.example.com', '*.B.example.com'],
  basePath: '/door',
  cookie: { name: 'gate' },
  passAuthorization: 'id-token',
  identityHeaders: ['Remote-User=sub', 'X-Forwarded-Groups=groups'],
  policies,
}
const MUTUAL = { secretName: 'x', clientSecretName: 'mine', clientCertificates: true }
const headers = (given: string | readonly string[]) => ({ settings: { IDENTITY_HEADERS: given } })
const hosts = (PROTECTED_HOSTS: string, more = {}) => ({ settings: { PROTECTED_HOSTS, ...more } })

test.for<[string, Values, string?]>([
  ['a cookie name', { settings: { COOKIE_NAME: 'gate_2' } }],
  ['a base path', { settings: { BASE_PATH: '/door/in' } }],
  ['ports', { settings: { PORT: 8180, INTERNAL_PORT: '8181' } }],
  ['a text with a template', headers('Remote-User=sub, X-Role="a, {b} ""x"""\nX-Team=team')],
  ['a list, of proxies in small letters', headers(['x-forwarded-user=sub', 'X-R="a, {b}"'])],
  ['JSON', hosts('["b.test", "a.test"]', { IDENTITY_HEADERS: '["Remote-User=sub","X-T=t"]' })],
  [
    'the access token',
    {
      settings: {
        PASS_ACCESS_TOKEN: true,
        PASS_AUTHORIZATION: true,
        IDENTITY_HEADERS: 'X-T=access_token',
      },
    },
  ],
  ['no authorization', { settings: { PASS_AUTHORIZATION: 'False' } }],
  ['authorization by ID token', { settings: { PASS_AUTHORIZATION: 'ID-Token' } }],
  ['schemes and ports', hosts('http://App.localhost:8080,https://app.localhost')],
  [
    'one address for the sign-in, and a wildcard',
    hosts('*.A.test', { PUBLIC_URL: 'https://a.test:8443', COOKIE_DOMAIN: 'a.test' }),
  ],
  [
    'a settings file, and policies',
    { settings: { PROTECTED_HOSTS: null }, config: CONFIG, policies: ['admins', 'staff-1'] },
  ],
  ['settings over the file', { settings: { COOKIE_NAME: 'a' }, config: { cookie: { name: 'b' } } }],
  ['no headers over the file', { ...headers([]), config: { identityHeaders: ['A-b=sub'] } }],
  ['blanks, which are nothing', { ...headers(' '), config: { identityHeaders: ['A-b=sub'] } }],
  ['another name and place', { fullnameOverride: 'gate', clusterDomain: 'corp.local' }, 'edge'],
  ['TLS', { tls: { certManager: { enabled: true } } }],
  ['client certificates and policies', { tls: MUTUAL, config: { policies }, policies: ['admins'] }],
])('%s: the chart makes what render traefik prints', async (row, { skip }) => {
  const [, values, namespace = 'vestibule'] = row
  if (!helm) return skip(NO_HELM)
  const { settings, policies = [], tls, clusterDomain = 'cluster.local', ...others } = values
  const objects = chartWith(
    {
      ...IN_MEMORY,
      ...others,
      clusterDomain,
      middlewares: { policies },
      settings: { ...LEAST, ...settings },
      ...(tls && { tls: { enabled: true, ...tls } }),
    },
    namespace,
  )
  const name = values.fullnameOverride ?? 'vestibule'
  const environment = {
    ...named(objects, 'ConfigMap', name).data,
    SESSION_ENCRYPTION_KEY_FILE: undefined,
    ...(tls && (tls === MUTUAL ? files.mutual : files.settings)),
    VESTIBULE_CONFIG: values.config && settingsFile(values.config),
  }
  const host = `--host=${name}.${namespace}.svc.${clusterDomain}.`
  const options = ['traefik', '--kubernetes', host, ...(tls === MUTUAL ? ['--tls=mine'] : [])]
  const ofPolicies = policies.map((policy) => `--policy=${policy}`)
  const printed: Manifest[] = []
  for (const further of ofPolicies.length > 0 ? [[], ofPolicies] : [[]]) {
    const { code, output } = await runCommand(() => render(environment, ...options, ...further))
    expect(code, output).toBe(0)
    printed.push(...objectsIn(output))
  }
  expect(specsOf(ofKind(objects, 'Middleware', 'IngressRoute'))).toEqual(specsOf(printed))
})

function settingsFile(config: object): string {
  const path = join(files.folder, 'vestibule.yaml')
  writeFileSync(path, JSON.stringify(config))
  return path
}

/** The order of headers has no meaning; the chart's name of the route follows that of the Service. */
function specsOf(objects: readonly Manifest[]): Readonly<Record<string, unknown>> {
  const specs = objects.map(({ kind, metadata, spec }) => [
    kind === 'IngressRoute' ? kind : `${kind} ${metadata.name}`,
    JSON.parse(JSON.stringify(spec), (key, value: unknown) =>
      key === 'authResponseHeaders' ? (value as string[]).toSorted() : value,
    ) as unknown,
  ])
  return Object.fromEntries(specs) as Record<string, unknown>
}
