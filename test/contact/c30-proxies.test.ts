import { createServer } from 'node:https'
import tls from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createProviderFetch } from '../../src/oidc/request/provider-fetch.ts'
import { createAuthority } from '../../stand-ins/certificates.ts'
import {
  type HttpProxy,
  type ProxyBehaviour,
  startHttpProxy,
} from '../../stand-ins/network/http-proxy.ts'
import { closeServer, listenOn } from '../../stand-ins/network/server.ts'
import { AUDIENCE, bearerRule, mintAccessToken, startBearerParty } from '../support/bearers.ts'
import { startTestProvider } from '../support/provider.ts'
import { LOGOUT } from '../support/sign-in-steps.ts'
import { words } from '../support/words.ts'

describe('C30: requests through a proxy', () => {
  const server = createServer((_request, response) =>
    response.setHeader('Content-Type', 'application/json').end('{}'),
  )
  const trusted = tls.getCACertificates('default')
  let proxy: HttpProxy
  let serverPort: number
  beforeAll(async () => {
    const authority = await createAuthority()
    const { certificate: cert, privateKey: key } = await authority.issue(['id.example.com'])
    server.setSecureContext({ cert, key })
    tls.setDefaultCACertificates([...trusted, authority.certificate])
    serverPort = await listenOn(server)
    proxy = await startHttpProxy({ targetPort: serverPort })
  })
  beforeEach(() => proxy.behave('works'))
  afterAll(async () => {
    tls.setDefaultCACertificates(trusted)
    await closeServer(server)
    await proxy[Symbol.asyncDispose]()
  })

  const fetchThrough = (own: Partial<Record<'http' | 'https', string>> = {}) => {
    const address = `http://us%40er:p%3Aw@127.0.0.1:${proxy.port}`
    return createProviderFetch({
      http: address,
      https: address,
      isBypassed: (host) => host === '127.0.0.1',
      ...own,
    })
  }

  test('C30: https goes through one tunnel for several requests, with credentials in clear for the proxy alone', async () => {
    const fetch = fetchThrough()
    const before = proxy.seen.length
    for (const path of ['a', 'b']) {
      const answer = await fetch(`https://id.example.com/${path}`)
      expect([answer.status, answer.url]).toEqual([200, `https://id.example.com/${path}`])
    }
    expect(proxy.seen.slice(before)).toEqual(['CONNECT id.example.com:443'])
    expect(proxy.authorization()).toBe(`Basic ${btoa('us@er:p:w')}`)
  })

  test('C30: a host of NO_PROXY is asked directly', async () => {
    const before = proxy.seen.length
    const url = `https://127.0.0.1:${serverPort}`
    await expect(fetchThrough()(url)).rejects.toThrow(
      /certificate of 127\.0\.0\.1:\d+ is for other/,
    )
    expect(proxy.seen).toHaveLength(before)
  })

  test.for<[ProxyBehaviour, string, RegExp]>([
    [
      407,
      'https',
      /^the proxy http:\S+ answered 407 when it was asked for id\.example\.com:443: it wa/,
    ],
    [407, 'http', /^the proxy http:\S+ answered 407 .*: it wants a user and password/],
    [502, 'https', /^the proxy http:\S+ answered 502 when it was asked for id\.example\.com:443$/],
    ['closes', 'https', /^the proxy http:\S+ closed the connection when it was asked for id\.exa/],
    ['closes', 'http', /^id\.example\.com:80, asked through the proxy \S+, closed the connection/],
    ['is silent', 'https', /^id\.example\.com:443, asked through the proxy \S+, gave no complete/],
    [
      'is silent',
      'http',
      /^id\.example\.com:80, asked through the proxy \S+, gave no complete ans/,
    ],
    [
      'is silent behind the tunnel',
      'https',
      /asked through the proxy \S+, gave no complete answer/,
    ],
  ])('C30: a proxy that %s is named as the cause for %s', async ([behaviour, scheme, reason]) => {
    proxy.behave(behaviour)
    const failed = fetchThrough()(`${scheme}://id.example.com/`, {}, { seconds: 0.5 })
    const facts = { proxy: `http://127.0.0.1:${proxy.port}`, url: `${scheme}://id.example.com/` }
    await expect(failed).rejects.toThrow(
      expect.objectContaining({
        message: expect.stringMatching(reason) as string,
        facts: expect.objectContaining(facts) as object,
      }),
    )
    await expect(failed).rejects.not.toThrow(/p%3Aw|p:w/)
    // Requests that were given up leave no connection open.
    await expect.poll(proxy.connections).toBe(0)
  })

  test.for([
    ['http://127.0.0.1:9', /^the connection to the proxy http:\/\/127\.0\.0\.1:9 was refused$/],
    [
      'http://proxy.invalid:3128',
      /(?:no host of the|^the) name of the proxy http:\/\/proxy\.invalid:3128(?:$| could not)/,
    ],
  ] as const)('C30: a proxy at %s that cannot be reached is named', async ([https, reason]) => {
    const failed = fetchThrough({ https })('https://id.example.com/')
    await expect(failed).rejects.toThrow(reason)
    await expect(failed).rejects.toHaveProperty('facts.setting', 'HTTPS_PROXY')
  })
})

test('C30: discovery, keys, tokens, UserInfo, revocation and other issuers pass the proxy', async () => {
  await using proxy = await startHttpProxy()
  await using other = await startTestProvider()
  await using party = await startBearerParty(
    [bearerRule('/api/**', { issuers: [other.issuer] }), { access: 'signed-in' }],
    { http_proxy: `http://127.0.0.1:${proxy.port}`, OIDC_USERINFO: 'always' },
  )
  const { browser, isSignedIn } = await party.attempt()
  expect([isSignedIn, (await browser.post(LOGOUT)).status]).toEqual([true, 303])
  const token = await mintAccessToken(other, { aud: AUDIENCE })
  expect((await party.present(token)).status).toBe(200)
  const paths = words`/.well-known/openid-configuration /jwks /token /me /token/revocation`
  for (const path of paths) {
    expect(proxy.seen).toContainEqual(expect.stringMatching(`${party.provider.issuer}${path}$`))
  }
  expect(proxy.seen).toContain(`GET ${other.issuer}/jwks`)
})
