import { expect, test } from 'vitest'
import { discover } from '../../src/oidc/discovery/discovery.ts'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import type { Endpoint } from '../support/provider.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { LOGOUT } from '../support/sign-in-steps.ts'

const ISSUER = 'https://id.example.com/realms/x'
const INSIDE = 'http://keycloak:8080/realms/x'
const usual = {
  issuer: ISSUER,
  authorization_endpoint: `${ISSUER}/auth`,
  token_endpoint: `${ISSUER}/token`,
  jwks_uri: `${ISSUER}/certs`,
}

/** Returns what discovery makes of these metadata, and the address that it asked. */
async function discovered(changes: object, issuerUrl = ISSUER, internalUrl = INSIDE) {
  const asked: string[] = []
  const fetch = (url: string) => {
    asked.push(url)
    return Promise.resolve(Response.json({ ...usual, ...changes }))
  }
  const { metadata } = await discover({ issuerUrl, internalUrl, use: 'sign-in', fetch })
  return { asked, metadata: { ...metadata } as Readonly<Record<string, unknown>> }
}

test.for([
  ['token_endpoint', `${ISSUER}/token`, `${INSIDE}/token`],
  ['token_endpoint', `${INSIDE}/token`, `${INSIDE}/token`],
  ['token_endpoint', 'https://other.example.com/token', 'https://other.example.com/token'],
  ['token_endpoint', 'https://id.example.com/token', 'https://id.example.com/token'],
  ['userinfo_endpoint', `${ISSUER}y/me`, `${ISSUER}y/me`],
  ['userinfo_endpoint', `${ISSUER}?me`, `${INSIDE}?me`],
  ['revocation_endpoint', ISSUER, INSIDE],
  ['jwks_uri', 'HTTPS://ID.example.com:443/realms/x/certs?a=b', `${INSIDE}/certs?a=b`],
  ['jwks_uri', 'http://keycloak:8080/certs', 'http://keycloak:8080/certs'],
  ['authorization_endpoint', `${ISSUER}/auth`, `${ISSUER}/auth`],
  ['authorization_endpoint', `${INSIDE}/auth`, `${ISSUER}/auth`],
  ['authorization_endpoint', 'https://login.example.com/auth', 'https://login.example.com/auth'],
  ['end_session_endpoint', `${INSIDE}/logout`, `${ISSUER}/logout`],
] as const)('C29: %s at %s is asked for or visited at %s', async ([name, given, placed]) => {
  const { asked, metadata } = await discovered({ [name]: given })
  expect(metadata[name]).toBe(placed)
  expect(asked).toEqual([`${INSIDE}/.well-known/openid-configuration`])
  expect(metadata['issuer']).toBe(ISSUER)
})

test.for([
  ['https://id.example.com/', 'http://dex:5556/dex'],
  ['https://id.example.com', 'http://10.1.2.3:8080/'],
  ['https://id.example.com/a/b/', 'https://[fd00::7]/c/'],
  ['https://id.example.com', 'http://localhost:8080'],
] as const)('C29: %s is asked for at %s, whatever their paths', async ([issuer, internal]) => {
  const [outside, inside] = [issuer, internal].map((each) => each.replace(/\/$/, ''))
  const changes = {
    issuer,
    authorization_endpoint: `${inside}/auth`,
    token_endpoint: `${outside}/token`,
    jwks_uri: `${inside}/certs`,
  }
  const { asked, metadata } = await discovered(changes, issuer, internal)
  expect(asked).toEqual([`${inside}/.well-known/openid-configuration`])
  expect(metadata).toMatchObject({
    issuer,
    authorization_endpoint: `${outside}/auth`,
    token_endpoint: `${inside}/token`,
    jwks_uri: `${inside}/certs`,
  })
})

test.for<[changes: object, reason: RegExp]>([
  [
    { issuer: INSIDE },
    /^the provider calls itself \S+ where it is asked inside; make it call itself \S+ there too \(Keycloak: KC_HOSTNAME and/,
  ],
  [
    { issuer: 'https://evil.example' },
    /^the provider calls itself https:\/\/evil\.example; set OIDC_ISS/,
  ],
  [
    { token_endpoint: 'http://other:8080/token' },
    /^token_endpoint of the provider's metadata is not https$/,
  ],
  [
    { token_endpoint: 'http://keycloak:9000/token' },
    /^token_endpoint of the provider's metadata is not https$/,
  ],
  [
    { token_endpoint: 'https://10.1.2.3/token' },
    /^token_endpoint of the provider's metadata is at an address other than/,
  ],
  [
    { jwks_uri: `http://u:p@keycloak:8080/realms/x/certs` },
    /^jwks_uri of the provider's metadata is not a usable URL$/,
  ],
  [
    { authorization_endpoint: 'http://keycloak:8080/auth' },
    /^authorization_endpoint of the provider's metadata is not https$/,
  ],
])('C29: metadata with %j are refused', async ([changes, reason]) => {
  await expect(discovered(changes)).rejects.toThrow(reason)
})

test.for(['127.0.0.1', 'localhost'] as const)(
  'C29: Vestibule asks inside and browsers outside where the metadata name endpoints at %s',
  async (named) => {
    const rewrite = (all: object) =>
      JSON.parse(
        JSON.stringify(all).replaceAll(/(?<!"issuer":")http:\/\/[\w.]+:/g, `http://${named}:`),
      ) as Record<string, unknown>
    const port = await steadyPort()
    const internal = `http://localhost:${port}`
    await using party = await startRelyingParty(
      { OIDC_USERINFO: 'always', OIDC_INTERNAL_URL: internal },
      { port },
      (provider) => provider.set('discovery', { rewrite }),
    )
    const { provider } = party
    const { browser, isSignedIn } = await party.attempt()
    const { location } = await browser.post(LOGOUT)
    expect([isSignedIn, location]).toEqual([
      true,
      expect.stringMatching(`^${provider.issuer}/session/end?`),
    ])
    const hostsOf = (endpoint: Endpoint) => [
      ...new Set(provider.requests(endpoint).map(({ headers }) => headers.host)),
    ]
    for (const endpoint of ['discovery', 'jwks', 'token', 'userinfo', 'revocation'] as const) {
      expect([endpoint, ...hostsOf(endpoint)]).toEqual([endpoint, `localhost:${port}`])
    }
    expect(hostsOf('authorization')).toEqual([`127.0.0.1:${port}`])
  },
)
