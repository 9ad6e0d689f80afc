import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import zlib from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { bearerRule, startBearerParty } from '../support/bearers.ts'
import { providerFetch } from '../support/provider-fetch.ts'

const BODY = '{"issuer":"https://id.example.com"}'
const encoders: Readonly<Record<string, (body: string) => Buffer>> = {
  br: zlib.brotliCompressSync,
  gzip: zlib.gzipSync,
  'x-gzip': zlib.gzipSync,
  deflate: zlib.deflateSync,
  zstd: zlib.zstdCompressSync,
}

let answer: (response: ServerResponse, request: IncomingMessage) => void
let url: string
const server = createServer((request, response) => {
  response.setHeader('Content-Type', 'application/json')
  answer(response, request)
})
beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
afterAll(() => server.close().closeAllConnections())

const decoders = [
  'createBrotliDecompress',
  'createGunzip',
  'createInflate',
  'createZstdDecompress',
] as const

describe('C15: answers of providers and issuers', () => {
  test('C15: every request asks for an unencoded answer, also where the caller says otherwise', async () => {
    const seen: unknown[] = []
    answer = (response, { headers }) => {
      seen.push(headers['accept-encoding'])
      response.end(BODY)
    }
    await providerFetch(url)
    const headers = { 'Accept-Encoding': 'br', Authorization: 'Basic x' }
    const form = new URLSearchParams({ grant_type: 'refresh_token' })
    await providerFetch(url, { method: 'POST', body: form, headers })
    expect(seen).toEqual(['identity', 'identity'])
  })

  test('a connection whose answer was read to its end carries the next request', async () => {
    const ports = new Set<number | undefined>()
    answer = (response, { socket }) => {
      ports.add(socket.remotePort)
      response.end(BODY)
    }
    for (let asked = 0; asked < 3; asked++) await providerFetch(url)
    expect(ports.size).toBe(1)
  })

  const refused: readonly (readonly [
    shown: string,
    values: string | string[],
    body: Buffer | string,
  ])[] = [
    ...Object.entries(encoders).map(([name, encode]) => [name, name, encode(BODY)] as const),
    ['br', 'BR ', zlib.brotliCompressSync(BODY)],
    ['gzip, br', 'gzip, br', zlib.brotliCompressSync(zlib.gzipSync(BODY))],
    ['br', ['identity', 'br'], zlib.brotliCompressSync(BODY)],
    ['gzip, gzip', ['gzip', 'gzip'], zlib.gzipSync(zlib.gzipSync(BODY))],
    ['made-up', 'made-up', BODY],
    ['unknown', 'b\xe4d "quoted"', BODY],
    ['unknown', 'x'.repeat(30), BODY],
  ]
  test.for(refused)('C15: an answer in %s (%j) is refused', async ([shown, values, body]) => {
    answer = (response) => void response.setHeader('Content-Encoding', values).end(body)
    await expect(providerFetch(url)).rejects.toThrow(
      expect.objectContaining({
        name: 'ProviderFault',
        code: 'ERR_PROVIDER_CONTENT_ENCODING',
        message: expect.stringContaining(`encoded (${shown})`) as string,
      }),
    )
  })

  test.for([[undefined], ['identity'], ['Identity'], [''], ['identity, identity']])(
    'C15: an answer with Content-Encoding %j is read',
    async ([value]) => {
      answer = (response) => {
        if (value !== undefined) response.setHeader('Content-Encoding', value)
        response.end(BODY)
      }
      expect(await (await providerFetch(url)).text()).toBe(BODY)
    },
  )

  test.for([200, 302, 400, 404])('C15: an encoded answer with %i is refused', async (status) => {
    answer = (response) => void response.writeHead(status, { 'Content-Encoding': 'br' }).end('x')
    await expect(providerFetch(url)).rejects.toThrow(/encoded \(br\)/)
  })

  test.for([429, 500, 503])(
    'C15: an encoded answer with status %i counts as an outage of the provider, without its body',
    async (status) => {
      const headers = { 'Content-Encoding': 'br', 'Retry-After': '7' }
      answer = (response) => void response.writeHead(status, headers).end('x')
      const { headers: told, ...response } = await providerFetch(url).then(async (given) => ({
        status: given.status,
        headers: given.headers,
        body: await given.text(),
      }))
      expect([response, told.get('retry-after')]).toEqual([{ status, body: '' }, '7'])
    },
  )

  /** Time limit that leaves time for the answer to begin; the test is about whether it ends at all. */
  const BRIEF_SECONDS = 0.3
  test.for<[string, typeof answer]>([
    [
      'that switch protocols',
      ({ socket }) =>
        void socket?.write('HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
    ],
    ['that say nothing', () => undefined],
    [
      'whose body has no length and no end',
      ({ socket }) =>
        void socket?.write(
          'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{}',
        ),
    ],
  ])('answers %s end with the time limit', async ([, given]) => {
    answer = given
    await expect(providerFetch(url, {}, { seconds: BRIEF_SECONDS })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_PROVIDER_TIMEOUT' }),
    )
  })

  test('C15: an answer that would expand without end is neither decoded nor read', async () => {
    const spies = decoders.map((name) => vi.spyOn(zlib, name))
    const bomb = zlib.brotliCompressSync(Buffer.alloc(8 * 1024 * 1024))
    const closed = Promise.withResolvers<void>()
    answer = (response) => {
      response.on('close', closed.resolve).setHeader('Content-Encoding', 'br')
      // The answer never ends: whoever read it would wait.
      response.write(bomb)
    }
    await expect(providerFetch(url)).rejects.toThrow(/encoded \(br\)/)
    await closed.promise
    for (const spy of spies) expect(spy).not.toHaveBeenCalled()
    vi.restoreAllMocks()
  })
})

test('C15: an encoded answer of any endpoint is refused with its cause in the log', async () => {
  const encoded = { rewrite: (all: object) => ({ ...all }), headers: { 'Content-Encoding': 'br' } }
  await using party = await startBearerParty(
    [bearerRule('/api/**'), { access: 'signed-in' }],
    { OIDC_USERINFO: 'always' },
    (provider) => provider.set('discovery', encoded),
  )
  const { provider, vestibule } = party
  const reasons = (event: string) =>
    vestibule.log().flatMap((line) => (line['event'] === event ? [line['reason']] : []))
  const named = expect.stringContaining('encoded (br)') as string
  await expect.poll(() => reasons('provider_discovery_failed')[0]).toEqual(named)
  provider.reset()
  await expect.poll(() => reasons('provider_discovered')).toHaveLength(1)

  provider.set('jwks', encoded)
  expect((await party.present(await party.mint())).status).toBe(503)
  for (const endpoint of ['jwks', 'token', 'userinfo'] as const) {
    provider.reset()
    provider.set(endpoint, encoded)
    const { answer, isSignedIn } = await party.attempt()
    expect([endpoint, answer.status, isSignedIn]).toEqual([endpoint, 502, false])
    await expect.poll(() => reasons('refused').at(-1)).toEqual(named)
  }
  provider.reset()
  provider.set('revocation', { status: 200, body: '{}', headers: encoded.headers })
  const { browser, isSignedIn } = await party.attempt()
  expect(isSignedIn).toBe(true)
  await browser.post(
    'https://app.example.com/oauth2/logout',
    {},
    { headers: { 'Sec-Fetch-Site': 'same-origin' } },
  )
  await expect
    .poll(() => vestibule.log().find(({ event }) => event === 'revocation_failed')?.['code'])
    .toBe('provider_failed')
  const endpoints = ['discovery', 'jwks', 'token', 'userinfo', 'revocation'] as const
  const asked = endpoints.flatMap((endpoint) => provider.requests(endpoint))
  for (const { headers } of asked) expect(headers['accept-encoding']).toBe('identity')
})
