import { describe, expect, test } from 'vitest'
import { takeTime } from '../support/passing-time.ts'
import { type Behaviour, faults } from '../support/provider.ts'
import { cookieHeader } from '../support/sign-in-steps.ts'
import { asScript, type UsedParty, useParty } from '../support/used-party.ts'

const GRACE_SECONDS = 3600
const plain = useParty({ SESSION_REFRESH_GRACE: `${GRACE_SECONDS}` })
const passing = useParty({ PASS_ACCESS_TOKEN: 'true' })
const time = takeTime()

const json = { 'Content-Type': 'application/json' }
const says = (status: number, body: unknown, headers = json): Behaviour => ({
  status,
  headers,
  body: typeof body === 'string' ? body : JSON.stringify(body),
})
const error = (name: string, status = 400, more: object = {}, headers = json) =>
  says(status, { error: name, ...more }, headers)
const token = (changes: object): Behaviour => ({ rewrite: (body) => ({ ...body, ...changes }) })

const DEX = { error_description: 'Refresh token is invalid or has already been claimed' }
const CHALLENGE = { ...json, 'WWW-Authenticate': 'Basic realm="provider"' }

/** Answers by which the refresh token is refused for good, or that can never be used. */
const definite: readonly (readonly [name: string, behaviour: Behaviour])[] = [
  ['400 invalid_request, as Dex says after a second sign-in', error('invalid_request', 400, DEX)],
  ['400 unauthorized_client', error('unauthorized_client')],
  ['400 invalid_scope', error('invalid_scope')],
  ['400 unsupported_grant_type', error('unsupported_grant_type')],
  ['403 access_denied', error('access_denied', 403)],
  ['400 with an error of its own', error('<b>')],
  ['401 with a challenge and another error', error('invalid_request', 401, {}, CHALLENGE)],
  ['200 with an error', error('invalid_grant', 200)],
  ['400 with JSON of its own', says(400, { message: 'no' })],
  ['400 with an error that is an object', says(400, { error: { code: 5 } })],
  ['an empty object', faults.emptyObject],
  ['a list', faults.notAnObject],
  ['null', says(200, 'null')],
  ['201 with tokens', says(201, { access_token: 'x', token_type: 'bearer' })],
  ['no access token', token({ access_token: undefined })],
  ['an access token that is a list', token({ access_token: ['x'] })],
  ['no token type', token({ token_type: undefined })],
  ['another token type', token({ token_type: 'mac' })],
  ['an end that is none', token({ expires_in: 'soon' })],
]

/** Answers after which the same refresh may succeed later. */
const passingBy: readonly (readonly [name: string, behaviour: Behaviour])[] = [
  ['401 invalid_client', error('invalid_client', 401)],
  ['401 invalid_client with a challenge', error('invalid_client', 401, {}, CHALLENGE)],
  [
    '401 unauthorized_client, as Keycloak says of a wrong secret',
    error('unauthorized_client', 401),
  ],
  ['400 temporarily_unavailable', error('temporarily_unavailable')],
  ['200 temporarily_unavailable', error('temporarily_unavailable', 200)],
  ['400 server_error', error('server_error')],
  ['429 with an error', error('invalid_request', 429)],
  ['500 with an error', error('invalid_grant', 500)],
  ['404 without an error', says(404, { message: 'no route' })],
  ['401 without an error', says(401, { message: 'who are you' })],
  ['a page with 400', says(400, '<h1>no</h1>', { 'Content-Type': 'text/html' })],
  ['a page with 200', faults.html],
  ['JSON that is cut off', faults.truncatedJson],
  ['nothing', faults.down],
]

async function signInDue(party: UsedParty): Promise<string> {
  party.provider.set('token', token({ expires_in: 0 }))
  const { browser, callbackUrl } = await party.untilCallback()
  await browser.get(callbackUrl)
  party.provider.reset('token')
  party.provider.forgetRequests()
  return cookieHeader(browser) ?? ''
}

const statusOf = async (party: UsedParty, cookie: string, headers = {}) =>
  (await party.checkWith(cookie, headers)).status

async function results(party: UsedParty, result: string): Promise<number> {
  const { body } = await party.vestibule.internal('/metrics')
  return Number(
    new RegExp(`^vestibule_refreshes_total\\{result="${result}"\\} (\\d+)$`, 'm').exec(body)?.[1],
  )
}

/** Asks once, and waits until the provider has answered the refresh behind it. */
async function checkAndFail(cookie: string): Promise<void> {
  const before = await results(plain, 'failed')
  expect(await statusOf(plain, cookie)).toBe(200)
  await expect.poll(() => results(plain, 'failed')).toBe(before + 1)
}

const linesOf = (party: UsedParty, event: string) =>
  party.vestibule.log().filter((line) => line['event'] === event)

describe('C20: a refresh that is definitely refused', () => {
  test.for(definite)(
    'lets the session go on for its grace and then asks for a sign-in: %s',
    async ([, behaviour]) => {
      const cookie = await signInDue(plain)
      plain.provider.set('token', behaviour)
      await checkAndFail(cookie)
      time.pass(GRACE_SECONDS * 1000)
      const [before, refused] = [
        linesOf(plain, 'session_not_refreshed').length,
        await results(plain, 'refused'),
      ]
      expect(await statusOf(plain, cookie, asScript)).toBe(401)
      expect(await statusOf(plain, cookie)).toBe(302)
      expect(plain.provider.count('token')).toBe(2)
      expect(await results(plain, 'refused')).toBe(refused + 1)
      const [line, ...more] = linesOf(plain, 'session_not_refreshed').slice(before)
      expect(more).toEqual([])
      expect(line).toMatchObject({ result: 'refused', endpoint: 'token_endpoint' })
    },
  )

  test.for(definite.slice(0, 3))(
    'ends the session at once where apps need its token: %s',
    async ([, behaviour]) => {
      const cookie = await signInDue(passing)
      passing.provider.set('token', behaviour)
      expect(await statusOf(passing, cookie)).toBe(302)
      expect(passing.provider.count('token')).toBe(1)
    },
  )

  test('is said with what the provider said', async () => {
    const cookie = await signInDue(passing)
    passing.provider.set('token', error('invalid_request', 400, DEX))
    await statusOf(passing, cookie)
    expect(linesOf(passing, 'session_not_refreshed').at(-1)).toMatchObject({
      reason: `the token endpoint of the provider answered 400 invalid_request: ${DEX.error_description}`,
      url: `${passing.provider.issuer}/token`,
      http_status: 400,
      oauth_error: 'invalid_request',
      oauth_error_description: DEX.error_description,
    })
  })
})

describe('C20: a refresh that may succeed later', () => {
  test.for(passingBy)(
    'is 503 after the grace, and the session continues: %s',
    async ([, behaviour]) => {
      const cookie = await signInDue(plain)
      plain.provider.set('token', behaviour)
      await checkAndFail(cookie)
      time.pass(GRACE_SECONDS * 1000)
      expect(await statusOf(plain, cookie)).toBe(503)
      expect(await statusOf(plain, cookie, asScript)).toBe(503)
      expect(plain.provider.count('token')).toBe(2)
      plain.provider.reset()
      time.pass(60_000)
      expect(await statusOf(plain, cookie)).toBe(200)
    },
  )
})
