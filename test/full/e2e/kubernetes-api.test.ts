import { beforeEach, describe, expect, test } from 'vitest'
import { COMBINATIONS } from '../../deploy/combinations.ts'
import {
  type Manifest,
  named,
  ofKind,
  renderedWith,
  type Workload,
} from '../../deploy/manifests.ts'
import { missingForApiServer, startApiServer } from '../../support/kubernetes-api.ts'
import { prepared } from '../../support/prepared.ts'

const missing = missingForApiServer()
const TRAEFIK = [[], ['gateway-api'], ['ingress'], ['gateway-api', 'ingress']]
const STRICT = ['apply', '--server-side', '--validate=strict', '-f', '-']

const everything = [
  ...COMBINATIONS.map(({ title, overlay, components }) => [title, overlay, components] as const),
  ...TRAEFIK.map((providers) => {
    return [
      `Traefik with ${providers.join(', ') || 'no other provider'}`,
      'traefik/plain',
      providers,
    ] as const
  }),
]

describe('a real API server', () => {
  const started = prepared(async () => (missing ? undefined : startApiServer()), 120_000)
  beforeEach(({ skip }) => skip(missing !== undefined, missing))
  const send = (objects: readonly object[], args: readonly string[] = STRICT) => {
    const server = started()
    if (!server) throw new Error(missing)
    return server.kubectl(args, objects.map((each) => JSON.stringify(each)).join('\n---\n'))
  }

  test.for(everything)('takes %s without a warning', ([, kustomization, components]) => {
    const objects = renderedWith(kustomization, components) ?? []
    expect(objects.length).toBeGreaterThan(0)
    // A dry run of other objects needs their namespace.
    expect(send(ofKind(objects, 'Namespace'))).toMatchObject({ code: 0, said: '' })
    expect(send(objects, [...STRICT, '--dry-run=server'])).toMatchObject({ code: 0, said: '' })
    expect(send(objects)).toMatchObject({ code: 0, said: '' })
  })

  test('refuses a field that no definition has, so that the above says something', () => {
    const objects = renderedWith('overlays/demo', ['redis', 'middleware']) ?? []
    const middleware = named<{ forwardAuth: object }>(objects, 'Middleware', 'vestibule')
    const forwardAuth = { ...middleware.spec.forwardAuth, adress: 'x' }
    const { code, said } = send([{ ...middleware, spec: { forwardAuth } }])
    expect(code).toBe(1)
    expect(said).toContain('spec.forwardAuth.adress: field not declared in schema')
  })

  test('admits each pod into a namespace that enforces the restricted Pod Security', () => {
    const objects = [
      ...(renderedWith('overlays/demo', ['redis', 'middleware', 'tls']) ?? []),
      ...(renderedWith('traefik/plain', []) ?? []),
    ]
    const accounts = ofKind(objects, 'Namespace').map(({ metadata }) => ({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: metadata.name },
    }))
    expect(send([...ofKind(objects, 'Namespace', 'ServiceAccount'), ...accounts]).code).toBe(0)
    const workloads = ofKind<Workload>(objects, 'Deployment', 'StatefulSet')
    expect(workloads).toHaveLength(4)
    for (const workload of workloads) {
      expect(send([podOf(workload)])).toMatchObject({ code: 0, said: '' })
      const { code, said } = send([podOf(workload, { hostNetwork: true })])
      expect(code).toBe(1)
      expect(said).toContain('violates PodSecurity "restricted:latest"')
    }
  })
})

function podOf({ metadata, spec }: Manifest<Workload>, changes: object = {}) {
  const { namespace } = metadata
  // The claim of a StatefulSet, which its controller would make.
  const claimed = spec.template.spec.containers[0].volumeMounts?.some(({ name }) => name === 'data')
  const volumes = [
    ...(spec.template.spec.volumes ?? []),
    ...(claimed ? [{ name: 'data', emptyDir: {} }] : []),
  ]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...spec.template.metadata,
      name: `${metadata.name}-${Object.keys(changes).length}`,
      namespace,
    },
    spec: { ...spec.template.spec, ...changes, volumes },
  }
}
