import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type ScriptedServer,
  startScriptedServer,
} from '../../stand-ins/network/scripted-server.ts'
import { takeTime } from '../support/passing-time.ts'
import {
  type Behaviour,
  type Endpoint,
  faults,
  startTestProvider,
  type TestProvider,
} from '../support/provider.ts'
import { APP, type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { type RunningVestibule, startVestibule } from '../support/vestibule.ts'

/** So that no test waits for the second in which a provider is not asked again (finding C13). */
const time = takeTime()
let party: RelyingParty
let canary: ScriptedServer

beforeAll(async () => {
  canary = await startScriptedServer()
  party = await startRelyingParty()
})
beforeEach(() => {
  time.pass(1000)
  party.provider.reset()
  canary.script({
    headers: ['Content-Type', 'application/json'],
    body: '{"keys":[],"sub":"alice","email":"root@example.com","email_verified":true}',
  })
})
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  await canary.close()
  time[Symbol.dispose]()
})

describe('A95 SSRF via discovery', () => {
  test('metadata as they are lead to a sign-in', async () => {
    expect((await party.attempt()).isSignedIn).toBe(true)
  })

  test.for<[string, Endpoint, Behaviour['status']]>([
    ['discovery', 'discovery', 302],
    ['the key set', 'jwks', 302],
    ['the key set, for good', 'jwks', 301],
    ['the token endpoint', 'token', 302],
    ['the token endpoint, with the request', 'token', 307],
    ['the token endpoint, with the request, for good', 'token', 308],
    ['UserInfo', 'userinfo', 302],
    ['UserInfo, with the request', 'userinfo', 307],
  ])('a redirect is not followed: %s', async ([, endpoint, status], { expect }) => {
    const redirect = { status: status ?? 302, headers: { Location: canary.url }, body: '' }
    await using fresh = await startRelyingParty({ OIDC_USERINFO: 'always' }, {}, (provider) =>
      provider.set(endpoint, redirect),
    )
    const { isSignedIn, answer } = await fresh.attempt()
    expect(isSignedIn).toBe(false)
    expect([400, 502, 503]).toContain(answer.status)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.location ?? '').not.toContain(canary.url)
    expect(canary.seen).toEqual([])
  })

  test('distributed claims are never fetched', async () => {
    const elsewhere = {
      _claim_names: { groups: 'far', email: 'far', email_verified: 'far' },
      _claim_sources: { far: { endpoint: `${canary.url}/claims`, access_token: 'x' } },
    }
    const without = { groups: undefined, email: undefined, email_verified: undefined }
    party.provider.tamperIdToken({ ...elsewhere, ...without })
    party.provider.set('userinfo', { rewrite: ({ sub }) => ({ sub, ...elsewhere }) })
    const { isSignedIn, identity } = await party.attempt()
    expect(isSignedIn).toBe(true)
    expect(identity).toMatchObject({
      'x-auth-request-groups': '',
      'x-auth-request-email': '',
    })
    expect(canary.seen).toEqual([])
  })

  test('an issuer that somebody names is never asked', async () => {
    const bearer = await party.provider.mintIdToken({ iss: canary.url })
    const headers = { Authorization: `Bearer ${bearer}`, Accept: 'application/json' }
    const check = await party.vestibule.check({}, headers)
    expect(check.status).not.toBe(200)
    party.provider.tamperIdToken({ iss: canary.url })
    expect((await party.attempt()).isSignedIn).toBe(false)
    party.provider.reset()
    const { browser, callbackUrl } = await party.untilCallback()
    const url = new URL(callbackUrl)
    url.searchParams.set('iss', canary.url)
    expect((await browser.get(url.href)).status).toBe(400)
    await browser.get(`${APP}/oauth2/login?rd=${encodeURIComponent(canary.url)}&iss=${canary.url}`)
    expect(canary.seen).toEqual([])
  })

  test('after all of them people sign in', async () => {
    expect((await party.attempt()).isSignedIn).toBe(true)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})

describe('A95 metadata that point elsewhere', () => {
  let provider: TestProvider
  let vestibule: RunningVestibule

  const startUndiscovered = () => {
    provider.set('discovery', faults.html)
    return startVestibule({
      OIDC_ISSUER_URL: provider.issuer,
      OIDC_CLIENT_ID: provider.clientId,
      OIDC_CLIENT_SECRET: provider.clientSecret,
    })
  }
  const pointTo = (endpoint: string, address: string) =>
    provider.set('discovery', { rewrite: (metadata) => ({ ...metadata, [endpoint]: address }) })

  beforeAll(async () => {
    provider = await startTestProvider({ origins: [APP] })
    vestibule = await startUndiscovered()
  })
  afterAll(async () => {
    await vestibule.stop()
    await provider.close()
  })

  const port = () => new URL(canary.url).port
  const addresses: readonly (readonly [string, () => string])[] = [
    ['the metadata service of clouds', () => 'http://169.254.169.254/latest/meta-data/'],
    ['the same over https', () => 'https://169.254.169.254/latest/meta-data/'],
    ['the same as one number', () => 'http://2852039166/latest'],
    ['the same in octal', () => 'http://0251.0376.0251.0376/'],
    ['another loopback address', () => `http://127.0.0.2:${port()}/`],
    ['every address', () => `http://0.0.0.0:${port()}/`],
    ['loopback in IPv6', () => `http://[::1]:${port()}/`],
    ['IPv4 inside IPv6', () => `http://[::ffff:127.0.0.1]:${port()}/`],
    ['a private network', () => 'https://10.0.0.1/'],
    ['user info', () => `http://user:secret@127.0.0.1:${port()}/`],
    ['a file', () => 'file:///etc/passwd'],
    ['another protocol', () => `gopher://127.0.0.1:${port()}/_FLUSHALL`],
    ['a script', () => 'javascript:alert(1)'],
    ['data', () => 'data:application/json,{}'],
    ['no URL', () => 'jwks'],
  ]
  const endpoints = ['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'userinfo_endpoint']
  const cases = addresses.flatMap(([name, address]) =>
    [...endpoints, 'end_session_endpoint', 'revocation_endpoint'].map(
      (endpoint) => [endpoint, name, address] as const,
    ),
  )

  test.for(cases)('%s at %s is refused', async ([endpoint, , address], { expect }) => {
    pointTo(endpoint, address())
    const login = await vestibule.visitor().get(`${APP}/oauth2/login?rd=/`)
    expect(login.status).toBe(503)
    expect(login.headers['retry-after']).toBeDefined()
    expect(login.setCookies).toEqual([])
    expect(canary.seen).toEqual([])
  })

  // The endpoints of well-known providers lie at several hosts, so another host as such is no fault; this machine is.
  test.for(['localhost', 'localhost.', 'redis.localhost'])(
    'an endpoint at %s is refused when the issuer is elsewhere',
    async (name, { expect }) => {
      await using fresh = await startUndiscovered()
      pointTo('token_endpoint', `http://${name}:${port()}/token`)
      const login = await fresh.visitor().get(`${APP}/oauth2/login?rd=/`)
      expect(login.status).toBe(503)
      expect(canary.seen).toEqual([])
    },
  )

  test('the right metadata are taken as soon as they are there', async () => {
    provider.reset()
    const login = async () => (await vestibule.visitor().get(`${APP}/oauth2/login?rd=/`)).location
    // The first may join an attempt that began before.
    await expect.poll(login).toMatch(`${provider.issuer}/auth?`)
    expect(vestibule.isAlive()).toBe(true)
  })
})
