import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createTcpServer, type Socket } from 'node:net'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDiscoveryLog } from '../../src/compose/discovery-log.ts'
import { discover } from '../../src/oidc/discovery/discovery.ts'
import { ProviderFault } from '../../src/oidc/request/provider-errors.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { closeServer, listenOn } from '../../stand-ins/network/server.ts'
import { providerFetch } from '../support/provider-fetch.ts'
import { parseLine } from '../support/vestibule.ts'

type Answer = (response: ServerResponse, request: IncomingMessage) => void

let answer: Answer
const plain = createServer((request, response) => answer(response, request))
const raw = createTcpServer((socket) => onRaw(socket.on('error', () => undefined)))
let onRaw: (socket: Socket) => void
const secure = createTlsServer()
const ports = { plain: 0, raw: 0, secure: 0 }
const DAY_MS = 86_400_000
const trusted = tls.getCACertificates('default')
const certificates: Record<string, tls.SecureContextOptions> = {}

beforeAll(async () => {
  const [own, foreign] = [await createAuthority(), await createAuthority('Foreign')]
  tls.setDefaultCACertificates([...trusted, own.certificate])
  const issue = async (authority: typeof own, host: string, lifetimeMs = DAY_MS) => {
    const issued = await authority.issue([host], lifetimeMs)
    return { cert: issued.certificate, key: issued.privateKey }
  }
  certificates['of a foreign authority'] = await issue(foreign, 'localhost')
  certificates['that has expired'] = await issue(own, 'localhost', -1000)
  certificates['of another name'] = await issue(own, 'other.example.com')
  ports.plain = await listenOn(plain)
  ports.secure = await listenOn(secure)
  await new Promise<void>((resolve) => void raw.listen(0, '127.0.0.1', resolve))
  ports.raw = (raw.address() as { port: number }).port
})
afterAll(async () => {
  tls.setDefaultCACertificates(trusted)
  await Promise.all([closeServer(plain), closeServer(secure)])
  raw.close()
})

const urlOf = (url: string) =>
  url.replace(/:(plain|raw|secure)/, (_all, name: keyof typeof ports) => `:${ports[name]}`)

async function faultOf(url: string, seconds = 5): Promise<ProviderFault> {
  const fault: unknown = await providerFetch(urlOf(url), {}, { seconds }).catch(
    (cause: unknown) => cause,
  )
  if (!(fault instanceof ProviderFault)) throw new Error('no fault', { cause: fault })
  return fault
}

const ok = { 'Content-Type': 'application/json' }
const answers: readonly [name: string, url: string, given: Answer, reason: RegExp][] = [
  [
    'nobody listens',
    'http://127.0.0.1:9/a',
    () => undefined,
    /^the connection to 127\.0\.0\.1:9 was refused$/,
  ],
  [
    'there is no such host',
    'https://id.invalid/a',
    () => undefined,
    /no host of the name of id\.invalid:443$|name of id\.invalid:443 could not be resolved/,
  ],
  [
    'the answer is a redirect',
    'http://127.0.0.1:plain/a',
    (response) => response.writeHead(302, { Location: '/b?code=x' }).end(),
    /^the answer is a redirect \(302\) to http:\/\/127\.0\.0\.1:\d+\/b$/,
  ],
  [
    'the redirect is no address',
    'http://127.0.0.1:plain/a',
    (response) => response.writeHead(308, { Location: 'http://' }).end(),
    /redirect \(308\) to another address$/,
  ],
  [
    'the answer is too large',
    'http://127.0.0.1:plain/a',
    (response) => response.writeHead(200, ok).end('x'.repeat(2 ** 20 + 1)),
    /^the answer is larger than 1 MiB$/,
  ],
  [
    'the connection ends before the answer',
    'http://127.0.0.1:plain/a',
    (response) => response.destroy(),
    /^127\.0\.0\.1:\d+ closed the connection before the end of its answer$/,
  ],
  [
    'the connection ends in the answer',
    'http://127.0.0.1:plain/a',
    (response) =>
      response.writeHead(200, { 'Content-Length': 99 }).write('{', () => response.destroy()),
    /closed the connection before the end of its answer$/,
  ],
  [
    'the answer is no JSON',
    'http://127.0.0.1:plain/a',
    (response) => response.writeHead(200, ok).end('{"a":'),
    /^the answer is not readable as JSON$/,
  ],
  [
    'plain http is asked for TLS',
    'https://127.0.0.1:plain/a',
    () => undefined,
    /does not speak TLS at this port: is it plain http\?$/,
  ],
]

describe('C53: a request that fails names its cause', () => {
  test.for(answers)('C53: %s', async ([, url, given, reason]) => {
    answer = given
    const { message, facts } = await faultOf(url)
    expect(message).toMatch(reason)
    expect(facts).toMatchObject({ url: urlOf(url) })
  })

  test('C53: TLS is asked for plain http', async () => {
    onRaw = (socket) => socket.end(Buffer.from([0x15, 3, 1, 0, 2, 2, 0x16]))
    expect((await faultOf('http://127.0.0.1:raw/')).message).toMatch(
      /not answer in HTTP at this port/,
    )
  })

  test.for<[string, RegExp, string?]>([
    [
      'of a foreign authority',
      /is signed by an authority that is not trusted: name/,
      'OIDC_CA_FILE',
    ],
    ['that has expired', /^the certificate of localhost:\d+ has expired$/],
    ['of another name', /^the certificate of localhost:\d+ is for other names$/],
  ])('C53: a certificate %s is named', async ([name, reason, setting]) => {
    secure.setSecureContext(certificates[name] ?? {})
    const { message, facts } = await faultOf('https://localhost:secure/')
    expect([facts.setting, message]).toEqual([setting, expect.stringMatching(reason)])
  })

  test.for<[string, Answer]>([
    ['nothing', () => undefined],
    ['a body in drops', (response) => drip(response.writeHead(200, ok))],
  ])('C53: a server that sends %s is given up in time, with the limit', async ([, given]) => {
    answer = given
    const { message, code } = await faultOf('http://127.0.0.1:plain/', 0.3)
    expect([message, code]).toEqual([
      `127.0.0.1:${ports.plain} gave no complete answer within 0.3 s`,
      'ERR_PROVIDER_TIMEOUT',
    ])
  })
})

/** Sends a byte at a time without an end. */
function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write(' '), 20)
  response.on('close', () => clearInterval(timer))
}

test('C53: a failed discovery is logged with place, status and setting, once for each change of its cause', async () => {
  const lines: string[] = []
  const log = createLog('info', { write: (line) => void lines.push(line) })
  const issuerUrl = urlOf('http://127.0.0.1:plain/realms/x')
  const { onDiscovered, onDiscoveryFailed } = createDiscoveryLog(issuerUrl, log)
  const attempt = async (status: number) => {
    answer = (response) =>
      response
        .writeHead(status, ok)
        .end('{"error":"Realm does not exist","error_description":"See the log"}')
    await discover({ issuerUrl, use: 'sign-in', fetch: providerFetch }).catch(onDiscoveryFailed)
  }
  for (const status of [404, 404, 500, 500, 404]) await attempt(status)
  onDiscovered(['a warning'])
  onDiscovered(['a warning'])
  await attempt(404)
  const found = lines.flatMap(parseLine)
  expect(found.map(({ event, http_status }) => http_status ?? event)).toEqual([
    404,
    500,
    404,
    'provider_discovered',
    'provider_finding',
    'provider_discovered',
    404,
  ])
  const url = `${issuerUrl}/.well-known/openid-configuration`
  expect(found[0]).toMatchObject({
    event: 'provider_discovery_failed',
    endpoint: 'discovery',
    setting: 'OIDC_ISSUER_URL',
    url,
    reason: `the metadata at ${url} were answered with 404 (Realm does not exist: See the log); does OIDC_ISSUER_URL name the right realm? Keycloak before version 17 needs /auth in front of it`,
  })
  expect(found[1]).toMatchObject({ suppressed: 1 })
})
