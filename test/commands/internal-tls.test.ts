import { X509Certificate } from 'node:crypto'
import { createServer as createPlainServer } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { healthcheck } from '../../src/commands/healthcheck.ts'
import { internalListeners } from '../../src/commands/internal-listener.ts'
import { sessions } from '../../src/commands/sessions.ts'
import { type Authority, type Certificate, createAuthority } from '../../stand-ins/certificates.ts'
import { runCommand } from '../support/command.ts'
import { useFolder } from '../support/configuration.ts'

const folder = useFolder()
const SERVICE = ['vestibule.shop.svc']
const NONE = '{"sessions":[],"truncated":false}'

let authority: Authority
let stranger: Authority
/** The certificate that names the Service only, as cert-manager writes it: without its authority. */
let own: Certificate
let env: Record<'INTERNAL_TLS_CERT_FILE' | 'INTERNAL_TLS_KEY_FILE' | 'HOST' | 'ADMIN_TOKEN', string>
beforeAll(async () => {
  authority = await createAuthority('Authority of the service')
  stranger = await createAuthority('Authority of a stranger')
  own = await authority.issue(SERVICE)
  env = {
    HOST: '127.0.0.1',
    ADMIN_TOKEN: 'the-token-of-the-service',
    INTERNAL_TLS_CERT_FILE: await folder.write(own.certificate),
    INTERNAL_TLS_KEY_FILE: await folder.write(own.privateKey),
  }
})

interface Seen {
  readonly path: string | undefined
  readonly token: string | undefined
  readonly presented: string | undefined
}
let seen: Seen[]
let closings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await Promise.all(closings.map((close) => close()))
  closings = []
})

/** Stands in for the service's internal listener. Resolves with its port. */
const serve = async (options: ServerOptions | undefined, status = 200): Promise<string> => {
  seen = []
  const server = options ? createServer(options) : createPlainServer()
  server.on('request', ({ socket, headers, url }, answer) => {
    const presented = options && (socket as TLSSocket).getPeerX509Certificate()
    seen.push({ path: url, token: headers.authorization, presented: presented?.fingerprint256 })
    answer.writeHead(status).end(NONE)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closings.push(() => new Promise((resolve) => server.close(resolve)))
  return String((server.address() as AddressInfo).port)
}
const holding = ({ certificate, privateKey }: Certificate): ServerOptions => ({
  cert: certificate,
  key: privateKey,
})
const list = (changes: object, ...args: string[]) =>
  runCommand(() => sessions({ ...env, ...changes }, 'list', ...args))
const LISTED = { code: 0, output: 'There are no sessions.\n' }

test.for([
  [{}, 'https://127.0.0.1:4181'],
  [{ HOST: '::', INTERNAL_PORT: '5000' }, 'https://127.0.0.1:5000'],
  [{ INTERNAL_TLS_CERT_FILE: '' }, 'http://127.0.0.1:4181'],
] as const)('with TLS and %o the service is asked at %s', ([changes, origin]) => {
  expect(internalListeners({ ...env, ...changes })[0]).toBe(origin)
})

describe('healthcheck asks over TLS', () => {
  test.for<[string, () => Promise<ServerOptions | undefined>, number, 0 | 1]>([
    ['its certificate', async () => holding(own), 200, 0],
    ['the one before a renewal', async () => holding(await authority.issue(['older'])), 200, 0],
    ['one of an earlier authority', async () => holding(await stranger.issue(SERVICE)), 200, 0],
    ['one that has expired', async () => holding(await authority.issue(SERVICE, -1000)), 200, 0],
    ['its certificate, not ready', async () => holding(own), 503, 1],
    ['no TLS', async () => undefined, 200, 1],
  ])('with %s', async ([, options, status, code]) => {
    const INTERNAL_PORT = await serve(await options(), status)
    expect(await healthcheck({ ...env, INTERNAL_PORT })).toBe(code)
    for (const { path, token } of seen) expect([path, token]).toEqual(['/readyz', undefined])
  })

  test('whatever the files hold by now, because the service keeps those it has read', async () => {
    const INTERNAL_PORT = await serve(holding(own))
    const broken = await folder.write('no certificate')
    const changes = [
      { INTERNAL_TLS_CERT_FILE: broken, INTERNAL_TLS_KEY_FILE: broken },
      { INTERNAL_TLS_KEY_FILE: folder.pathOf('missing') },
    ]
    for (const each of changes)
      expect(await healthcheck({ ...env, ...each, INTERNAL_PORT })).toBe(0)
  })
})

describe('sessions asks over TLS and sends the token', () => {
  const withChain = async () => ({
    INTERNAL_TLS_CERT_FILE: await folder.write(`${own.certificate}\n${authority.certificate}`),
  })
  test.for<[string, () => Promise<Certificate>, () => Promise<object>]>([
    [
      'the certificate of the file, which names the Service only',
      async () => own,
      async () => ({}),
    ],
    ['its renewal by the authority in the file', () => authority.issue(SERVICE), withChain],
  ])('to %s', async ([, server, changes]) => {
    const INTERNAL_PORT = await serve(holding(await server()))
    expect(await list({ ...(await changes()), INTERNAL_PORT })).toEqual(LISTED)
    expect(seen).toMatchObject([{ token: `Bearer ${env.ADMIN_TOKEN}`, presented: undefined }])
  })

  const NOT_OURS = /: [A-Z_]+, its certificate is neither that of INTERNAL_TLS_CERT_FILE nor by an /
  test.for<[string, () => Promise<Certificate | undefined>, () => Promise<object>, RegExp]>([
    ["a stranger's of the same names", () => stranger.issue(SERVICE), withChain, NOT_OURS],
    ["a stranger's of this address", () => stranger.issue(['127.0.0.1']), withChain, NOT_OURS],
    ['another of the authority', () => authority.issue(['traefik']), withChain, NOT_OURS],
    [
      'its renewal, without the authority',
      () => authority.issue(SERVICE),
      async () => ({}),
      NOT_OURS,
    ],
    [
      'an expired one',
      () => authority.issue(SERVICE, -1000),
      withChain,
      /: CERT_HAS_EXPIRED, its certificate has expired; renew /,
    ],
    ['no TLS', async () => undefined, withChain, /, it does not speak TLS; does the service run /],
  ])('but not to %s', async ([, server, changes, told]) => {
    const certificate = await server()
    const INTERNAL_PORT = await serve(certificate && holding(certificate))
    const { code, output } = await list({ ...(await changes()), INTERNAL_PORT })
    expect({ code, output }).toEqual({ code: 1, output: expect.stringMatching(told) as string })
    expect(output).toMatch(/^vestibule: no answer from https:\/\/127\.0\.0\.1:\d+: /)
    expect(seen).toEqual([])
  })

  test('and presents the certificate of the service where a client CA is set, or that of its options', async () => {
    const ca = authority.certificate
    const INTERNAL_TLS_CLIENT_CA_FILE = await folder.write(ca)
    const demanding = { requestCert: true, rejectUnauthorized: true, ca }
    const INTERNAL_PORT = await serve({ ...holding(own), ...demanding })
    expect(await list({ INTERNAL_TLS_CLIENT_CA_FILE, INTERNAL_PORT })).toEqual(LISTED)
    const operator = await authority.issue(['operator'])
    const cert = ['--cert', await folder.write(operator.certificate)]
    const key = ['--key', await folder.write(operator.privateKey)]
    expect(await list({ INTERNAL_PORT }, ...cert, ...key)).toEqual(LISTED)
    const presented = [own, operator].map(
      ({ certificate }) => new X509Certificate(certificate).fingerprint256,
    )
    expect(seen.map((each) => each.presented)).toEqual(presented)
  })

  test('at another address with the authority that --ca names, and to the name that it was given alone', async () => {
    const port = await serve(holding(await authority.issue(['localhost'])))
    const elsewhere = { INTERNAL_TLS_CERT_FILE: '', INTERNAL_TLS_KEY_FILE: '' }
    const url = `--url=https://localhost:${port}`
    const ca = `--ca=${await folder.write(authority.certificate)}`
    expect(await list(elsewhere, url, ca)).toEqual(LISTED)
    const refused = [
      [url],
      [`--url=https://127.0.0.1:${port}`, ca],
      [url, `--ca=${await folder.write(stranger.certificate)}`],
    ]
    for (const args of refused) expect((await list(elsewhere, ...args)).code).toBe(1)
    expect(seen).toHaveLength(1)
  })

  test.for([
    [
      'INTERNAL_TLS_CERT_FILE',
      /^\S+ INTERNAL_TLS_CERT_FILE: \S+missing cannot be read \(ENOENT\)[^;]*$/,
    ],
    ['INTERNAL_TLS_KEY_FILE', /INTERNAL_TLS_KEY_FILE: \S+missing cannot be read \(ENOENT\)/],
  ] as const)('and names %s where it cannot be read', async ([name, told]) => {
    const clients = { INTERNAL_TLS_CLIENT_CA_FILE: folder.pathOf('unread') }
    const { code, output } = await list({ ...clients, [name]: folder.pathOf('missing') })
    expect({ code, output }).toEqual({ code: 1, output: expect.stringMatching(told) as string })
  })
})
