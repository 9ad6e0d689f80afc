import { expect, test } from 'vitest'
import { APP, startRelyingParty } from '../support/relying-party.ts'
import * as steps from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { rows, words } from '../support/words.ts'

const party = useParty()
const EVIL_ISSUER = 'iss=https%3A%2F%2Fhostile.example'

/** Parameters to add, where `{code}` is the genuine code again. */
const ADDITIONS = [
  ...rows`
    code=hostile code= code {code} state=hostile {state} {iss} ${EVIL_ISSUER} %73tate=hostile
    is%73=hostile error=hostile&error=access_denied ${'code=hostile&'.repeat(100).slice(0, -1)}
  `('behind'),
  ...rows`code=hostile state=hostile state= ${EVIL_ISSUER} c%6Fde=hostile`('before'),
] as const

test.for(ADDITIONS)(
  'A55: a callback with a parameter twice fails: %.60s %s',
  async ([given, place]) => {
    const { browser, callbackUrl } = await party.untilCallback()
    const { search, searchParams } = new URL(callbackUrl)
    const further = given.replace(/^\{(.+)\}$/, (_, name: string) =>
      new URLSearchParams([[name, searchParams.get(name) ?? '']]).toString(),
    )
    const query = place === 'behind' ? `${search}&${further}` : `?${further}&${search.slice(1)}`
    const target = `/oauth2/callback${query}`
    await party.expectNotRedeemed(() => browser.get(callbackUrl, { target }), ['hostile'])
    expect(await browser.get(callbackUrl)).toMatchObject({ status: 302, location: `${APP}/` })
    expect(browser.cookies.find(steps.SESSION_COOKIE)).toBeDefined()
  },
)

test('A55: parameters without a meaning may be repeated', async () => {
  const { browser, callbackUrl } = await party.untilCallback()
  const url = `${callbackUrl}&session_state=a&session_state=b&Code=x&code[]=y`
  expect(await browser.get(url)).toMatchObject({ status: 302, location: `${APP}/` })
})

/** Issuers that are not the provider's, whose port is `{port}`. */
const ISSUERS = [
  undefined,
  '',
  ...words`
    https://hostile.example http://127.0.0.1:{port}/ http://127.0.0.1:{port}/hostile
    http://127.0.0.1:{port}? http://127.0.0.1:{port}# HTTP://127.0.0.1:{port}
    https://127.0.0.1:{port} http://localhost:{port} http://127.0.0.1:9 http://127.0.0.1:{port}\x20
    http://127.0.0.1:{port}@hostile.example
  `,
]

test.for(ISSUERS)('A56: an iss that is not the provider’s is refused: %s', async (issuer) => {
  const { browser, callbackUrl } = await party.untilCallback()
  const iss = issuer?.replace('{port}', new URL(party.provider.issuer).port)
  await party.expectNotRedeemed(
    () => browser.get(steps.withQuery(callbackUrl, { iss })),
    ['hostile'],
  )
  expect(await browser.get(callbackUrl)).toMatchObject({ status: 302, location: `${APP}/` })
})

test('A56: the redirect URI is the configured one, whatever the request says', async () => {
  const headers = {
    'X-Forwarded-Host': 'hostile.example',
    'X-Forwarded-Proto': 'http',
    'X-Forwarded-Prefix': '/hostile',
    Forwarded: 'host=hostile.example',
  }
  const started = await party.get('/oauth2/login?rd=/', { headers })
  expect(steps.sentAlong(started, 'redirect_uri')).toBe(`${APP}/oauth2/callback`)
  expect(started.location).not.toContain('hostile')
})

test('A56: with a provider that does not announce iss it may be missing, but not be another', async () => {
  await using silent = await startRelyingParty({}, {}, ({ set }) =>
    set('discovery', {
      rewrite: (metadata) => ({
        ...metadata,
        authorization_response_iss_parameter_supported: undefined,
      }),
    }),
  )
  const { browser, callbackUrl } = await silent.untilCallback()
  for (const iss of ['https://hostile.example', `${silent.provider.issuer}/`]) {
    steps.expectFailedSignIn(await browser.get(steps.withQuery(callbackUrl, { iss })), ['hostile'])
  }
  expect(silent.provider.count('token')).toBe(0)
  expect((await browser.get(steps.withQuery(callbackUrl, { iss: undefined }))).status).toBe(302)
})

const pagesSeen = new Set<string>()

test.for<[string, unknown]>([
  ['missing', undefined],
  ['another', 'hostile'],
  ['empty', ''],
  ['of the right length', 'A'.repeat(43)],
  ['in an array', ['hostile']],
  ['a number', 0],
  ['null', null],
  ['true', true],
  ['an object', { toString: 'hostile' }],
])('A57: an ID token with a wrong nonce is refused: %s', async ([, nonce]) => {
  party.provider.tamperIdToken({ nonce })
  const answer = await party.expectNoSignIn([400])
  steps.expectFailedSignIn(answer, ['hostile', 'nonce'])
  pagesSeen.add(answer.body.replaceAll(String(answer.headers['x-request-id']), ''))
})

test('A57: all wrong nonces look the same to the visitor', () => expect(pagesSeen.size).toBe(1))

test('A57: the ID token of an earlier login of the same browser is refused (A53)', async () => {
  const answers = party.recordTokens()
  const browser = party.visitor()
  await browser.get(await steps.untilCallback(browser))
  browser.cookies.remove(steps.SESSION_COOKIE)
  const earlier = answers[0]?.['id_token']
  party.replaceIdToken(() => earlier)
  steps.expectFailedSignIn(await browser.get(await steps.untilCallback(browser)))
  expect(earlier).toBeTypeOf('string')
  expect(browser.cookies.find(steps.SESSION_COOKIE)).toBeUndefined()
})

test('A57: each login of one browser has a nonce of its own, which is in no cookie', async () => {
  const browser = party.visitor()
  const nonces = new Set<string>()
  for (let login = 1; login <= 20; login += 1) {
    nonces.add(steps.sentAlong(await steps.startLogin(browser), 'nonce'))
  }
  expect(nonces.size).toBe(20)
  for (const nonce of nonces) {
    expect(nonce).toMatch(/^[\w-]{43}$/)
    expect(steps.cookieHeader(browser)).not.toContain(nonce)
  }
})
