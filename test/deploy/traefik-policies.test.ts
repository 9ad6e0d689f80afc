import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { kubernetesManifests, kubernetesPolicies } from '../../src/render/kubernetes.ts'
import { faultOfPolicy } from '../../src/render/policy-names.ts'
import { traefikFile, traefikPolicies } from '../../src/render/traefik.ts'
import { startProcess } from '../../stand-ins/process.ts'
import { base } from '../support/configuration.ts'

const internalTls = { certFile: 'tls.crt', keyFile: 'tls.key', clientCaFile: 'clients.crt' }
const config = {
  ...loadConfig({
    ...base,
    IDENTITY_HEADERS: 'X-Forwarded-User=sub,X-Role="role-{department}"',
    PASS_AUTHORIZATION: 'id-token',
  }),
  internalTls,
}
const POLICIES = ['admins', 'staff-1']

interface Middleware {
  readonly forwardAuth?: Readonly<Record<string, unknown>>
  readonly chain?: unknown
  readonly headers?: { readonly customRequestHeaders: Readonly<Record<string, string>> }
}
type Middlewares = Readonly<Record<string, Middleware>>

function ofFile(text: string): Middlewares {
  return (parse(text) as { readonly http: { readonly middlewares: Middlewares } }).http.middlewares
}

function ofObjects(text: string): Middlewares {
  const objects = parseAllDocuments(text).map(
    (each) => each.toJS() as { readonly metadata: { readonly name: string }; spec: Middleware },
  )
  return Object.fromEntries(objects.map(({ metadata, spec }) => [metadata.name, spec]))
}

const FORMS = [
  {
    form: 'a file',
    plain: ofFile(traefikFile(config, 'door.example', 'F')),
    text: traefikPolicies(config, POLICIES, 'door.example', 'F'),
    read: ofFile,
    chain: (...names: readonly string[]): unknown => ({ middlewares: names }),
  },
  {
    form: 'Kubernetes',
    plain: ofObjects(kubernetesManifests(config, 'door.example', 'F').middlewares),
    text: kubernetesPolicies(config, POLICIES, 'door.example', 'F'),
    read: ofObjects,
    chain: (...names: readonly string[]): unknown => ({
      middlewares: names.map((name) => ({ name })),
    }),
  },
] as const

describe.for(FORMS)('render traefik for $form', ({ plain, text, read, chain }) => {
  test('with --policy prints the check and the chain of each policy, and nothing else', () => {
    const check = plain['vestibule']?.forwardAuth
    const forwardAuth = (policy: string) => {
      return { ...check, address: `https://door.example:4181/auth?policy=${policy}` }
    }
    expect(check?.['address']).toBe('https://door.example:4181/auth')
    expect(check?.['tls']).toBeDefined()
    expect(read(text)).toEqual({
      'vestibule-admins': { forwardAuth: forwardAuth('admins') },
      'protected-admins': { chain: chain('vestibule-strip', 'vestibule-admins') },
      'vestibule-staff-1': { forwardAuth: forwardAuth('staff-1') },
      'protected-staff-1': { chain: chain('vestibule-strip', 'vestibule-staff-1') },
    })
  })

  test('says where the other middleware of the chains comes from', () => {
    expect(plain['vestibule-strip']).toBeDefined()
    expect(text).toMatch(/^# Belongs beside .*vestibule-strip/)
  })

  test('lists what a 200 has, and strips what a client could forge besides', () => {
    const identity = [
      ...['User', 'Email', 'Preferred-Username', 'Name', 'Groups'].map(
        (each) => `X-Auth-Request-${each}`,
      ),
      'X-Forwarded-User',
      'X-Role',
      'X-Auth-Request-Access-Token',
    ]
    const { authResponseHeaders } = plain['vestibule']?.forwardAuth ?? {}
    expect(authResponseHeaders).toEqual([...identity, 'Authorization', 'Cookie'])
    const stripped = plain['vestibule-strip']?.headers?.customRequestHeaders ?? {}
    expect(new Set(Object.values(stripped))).toEqual(new Set(['']))
    expect(
      Object.keys(stripped).filter((name) => /^X-(?!Forwarded-[HMPU]|Orig|Rew)/.test(name)),
    ).toEqual([
      ...identity.filter((name) => name !== 'X-Forwarded-User'),
      ...['Email', 'Groups', 'Access-Token'].map((each) => `X-Forwarded-${each}`),
    ])
    expect(stripped).toHaveProperty('X-Forwarded-User')
    expect(stripped).toHaveProperty('X-Forwarded-Preferred-Username')
  })
})

describe('a policy after which no middleware can be named', () => {
  const known = ['admins', 'Admins', 'a.b', 'a_b', 'a--b', 'a-', 'strip', 'Strip']

  test.for<[string, boolean, RegExp | undefined]>([
    ['admins', false, undefined],
    ['admins', true, undefined],
    ['nobody', false, /no policy nobody: VESTIBULE_CONFIG has admins, Admins, a\.b/],
    ['constructor', true, /no policy constructor/],
    ['strip', false, /strip needs another name: vestibule-strip is the middleware/],
    ['strip', true, /strip needs another name: vestibule-strip is the middleware/],
    ['Strip', false, undefined],
    ...['Admins', 'a.b', 'a_b', 'a--b', 'a-', 'Strip'].flatMap(
      (policy): [string, boolean, RegExp | undefined][] => [
        [policy, false, undefined],
        [policy, true, /needs another name: in Kubernetes use lower-case letters and digits/],
      ],
    ),
  ])('%s, in Kubernetes: %s', ([policy, isKubernetes, fault]) => {
    const found = faultOfPolicy(policy, known, isKubernetes)
    if (fault) expect(found).toMatch(fault)
    else expect(found).toBeUndefined()
  })

  test('ends the command with what there is', async () => {
    const args = ['src/main.ts', 'render', 'traefik', '--policy', 'admins', '--policy', 'staff']
    const running = startProcess(process.execPath, args, { env: base })
    expect(await running.exited).toBe(1)
    expect(running.output()).toBe(
      ['admins', 'staff']
        .map((each) => `vestibule: there is no policy ${each}: VESTIBULE_CONFIG has none\n`)
        .join(''),
    )
  })
})
