import { expect, test } from 'vitest'
import { digestOfParts } from '../../src/crypto/digest.ts'
import { AuthError } from '../../src/errors.ts'
import { ISSUER, NOW_MS, OPERATOR, signed, startAdmin as start } from '../support/started-admin.ts'
import { words } from '../support/words.ts'

const PATH = '/admin/denied-tokens'
const NOW = NOW_MS / 1000
const SKEW = 60
const DAY = 86_400

const jwtOf = (claims: unknown): string => {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${encode({ alg: 'ES256', typ: 'at+jwt' })}.${encode(claims)}.c2lnbmF0dXJl`
}
type Started = ReturnType<typeof start>
const deny = ({ ask }: Started, body: unknown, type = 'application/json') =>
  ask('POST', PATH, {
    headers: { ...signed, 'Content-Type': type },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
const listed = async ({ answer }: Started) => (await answer('GET', PATH))[1]
const at = (seconds: number) => new Date(seconds * 1000).toISOString()

const claims = { iss: ISSUER, jti: 'jti-1', exp: NOW + 300, sub: 'robot' }
const accepted: readonly (readonly [what: string, body: unknown, until: number])[] = [
  ['a token', { token: jwtOf(claims) }, NOW + 300],
  ['a token without an end', { token: jwtOf({ ...claims, exp: undefined }) }, NOW + DAY],
  ['its name', { jti: 'jti-1', iss: ISSUER, exp: NOW + 300 }, NOW + 300],
  ['its name, of our own issuer', { jti: 'jti-1', exp: NOW + 300 }, NOW + 300],
  ['its name alone', { jti: 'jti-1' }, NOW + DAY],
  ['a token of years', { jti: 'jti-1', exp: NOW + 1000 * DAY }, NOW + 1000 * DAY],
  ['a token that others may still accept', { jti: 'jti-1', exp: NOW - SKEW + 1 }, NOW - SKEW + 1],
]
test.for(accepted)('by %s', async ([, body, until]) => {
  const started = start()
  const response = await deny(started, body)
  const answer = { denied: true, until: at(until + SKEW) }
  expect([response.status, await response.json()]).toEqual([200, answer])
  expect(response.headers.get('cache-control')).toBe('no-store')
  const isDenied = (jti: string) => started.deniedTokens.includes(ISSUER, jti)
  expect(['jti-1', 'jti-2'].map(isDenied)).toEqual([true, false])
  const [status, shown] = await started.answer('GET', PATH)
  const { denied, ends } = shown as { denied: number; ends: string[] }
  expect([status, denied]).toEqual([200, 1])
  expect(Math.abs(Date.parse(ends[0] ?? '') / 1000 - until - SKEW)).toBeLessThan(5)
})

test('that has ended does nothing, and is no failure', async () => {
  const started = start()
  for (const exp of [NOW - SKEW, 0, -1e9]) {
    const response = await deny(started, { jti: 'jti-1', exp })
    const answer = { denied: false, expired: true }
    expect([response.status, await response.json()]).toEqual([200, answer])
  }
  const token = digestOfParts(ISSUER, 'jti-1')
  const told = { event: 'token_expired', token, client: OPERATOR }
  expect(started.lines).toMatchObject([told, told, told])
  expect(await listed(started)).toEqual({ denied: 0, ends: [] })
})

test('twice is as good as once', async () => {
  const started = start()
  for (const exp of [NOW + 300, NOW + 100]) await deny(started, { jti: 'jti-1', exp })
  expect(await listed(started)).toMatchObject({ denied: 1 })
})

test('is one line in the log, in which no token is', async () => {
  const started = start()
  const token = jwtOf(claims)
  const request_id = (await deny(started, { token })).headers.get('x-request-id')
  const denied = { token: digestOfParts(ISSUER, 'jti-1'), until: at(NOW + 300 + SKEW) }
  const told = { event: 'token_denied', ...denied, client: OPERATOR, request_id }
  expect(started.lines).toMatchObject([told])
  const log = JSON.stringify(started.lines)
  for (const secret of [token, ...token.split('.'), 'jti-1', 'robot']) {
    expect(log).not.toContain(secret)
  }
})

test('of an issuer that a rule names counts for that issuer', async () => {
  const issuer = 'https://builds.example.com'
  const started = start({ bearerIssuers: [issuer] })
  expect((await deny(started, { jti: 'jti-1', iss: issuer })).status).toBe(200)
  expect(started.deniedTokens.includes(issuer, 'jti-1')).toBe(true)
  expect(started.deniedTokens.includes(ISSUER, 'jti-1')).toBe(false)
})

const refused: readonly (readonly [what: string, body: unknown, message: RegExp])[] = [
  ['nothing', '', /must be {/],
  ...words`
    {"jti": jti=jti-1 [{"jti":"jti-1"}] null {} {"token":"${jwtOf(claims)}","jti":"jti-1"}
    {"jti":"jti-1","user":"alice"} {"jti":""} {"jti":7} {"jti":"jti-1","iss":["${ISSUER}"]}
    {"jti":"jti-1","iss":""} {"jti":"jti-1","exp":"2026-01-01"} {"jti":"jti-1","exp":1e999}
    {"__proto__":{"jti":"jti-1"}}
  `.map((body) => [body, body, /must be {/] as const),
  ['an end in milliseconds', { jti: 'jti-1', exp: NOW_MS }, /must be a time in seconds/],
  ['a token that is none', { token: 'abc' }, /must be a JWT/],
  ['an encrypted token', { token: 'a.b.c.d.e' }, /must be a JWT/],
  ['a token without a name', { token: jwtOf({ ...claims, jti: undefined }) }, /must be a JWT/],
  ['a token whose name is empty', { token: jwtOf({ ...claims, jti: '' }) }, /must be a JWT/],
  ['a token whose name is a number', { token: jwtOf({ ...claims, jti: 7 }) }, /must be a JWT/],
  ['a token of nobody', { token: jwtOf({ ...claims, iss: undefined }) }, /must be a JWT/],
  ['a token of another', { token: jwtOf({ ...claims, iss: `${ISSUER}/` }) }, /No rule/],
  ['the name of another', { jti: 'jti-1', iss: 'https://other.example.com' }, /No rule/],
]
test.for(refused)('by %.60s is 400', async ([, body, message]) => {
  const started = start()
  const response = await deny(started, body)
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({
    error: 'invalid_request',
    message: expect.stringMatching(message) as string,
  })
  expect(started.eventCodes()).toEqual(['refused'])
  expect(await listed(started)).toEqual({ denied: 0, ends: [] })
  expect(JSON.stringify(started.lines)).not.toContain('jti-1')
})

test('is 400 where no rule accepts tokens at all', async () =>
  expect((await deny(start({ bearerIssuers: [] }), { jti: 'jti-1' })).status).toBe(400))

const otherTypes = words`text/plain application/x-www-form-urlencoded text/json application/jsonp`
test.for(['', ...otherTypes])('as %j is 415', async (type) => {
  const started = start()
  expect((await deny(started, { jti: 'jti-1' }, type)).status).toBe(415)
  expect(started.deniedTokens.includes(ISSUER, 'jti-1')).toBe(false)
})

test.for(['application/json; charset=utf-8', 'Application/JSON'])(
  'as %j is understood',
  async (type) => expect((await deny(start(), { jti: 'jti-1' }, type)).status).toBe(200),
)

test('with a body of more than 16 KiB is 413', async () => {
  const started = start()
  expect((await deny(started, { jti: 'j'.repeat(16 * 1024) })).status).toBe(413)
  expect((await deny(started, { jti: 'j'.repeat(16 * 1024 - 20) })).status).toBe(200)
})

test('has no parameters', async () => {
  const started = start()
  const headers = { ...signed, 'Content-Type': 'application/json' }
  const get = await started.ask('GET', `${PATH}?jti=jti-1`, { headers })
  const post = await started.ask('POST', `${PATH}?jti=jti-1`, { headers, body: '{"jti":"jti-1"}' })
  expect([get.status, post.status]).toEqual([400, 400])
})

test('is 503 while the others cannot be told, and nothing has changed', async () => {
  const away = async (): Promise<never> => {
    throw new AuthError('store_unavailable', 'Redis: connection at 10.1.2.3')
  }
  const started = start({ denyList: { add: away, list: away } })
  for (const response of [await deny(started, { jti: 'jti-1' }), await started.ask('GET', PATH)]) {
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await response.text()).not.toContain('10.1.2.3')
  }
  expect(started.deniedTokens.includes(ISSUER, 'jti-1')).toBe(false)
  expect(started.lines).toMatchObject([
    { event: 'token_not_denied', token: digestOfParts(ISSUER, 'jti-1'), client: OPERATOR },
    { event: 'refused' },
  ])
})

test('each look at the list is one line in the log', async () => {
  const started = start()
  await deny(started, { jti: 'jti-1' })
  const request_id = (await started.ask('GET', PATH)).headers.get('x-request-id')
  expect(started.lines).toMatchObject([
    { event: 'token_denied' },
    { event: 'denied_tokens_listed', count: 1, client: OPERATOR, request_id },
  ])
})
