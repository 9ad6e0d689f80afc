import { expect, test } from 'vitest'
import type { ClientCredentials } from '../../src/core/client-credentials.ts'
import { clientAuthentication } from '../../src/oidc/discovery/client-authentication.ts'
import { createConfigurations } from '../../src/oidc/discovery/configurations.ts'
import type { Endpoint } from '../support/provider.ts'
import { providerFetch } from '../support/provider-fetch.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { LOGOUT } from '../support/sign-in-steps.ts'
import { words } from '../support/words.ts'

/** Returns id and secret as the `Authorization` header carries them. */
function sentFor(id: string, secret: string): readonly string[] {
  const headers = new Headers()
  const authenticate = clientAuthentication({ method: 'client_secret_basic', secret })
  authenticate({ issuer: 'https://id' }, { client_id: id }, new URLSearchParams(), headers)
  const [, sent = ''] = /^Basic (.+)$/.exec(headers.get('Authorization') ?? '') ?? []
  return Buffer.from(sent, 'base64').toString().split(':')
}

const decodeForm = (text: string) => new URLSearchParams(`x=${text}`).get('x')
const unreserved = /^[A-Za-z0-9\-._~*]+$/

test.for(words`
  plain a-b_c.d~e*f ~ %7E %7e % %% %41 a:b : a+b + a&b=c a\x20b \x20 é 日本 😀 " ' () ! @ / ? # ; , $ \\ | < > [ ] { } ^ \x60
  3fa85f64-5717-4562-b3fc-2c963f66afa6 app.web~1 Zk8Q~aB.c-D_e%2B= \t \x7f
`)('C28: an id or secret with %j is read back by whoever decodes it', (text) => {
  for (const sent of [sentFor(text, 'x'), sentFor('x', text)]) {
    expect(sent).toHaveLength(2)
    const [value = ''] = sent[0] === 'x' ? sent.slice(1) : sent
    expect(decodeForm(value)).toBe(text)
    if (!text.includes(' ')) expect(decodeURIComponent(value)).toBe(text)
    // Many providers read what needs no encoding as it stands.
    if (unreserved.test(text)) expect(value).toBe(text)
  }
})

const secret = { method: 'client_secret', secret: 's' } as const
const methods: readonly [offered: unknown, ClientCredentials, used: string, isOffered: boolean][] =
  [
    [undefined, secret, 'client_secret_basic', true],
    [null, secret, 'client_secret_basic', true],
    [[], secret, 'client_secret_basic', true],
    ['client_secret_post', secret, 'client_secret_basic', true],
    [[null, 7], secret, 'client_secret_basic', true],
    [['client_secret_basic'], secret, 'client_secret_basic', true],
    [['client_secret_post', 'client_secret_basic'], secret, 'client_secret_basic', true],
    [['client_secret_post'], secret, 'client_secret_post', true],
    [['private_key_jwt', 'client_secret_post', 'none'], secret, 'client_secret_post', true],
    [['private_key_jwt'], secret, 'client_secret_basic', false],
    [['none'], secret, 'client_secret_basic', false],
    [
      ['client_secret_post'],
      { ...secret, method: 'client_secret_basic' },
      'client_secret_basic',
      false,
    ],
    [
      ['client_secret_basic'],
      { ...secret, method: 'client_secret_post' },
      'client_secret_post',
      false,
    ],
    [['client_secret_basic'], { method: 'none' }, 'none', true],
  ]
test.for(methods)(
  'C28: where the metadata offer %j, %j is sent by %s (offered: %s)',
  ([offered, credentials, used, isOffered]) => {
    const metadata = {
      issuer: 'https://id.example.com',
      ...(offered !== undefined && { token_endpoint_auth_methods_supported: offered as string[] }),
    }
    const { warnings } = createConfigurations(metadata, {
      clientId: 'vestibule',
      credentials,
      fetch: providerFetch,
    })
    expect(warnings).toHaveLength(isOffered ? 0 : 1)
    if (!isOffered) expect(warnings[0]).toContain(`use: ${used} (offered: `)
  },
)

const offering =
  (offered: readonly string[]) =>
  (provider: {
    readonly set: (
      endpoint: Endpoint,
      how: { rewrite: (all: object) => Record<string, unknown> },
    ) => void
  }) =>
    provider.set('discovery', {
      rewrite: (all) => ({ ...all, token_endpoint_auth_methods_supported: offered }),
    })

test('C28: where only post is offered, sign-in and revocation send the secret in the body', async () => {
  const client = { token_endpoint_auth_method: 'client_secret_post' } as const
  await using party = await startRelyingParty({}, { client }, offering(['client_secret_post']))
  const { browser, isSignedIn } = await party.attempt()
  expect([isSignedIn, (await browser.post(LOGOUT)).status]).toEqual([true, 303])
  for (const { headers, body } of [
    ...party.provider.requests('token'),
    ...party.provider.requests('revocation'),
  ]) {
    expect(headers.authorization).toBeUndefined()
    expect(new URLSearchParams(body).get('client_secret')).toBe(party.provider.clientSecret)
  }
})

test('C28: a 401 that names no error is a refused client too', async () => {
  await using party = await startRelyingParty()
  party.provider.set('token', { status: 401, body: 'Unauthorized' })
  const { answer } = await party.attempt()
  expect([answer.status, answer.body]).toEqual([502, expect.stringContaining('set up wrongly')])
  expect(party.vestibule.log().find(({ event }) => event === 'refused')).toMatchObject({
    http_status: 401,
    setting: expect.stringContaining('OIDC_CLIENT_SECRET') as string,
  })
})

test('C28: a refused client is logged with the method in use, those offered, and the setting', async () => {
  const settings = {
    OIDC_CLIENT_SECRET: 'wrong',
    OIDC_TOKEN_ENDPOINT_AUTH_METHOD: 'client_secret_post',
  }
  await using party = await startRelyingParty(settings, {}, offering(['client_secret_basic']))
  expect((await party.attempt()).isSignedIn).toBe(false)
  const { provider, vestibule } = party
  const lineOf = (name: string) => vestibule.log().find(({ event }) => event === name)
  const method = 'client_secret_post (offered: client_secret_basic)'
  expect(lineOf('refused')).toMatchObject({
    endpoint: 'token_endpoint',
    url: `${provider.issuer}/token`,
    http_status: 401,
    client_authentication: method,
    setting: expect.stringContaining('OIDC_TOKEN_ENDPOINT_AUTH_METHOD') as string,
  })
  expect(lineOf('provider_finding')).toMatchObject({
    level: 'warn',
    issuer: provider.issuer,
    reason: expect.stringContaining(method) as string,
  })
})
