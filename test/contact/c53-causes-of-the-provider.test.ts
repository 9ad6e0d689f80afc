import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { describe, expect, test } from 'vitest'
import { createAuthority } from '../../stand-ins/certificates.ts'
import { listenOn } from '../../stand-ins/network/server.ts'
import { type Behaviour, faults, type TestProvider } from '../support/provider.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { startVestibule } from '../support/vestibule.ts'

/** Row of docs/operations.md whose line is quoted, with PROVIDER for the address of the provider. */
interface Row {
  readonly symptom: string
  readonly event: string
  readonly code: string | undefined
  readonly reason: string
}

function documentedRows(): readonly Row[] {
  const page = readFileSync('docs/operations.md', 'utf8')
  const [, behind = ''] = page.split('### Which line names which fault at the provider\n')
  const [section = ''] = behind.split('\n## ')
  const found = section.matchAll(/^\| ([^|]+) \| `(\w+)`(?: `(\w+)`)? "([^|]+)" \|/gm)
  return [...found].map(([, symptom = '', event = '', code, reason = '']) => ({
    symptom,
    event,
    code,
    reason,
  }))
}

const party = useParty({ OIDC_USERINFO: 'always' })
const json = { 'Content-Type': 'application/json' }
const says = (status: number, error: string, description: string): Behaviour => ({
  status,
  headers: json,
  body: JSON.stringify({ error, error_description: description }),
})

type Lines = ReturnType<typeof party.vestibule.log>
type Cause = () => Promise<readonly [Lines, address: string]>

/** A sign-in at the common party, behind what is set at its provider. */
const signIn =
  (prepare: (provider: TestProvider) => unknown): Cause =>
  async () => {
    prepare(party.provider)
    const before = party.vestibule.log().length
    await party.attempt()
    return [party.vestibule.log().slice(before), party.provider.issuer]
  }
const tampered = (changes: Parameters<TestProvider['tamperIdToken']>[0]) =>
  signIn((provider) => provider.tamperIdToken(changes))
const token = (behaviour: Behaviour) => signIn((provider) => provider.set('token', behaviour))
const userinfo = (behaviour: Behaviour) => signIn((provider) => provider.set('userinfo', behaviour))

/** A callback with an error in place of a code. */
const callback =
  (error: string, description: string): Cause =>
  async () => {
    const browser = party.visitor()
    const state = steps.sentAlong(await steps.startLogin(browser), 'state')
    const query = new URLSearchParams({ error, error_description: description, state })
    const before = party.vestibule.log().length
    await browser.get(`${steps.CALLBACK}?${query.toString()}`)
    return [party.vestibule.log().slice(before), party.provider.issuer]
  }

/** A party of its own, behind what is set at its provider. */
const fresh =
  (settings: Readonly<Record<string, string>>, prepare: (each: TestProvider) => unknown): Cause =>
  async () => {
    await using own = await startRelyingParty(settings)
    prepare(own.provider)
    await own.attempt()
    return [own.vestibule.log(), own.provider.issuer]
  }

/** A service whose issuer cannot be discovered. */
const undiscovered =
  (issuerOf: () => Promise<string> | string): Cause =>
  async () => {
    const issuer = await issuerOf()
    await using vestibule = await startVestibule({ OIDC_ISSUER_URL: issuer })
    const lines = () => vestibule.log()
    await expect
      .poll(() => lines().some(({ event }) => event === 'provider_discovery_failed'))
      .toBe(true)
    return [lines(), new URL(issuer).origin]
  }

const refreshed =
  (behaviour: Behaviour): Cause =>
  async () => {
    await using own = await startRelyingParty({ PASS_ACCESS_TOKEN: 'true' })
    own.provider.set('token', { rewrite: (body) => ({ ...body, expires_in: 0 }), times: 1 })
    const { browser, callbackUrl } = await own.untilCallback()
    await browser.get(callbackUrl)
    own.provider.set('token', behaviour)
    await own.vestibule.check({}, { Cookie: steps.cookieHeader(browser) })
    return [own.vestibule.log(), own.provider.issuer]
  }

const nowSeconds = () => Math.floor(Date.now() / 1000)

async function untrusted(): Promise<string> {
  const authority = await createAuthority()
  const { privateKey: key, certificate: cert } = await authority.issue(['127.0.0.1'])
  const server = createServer({ key, cert }, (_, response) => void response.end())
  const port = await listenOn(server)
  server.unref()
  return `https://127.0.0.1:${port}`
}

const DEX = 'Refresh token is invalid or has already been claimed by another client.'

/** How each documented symptom is brought about. */
const causes: Readonly<Record<string, Cause>> = {
  'a wrong client secret': fresh({ OIDC_CLIENT_SECRET: 'wrong' }, () => undefined),
  'a wrong client secret at Keycloak': token(
    says(401, 'unauthorized_client', 'Invalid client or Invalid client credentials'),
  ),
  'a redirect URI that is not registered': token(
    says(400, 'invalid_grant', 'Incorrect redirect_uri'),
  ),
  'PKCE is refused': token(says(400, 'invalid_grant', 'PKCE verification failed')),
  'the token endpoint fails': token(faults.serverError),
  'the token endpoint answers with a page': token(faults.html),
  'the token endpoint gives no tokens': token(faults.emptyObject),
  'the token endpoint closes the connection': token(faults.down),
  'the clock is wrong': signIn((provider) => provider.tamperIdToken({ iat: nowSeconds() + 3600 })),
  'another issuer in the ID token': tampered({ iss: 'https://id.example.com' }),
  'an ID token for another client': tampered({ aud: 'other' }),
  'an ID token without a nonce': tampered({ nonce: undefined }),
  'an encrypted ID token': token({ rewrite: (body) => ({ ...body, id_token: 'a.b.c.d.e' }) }),
  'a sub that is a number': tampered({ sub: 42 }),
  'the key set fails': fresh({}, (provider) => provider.set('jwks', faults.serverError)),
  'UserInfo refuses': userinfo({ status: 403, headers: json, body: '{}' }),
  'UserInfo fails': userinfo(faults.serverError),
  'a scope that does not exist': callback('invalid_scope', 'Invalid scopes: openid groups'),
  'the person or the provider said no': callback('access_denied', 'User is not assigned'),
  'the provider is busy': callback('temporarily_unavailable', 'authentication_expired'),
  'a refresh token of an earlier sign-in at Dex': refreshed(says(400, 'invalid_request', DEX)),
  'a misspelt realm': undiscovered(() => `${party.provider.issuer}/realms/misspelt`),
  'no such host': undiscovered(() => 'https://no-such-host.invalid'),
  'nothing listens there': undiscovered(() => 'https://127.0.0.1:9'),
  'an unknown authority': undiscovered(untrusted),
}

describe('C53: the line about a fault at the provider', () => {
  const rows = documentedRows()
  test('is documented for each cause that is tried, and the other way round', () =>
    expect(rows.map(({ symptom }) => symptom).toSorted()).toEqual(Object.keys(causes).toSorted()))

  test.for(Object.entries(causes))('is the documented one: %s', async ([symptom, cause]) => {
    const [lines, address] = await cause()
    const row = rows.find((each) => each.symptom === symptom)
    const quoted = lines
      .filter(({ event }) =>
        /^(?:refused|provider_discovery_failed|session_not_refreshed)$/.test(String(event)),
      )
      .map(({ event, code, reason }) => ({
        symptom,
        event,
        code,
        reason: String(reason)
          .replaceAll(address, 'PROVIDER')
          .replace(/(?:127\.0\.0\.1|no-such-host\.invalid):\d+/, 'HOST:PORT')
          .replace(/\b\d+ s ahead/, 'N s ahead'),
      }))
    expect(quoted).toContainEqual(row)
  })
})

test('C53: tokens that could not be revoked are logged with what the provider answered', async () => {
  party.provider.set('revocation', says(400, 'unsupported_token_type', 'no such type'))
  const { browser } = await party.attempt()
  await browser.post(steps.LOGOUT, {}, { headers: { 'Sec-Fetch-Site': 'same-origin' } })
  const line = () => party.vestibule.log().findLast(({ event }) => event === 'revocation_failed')
  await expect.poll(line).toMatchObject({
    reason:
      'the revocation endpoint of the provider answered 400 unsupported_token_type: no such type',
    endpoint: 'revocation_endpoint',
    url: `${party.provider.issuer}/token/revocation`,
    http_status: 400,
  })
})
