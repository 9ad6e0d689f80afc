import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
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
  examineTraefik({ config, traefik: [{ name: 'given', read }] } as unknown as Patient)

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
  ['auth_request_headers', 'authRequestHeaders', { authRequestHeaders: ['Cookie'] }],
  ['forward_body', 'forwardBody', { forwardBody: true }],
  ['auth_signin_url', 'authSigninURL', { authSigninURL: 'https://app.example.com/login' }],
  ['check_address', 'forwardAuth.address', { address: 'http://vestibule:4180/auth' }],
  ['check_address', 'forwardAuth.address', { address: 'http://app.example.com:4181/auth' }],
  ['check_tls', 'https', { address: 'https://vestibule:4181/auth' }],
  ['check_tls', 'insecureSkipVerify', { tls: { insecureSkipVerify: true } }],
  ['forward_auth_missing', 'render traefik', { address: 'http://authelia:9091/api/verify' }],
]

const OTHERS: readonly (readonly [
  code: string,
  option: string,
  change: (traefik: Traefik) => void,
])[] = [
  ['strip_missing', 'vestibule-strip', ({ http }) => delete http.middlewares['vestibule-strip']],
  [
    'cookie_shared',
    'COOKIE_NAME',
    ({ http }) => {
      const forwardAuth = {
        address: 'http://other:9000/auth',
        addAuthCookiesToResponse: ['vestibule_outage'],
      }
      http.middlewares['other'] = { forwardAuth }
    },
  ],
  ['sign_in_router_missing', 'BASE_PATH', ({ http }) => delete http.routers['vestibule']],
  [
    'sign_in_guarded',
    'Remove the middleware',
    ({ http }) => {
      Object.assign(http.routers['vestibule'] ?? {}, { middlewares: ['protected@file'] })
    },
  ],
  [
    'sign_in_priority',
    'priority: 100000',
    ({ http }) => {
      Object.assign(http.routers['vestibule'] ?? {}, { priority: 10 })
    },
  ],
  [
    'router_unguarded',
    'middlewares: [protected]',
    ({ http }) => {
      Object.assign(http.routers['app'] ?? {}, { middlewares: ['vestibule-strip'] })
    },
  ],
  [
    'forwarded_insecure',
    'forwardedHeaders.insecure',
    ({ entryPoints }) => {
      Object.assign(entryPoints['websecure'] ?? {}, { forwardedHeaders: { insecure: true } })
    },
  ],
  [
    'alias_strategy',
    'aliasHeadersStrategy: delete',
    ({ entryPoints }) => {
      Object.assign(entryPoints['websecure']?.http ?? {}, { aliasHeadersStrategy: 'keep' })
    },
  ],
  [
    'encoded_characters',
    'allowEncodedBackSlash',
    ({ entryPoints }) => {
      Object.assign(entryPoints['websecure']?.http ?? {}, { encodedCharacters: {} })
    },
  ],
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

  test('that cannot be read is named', async () => {
    const findings = await examine(() => readTraefikFiles(pathOf('nothing.yaml')))
    expect(findings.map(({ code }) => code)).toEqual(['traefik_unreadable'])
  })
})

describe('nothing is found', () => {
  test('in what the command renders, beside entry points and an app', async () => {
    expect(await inFile(configured())).toEqual([])
  })

  test('in rendered objects of Kubernetes', async () => {
    const { middlewares, signIn } = kubernetesManifests(config, 'vestibule.vestibule.svc')
    const path = await write(`${middlewares}---\n${signIn}`)
    expect(await examine(() => readTraefikFiles(path))).toEqual([])
  })

  test('in the files that are deployed', async () => {
    expect(await examine(() => readTraefikFiles('deploy/traefik'))).toEqual([])
  })
})

test('the API shows the version and the same faults', async () => {
  const { entryPoints, http } = configured()
  const named = (all: object) =>
    Object.entries(all).map(([name, options]) => ({ ...(options as object), name: `${name}@file` }))
  const answers: Readonly<Record<string, unknown>> = {
    '/api/version': { Version: '3.7.9' },
    '/api/entrypoints': named(entryPoints),
    '/api/http/middlewares': named({ ...http.middlewares, 'vestibule-strip': {} }),
    '/api/http/routers': named(http.routers),
  }
  const server = createServer(({ url = '' }, response) => {
    response.end(JSON.stringify(answers[url.replace(/\?.*/, '')]))
  })
  const port = await listenOn(server)
  try {
    const findings = await examine(() =>
      readTraefikApi(`http://127.0.0.1:${port}/api`, createAsk()),
    )
    expect(findings.map(({ code }) => code)).toEqual(['traefik_version', 'strip_missing'])
  } finally {
    await closeServer(server)
  }
})
