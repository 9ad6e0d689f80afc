import { beforeEach, describe, expect, test } from 'vitest'
import { usableMetadata } from '../../src/oidc/discovery/metadata.ts'
import { useCanary } from '../support/canary.ts'
import { takeTime } from '../support/passing-time.ts'
import { prepared } from '../support/prepared.ts'
import { type Endpoint, faults, startTestProvider } from '../support/provider.ts'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import { startLogin, withQuery } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

/** Passes the second in which a provider is not asked again (finding C13). */
const time = takeTime()

const root = { sub: 'alice', email: 'root@example.com', email_verified: true }
const canary = useCanary(() => ({ keys: [], ...root }))
const party = useParty()

beforeEach(() => time.pass(1000))

describe('A95 SSRF via discovery', () => {
  test.for<[string, Endpoint, number]>([
    ['discovery', 'discovery', 302],
    ['the key set', 'jwks', 302],
    ['the key set, for good', 'jwks', 301],
    ['the token endpoint', 'token', 302],
    ['the token endpoint, with the request', 'token', 307],
    ['the token endpoint, with the request, for good', 'token', 308],
    ['UserInfo', 'userinfo', 302],
    ['UserInfo, with the request', 'userinfo', 307],
  ])('a redirect is not followed: %s', async ([, endpoint, status]) => {
    const redirect = { status, headers: { Location: canary.url }, body: '' }
    await using fresh = await startRelyingParty({ OIDC_USERINFO: 'always' }, {}, (provider) =>
      provider.set(endpoint, redirect),
    )
    const { isSignedIn, answer } = await fresh.attempt()
    expect(isSignedIn).toBe(false)
    expect([400, 502, 503]).toContain(answer.status)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.location ?? '').not.toContain(canary.url)
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
    expect(identity).toMatchObject({ 'x-auth-request-groups': '', 'x-auth-request-email': '' })
  })

  test('an issuer that a stranger names is never asked', async () => {
    const bearer = await party.provider.mintIdToken({ iss: canary.url })
    const headers = { Authorization: `Bearer ${bearer}`, Accept: 'application/json' }
    expect((await party.check({}, headers)).status).not.toBe(200)
    party.provider.tamperIdToken({ iss: canary.url })
    expect((await party.attempt()).isSignedIn).toBe(false)
    party.provider.reset()
    const { browser, callbackUrl } = await party.untilCallback()
    expect((await browser.get(withQuery(callbackUrl, { iss: canary.url }))).status).toBe(400)
    await browser.get(`${APP}/oauth2/login?rd=${encodeURIComponent(canary.url)}&iss=${canary.url}`)
  })

  test('after all of them people sign in', async () =>
    expect((await party.attempt()).isSignedIn).toBe(true))
})

describe('A95 metadata that point elsewhere', () => {
  const provider = prepared(() => startTestProvider({ origins: [APP] }))
  const startUndiscovered = () => {
    provider().set('discovery', faults.html)
    return startVestibule({
      OIDC_ISSUER_URL: provider().issuer,
      OIDC_CLIENT_ID: provider().clientId,
      OIDC_CLIENT_SECRET: provider().clientSecret,
    })
  }

  const pointTo = (endpoint: string, address: string) =>
    provider().set('discovery', { rewrite: (metadata) => ({ ...metadata, [endpoint]: address }) })
  const vestibule = prepared(() => startUndiscovered())

  const addresses = words`
    http://169.254.169.254/latest/meta-data/ https://169.254.169.254/latest/meta-data/
    http://2852039166/latest http://0251.0376.0251.0376/ http://127.0.0.2:{port}/
    http://0.0.0.0:{port}/ http://[::1]:{port}/ http://[::ffff:127.0.0.1]:{port}/ https://10.0.0.1/
    http://user:secret@127.0.0.1:{port}/ file:///etc/passwd gopher://127.0.0.1:{port}/_FLUSHALL
    javascript:alert(1) data:application/json,{} jwks
  `

  const endpoints = ['authorization_endpoint', 'token_endpoint', 'jwks_uri']
  const cases = addresses.flatMap((address) =>
    endpoints.map((endpoint) => [endpoint, address] as const),
  )

  test.for(cases)('%s at %s is refused', async ([endpoint, address]) => {
    pointTo(endpoint, address.replace('{port}', canary.port))
    const login = await startLogin(vestibule().visitor())
    expect([login.status, login.setCookies]).toEqual([503, []])
    expect(login.headers['retry-after']).toBeDefined()
  })

  // The endpoints of well-known providers lie at several hosts, so only a name of this machine is refused.
  test.for(words`
    localhost localhost. redis.localhost
  `)('an endpoint at %s is refused when the issuer is elsewhere', async (name) => {
    await using fresh = await startUndiscovered()
    pointTo('token_endpoint', `http://${name}:${canary.port}/token`)
    expect((await startLogin(fresh.visitor())).status).toBe(503)
  })

  const optional = ['userinfo_endpoint', 'end_session_endpoint', 'revocation_endpoint']
  test.for(optional)('%s anywhere of these counts as absent', (endpoint) => {
    const { issuer } = provider()
    const paths = { authorization_endpoint: '/auth', token_endpoint: '/token', jwks_uri: '/jwks' }
    const needed: Record<string, string> = {}
    for (const [name, path] of Object.entries(paths)) needed[name] = issuer + path
    for (const address of addresses) {
      const url = address.replace('{port}', canary.port)
      const found = { ...needed, issuer, [endpoint]: url }
      const { metadata, warnings } = usableMetadata(found, { issuerUrl: issuer, use: 'sign-in' })
      expect(metadata, address).not.toHaveProperty(endpoint)
      expect(warnings, address).toEqual([expect.stringContaining(`${endpoint} is `)])
    }
  })

  test('the right metadata are taken as soon as they are there', async () => {
    provider().reset()
    // The first login may join an attempt that began before.
    const login = async () => (await startLogin(vestibule().visitor())).location
    await expect.poll(login).toMatch(`${provider().issuer}/auth?`)
    expect(vestibule().isAlive()).toBe(true)
  })
})
