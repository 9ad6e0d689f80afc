import { expect, test } from 'vitest'
import type { Json, SeenProviderRequest } from '../../stand-ins/provider/front.ts'
import { cookieHeader } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'

const party = useParty({ PASS_ACCESS_TOKEN: 'true' })

/** Texts by which a provider repeats what it was sent. */
const echoes: readonly (readonly [string, (sent: SeenProviderRequest) => string])[] = [
  ['the body', ({ body }) => body],
  ['the body decoded', ({ body }) => decodeURIComponent(body)],
  ['each parameter', ({ body }) => [...new URLSearchParams(body).values()].join(' and ')],
  ['the header', ({ headers }) => `got ${headers.authorization}`],
  ['the secret', () => `${party.provider.clientSecret} is wrong`],
  [
    'the secret in quotes',
    () => `client_secret="${encodeURIComponent(party.provider.clientSecret)}"`,
  ],
  ['the secret of a form', () => `=${new URLSearchParams([['', party.provider.clientSecret]])}`],
]

/** Sends each echo in both members of an answer and as a challenge. */
function echo(text: (sent: SeenProviderRequest) => string, error: string): void {
  const rewrite = (_: Json, sent: SeenProviderRequest) => ({ error, error_description: text(sent) })
  party.provider.set('token', { status: 400, rewrite })
}

/** Returns what must not be in a line. */
function secretsOf(sent: SeenProviderRequest | undefined): readonly string[] {
  const form = new URLSearchParams(sent?.body)
  const names = ['code', 'code_verifier', 'refresh_token']
  const encoded = encodeURIComponent(party.provider.clientSecret)
  const header = sent?.headers.authorization?.split(' ')[1] ?? ''
  const found = [...names.map((name) => form.get(name) ?? ''), header, encoded]
  return [...found, party.provider.clientSecret].filter((each) => each !== '')
}

test.for(echoes)('C53: a provider that repeats %s puts no secret into a line', async ([, text]) => {
  const { browser, callbackUrl } = await party.untilCallback()
  const logged = party.vestibule.output().length
  echo(text, 'invalid_grant')
  const page = await browser.get(callbackUrl)
  const output = party.vestibule.output().slice(logged)
  expect([page.status, output]).toEqual([400, expect.stringContaining('"http_status":400')])
  const secrets = secretsOf(party.provider.requests('token').at(-1))
  expect(secrets.length).toBeGreaterThan(4)
  for (const secret of secrets) expect(`${output}${page.body}`).not.toContain(secret)
})

test.for(echoes)('C53: nor at a refresh: %s', async ([, text]) => {
  party.provider.set('token', { rewrite: (answer) => ({ ...answer, expires_in: 0 }) })
  const { browser, callbackUrl } = await party.untilCallback()
  await browser.get(callbackUrl)
  const logged = party.vestibule.output().length
  echo(text, 'invalid_request')
  expect((await party.checkWith(cookieHeader(browser))).status).toBe(302)
  const output = party.vestibule.output().slice(logged)
  expect(output).toContain('session_not_refreshed')
  for (const secret of secretsOf(party.provider.requests('token').at(-1))) {
    expect(output).not.toContain(secret)
  }
})
