import { describe, expect, test } from 'vitest'
import { nowSeconds } from '../support/bearers.ts'
import { takeTime } from '../support/passing-time.ts'
import { type Behaviour, faults, type TestProvider } from '../support/provider.ts'
import { type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { cookieHeader, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { type ClaimChanges, claimsOf, type SignOptions } from '../support/tokens.ts'
import { useParty } from '../support/used-party.ts'
import type { Visit } from '../support/visitor.ts'
import { members } from '../support/words.ts'

type Json = Record<string, unknown>

/** With tokens for apps a check waits for its refresh; without, it is made behind the answer. */
const passing = useParty({ PASS_ACCESS_TOKEN: 'true' })
const plain = useParty()
const time = takeTime()

/** The second for which a session is not refreshed again. */
const PAUSED_MS = 1000
/** Polls, because work behind an answer takes time on a busy machine. */
const eventually = expect.poll

const EMPTY = [null, '']

function answering(changes: Json): Behaviour {
  return { rewrite: (body) => ({ ...body, ...changes }) }
}

/** A fresh session whose access token has ended already, and the `Cookie` header of its checks. */
async function signInDue(party: RelyingParty, answer: Json = {}): Promise<string> {
  party.provider.set('token', answering({ expires_in: 0, ...answer }))
  const { browser, callbackUrl } = await party.untilCallback()
  await browser.get(callbackUrl)
  party.provider.reset('token')
  party.provider.forgetRequests()
  const cookie = cookieHeader(browser) ?? ''
  expect(cookie).toContain(`${SESSION_COOKIE}=`)
  return cookie
}

function check(party: RelyingParty, cookie: string): Promise<Visit> {
  return party.vestibule.check({}, { Cookie: cookie })
}

/** Asks again while a busy machine takes longer for a refresh than a check waits: it goes on meanwhile. */
async function checkSettled(party: RelyingParty, cookie: string): Promise<Visit> {
  for (;;) {
    const visit = await check(party, cookie)
    if (visit.status !== 503) return visit
  }
}

function refreshRequests(provider: TestProvider) {
  return provider
    .requests('token')
    .map(({ body }) => new URLSearchParams(body))
    .filter((sent) => sent.get('grant_type') === 'refresh_token')
}

async function results(party: RelyingParty, result: string): Promise<number> {
  const { body } = await party.vestibule.internal('/metrics')
  const line = new RegExp(`^vestibule_refreshes_total\\{result="${result}"\\} (\\d+)$`, 'm')
  return Number(line.exec(body)?.[1] ?? 0)
}

function ended(party: RelyingParty) {
  return party.vestibule.log().filter(({ event }) => event === 'session_not_refreshed')
}

async function expectRefreshed(cookie: string, party: RelyingParty = passing): Promise<Visit> {
  const before = await results(party, 'refreshed')
  const visit = await checkSettled(party, cookie)
  expect([visit.status, visit.setCookies]).toEqual([200, []])
  expect(visit.headers).toMatchObject({
    'x-auth-request-user': 'alice',
    'x-auth-request-access-token': expect.stringMatching(/^[\w-]+$/) as string,
  })
  expect(await results(party, 'refreshed')).toBe(before + 1)
  return visit
}

async function expectEnded(cookie: string, result: 'refused' | 'rejected'): Promise<void> {
  const before = ended(passing).length
  const visit = await checkSettled(passing, cookie)
  expect([visit.status, visit.setCookies]).toEqual([302, []])
  await eventually(() => ended(passing).slice(before)).toEqual([
    expect.objectContaining({ result, level: 'info', user: expect.any(String) as string }),
  ])
  passing.provider.reset()
  expect((await check(passing, cookie)).status).toBe(302)
  expect(refreshRequests(passing.provider)).toHaveLength(1)
}

const GROUPS = { 'x-auth-request-groups': 'staff,admins' }
const ALICE = { 'x-auth-request-email': 'alice@example.com', ...GROUPS }

describe('oidcc-client-refreshtoken-certification-test-plan', () => {
  test('oidcc-client-test-refresh-token', async () => {
    const cookie = await signInDue(passing)
    await expectRefreshed(cookie)
    const [sent, ...more] = refreshRequests(passing.provider)
    expect(more).toEqual([])
    expect(sent?.get('refresh_token')).toMatch(/^[\w-]+$/)
    expect(sent?.has('scope')).toBe(false)
    expect(passing.provider.requests('token')[0]?.headers.authorization).toMatch(/^Basic /)
    expect((await check(passing, cookie)).status).toBe(200)
    expect(refreshRequests(passing.provider)).toHaveLength(1)
  })
})

describe('A86 a refreshed ID token', () => {
  test.for<[string, () => ClaimChanges, SignOptions?]>([
    ['without a nonce', () => ({ nonce: undefined })],
    ['signed with another key of the provider’s', () => ({}), { as: 'provider-es256' }],
    ['with an audience more', () => ({ aud: ['vestibule', 'other'], azp: 'vestibule' })],
    ['that ended 20 s ago, within the skew', () => ({ exp: nowSeconds() - 20 })],
    ['without claims about the user', () => ({ name: undefined, email: undefined })],
    ...EMPTY.map((none): [string, () => ClaimChanges] => [
      `whose optional claims are ${JSON.stringify(none)} (C21)`,
      () => ({ nonce: none, azp: none, auth_time: none, nbf: none, sid: none, email: none }),
    ]),
  ])('is accepted %s', async ([, changes, how]) => {
    const cookie = await signInDue(passing)
    passing.provider.tamperIdToken(changes(), how)
    expect((await expectRefreshed(cookie)).headers).toMatchObject(ALICE)
  })

  const signers = ['none', 'stranger', 'public-key-as-secret'] as const
  test.for<[string, ClaimChanges | (() => ClaimChanges), SignOptions?]>([
    ['oidcc-client-test-refresh-token-invalid-sub', { sub: 'mallory' }],
    [
      'oidcc-client-test-refresh-token-invalid-issuer',
      () => ({ iss: `${passing.provider.issuer}/other` }),
    ],
    ...members`
      sub="ALICE" sub=["alice"] sub iss="https://evil.example" iss aud="other" aud azp="other" iat exp
      nonce="of\x20another\x20sign-in" nonce=["a"]
    `,
    ['a life of eleven years', () => ({ exp: nowSeconds() + 11 * 365 * 86_400 })],
    ['a logout token', {}, { header: { typ: 'logout+jwt' } }],
    ['an access token', {}, { header: { typ: 'at+jwt' } }],
    ...signers.map((as): [string, ClaimChanges, SignOptions] => [`signed by ${as}`, {}, { as }]),
    ['of another user, not signed', { sub: 'bob' }, { as: 'none' }],
  ])('ends the session: %s', async ([, changes, how]) => {
    const cookie = await signInDue(passing)
    passing.provider.tamperIdToken(typeof changes === 'function' ? changes() : changes, how)
    await expectEnded(cookie, 'rejected')
  })

  test('ends that session alone, and its user may sign in again', async () => {
    const [other, cookie] = [await signInDue(passing), await signInDue(passing)]
    passing.provider.tamperIdToken({ sub: 'bob' })
    await expectEnded(cookie, 'rejected')
    passing.provider.forgetRequests()
    await expectRefreshed(other)
    expect((await passing.attempt()).isSignedIn).toBe(true)
  })

  test('ends the session where UserInfo is of another user', async () => {
    const cookie = await signInDue(passing)
    passing.provider.set('userinfo', answering({ sub: 'bob' }))
    await expectEnded(cookie, 'rejected')
  })

  test.for<[string, () => ClaimChanges]>([
    ['will be issued in an hour', () => ({ iat: nowSeconds() + 3600 })],
    ['was issued an hour ago', () => ({ iat: nowSeconds() - 3600 })],
    ['has ended', () => ({ exp: nowSeconds() - 120 })],
  ])('is not kept where by our clock it %s (F28), but the tokens are', async ([, changes]) => {
    const cookie = await signInDue(passing)
    passing.provider.tamperIdToken({ ...changes(), email: 'mallory@example.com' })
    expect((await expectRefreshed(cookie)).headers).toMatchObject(ALICE)
  })

  test('is not kept when its key is still unknown after the keys were fetched anew, but the tokens are', async () => {
    const cookie = await signInDue(plain)
    const before = await results(plain, 'refreshed')
    plain.provider.tamperIdToken({ email: 'mallory@example.com' }, { as: 'unknown-kid' })
    expect((await check(plain, cookie)).status).toBe(200)
    await eventually(() => results(plain, 'refreshed')).toBe(before + 1)
    const { status, headers } = await check(plain, cookie)
    expect([status, headers['x-auth-request-email']]).toEqual([200, 'alice@example.com'])
    expect(refreshRequests(plain.provider)).toHaveLength(1)
  })

  test('is accepted although the keys were changed twice within a second (F37)', async () => {
    const cookies = [await signInDue(plain), await signInDue(plain)]
    const before = await results(plain, 'refreshed')
    for (const [index, cookie] of cookies.entries()) {
      await plain.provider.rotateKeys()
      await check(plain, cookie)
      await eventually(() => results(plain, 'refreshed')).toBe(before + index + 1)
    }
    for (const cookie of cookies) expect((await check(plain, cookie)).status).toBe(200)
    expect(ended(plain).filter(({ result }) => result !== 'rejected')).toEqual([])
  })

  test('may have a nonce again after one that had none', async () => {
    const cookie = await signInDue(plain)
    const before = await results(plain, 'refreshed')
    const bare = await plain.provider.mintIdToken()
    plain.provider.set('token', { ...answering({ expires_in: 0, id_token: bare }), times: 1 })
    await check(plain, cookie)
    await eventually(() => results(plain, 'refreshed')).toBe(before + 1)
    time.pass(PAUSED_MS)
    expect((await check(plain, cookie)).status).toBe(200)
    await eventually(() => results(plain, 'refreshed')).toBe(before + 2)
    expect((await check(plain, cookie)).status).toBe(200)
  })

  test('ends the session also while its signature cannot be verified, when it is about somebody else', async () => {
    const cookie = await signInDue(passing)
    passing.provider.set('jwks', faults.serverError)
    passing.provider.tamperIdToken({ sub: 'bob' }, { as: 'unknown-kid' })
    await expectEnded(cookie, 'rejected')
  })

  test('is not kept while its signature cannot be verified, but the tokens beside it are', async () => {
    const cookie = await signInDue(passing)
    passing.provider.set('jwks', faults.serverError)
    passing.provider.set('userinfo', answering({ groups: ['other'] }))
    await passing.provider.rotateKeys()
    time.pass(PAUSED_MS)
    expect((await expectRefreshed(cookie)).headers).toMatchObject(ALICE)
  })
})

describe('a token endpoint that fails', () => {
  const json = { 'Content-Type': 'application/json' }
  const sayError = (status: number, error = 'invalid_grant', headers = json): Behaviour => ({
    status,
    headers,
    body: JSON.stringify({ error }),
  })
  test.for<[string, Behaviour]>([
    ['gives no answer', faults.down],
    ['says 503', faults.unavailable],
    ['says 429', faults.tooManyRequests],
    ['gives HTML', faults.html],
    ['gives JSON that is cut off', faults.truncatedJson],
    ['gives 10 MB', faults.tenMegabytes],
    ['gives a redirect', faults.redirect],
    ['says 500 and invalid_grant', sayError(500)],
    ['says 200 and invalid_grant', sayError(200)],
    ['says invalid_grant in HTML', sayError(400, undefined, { 'Content-Type': 'text/html' })],
    ['says 401 and invalid_client', sayError(401, 'invalid_client')],
    ['says 400 and an error of its own', sayError(400, '<b>')],
    ['gives an empty object', faults.emptyObject],
    ['gives a list', faults.notAnObject],
    ['gives JSON under text/plain', faults.wrongContentType],
    ['leaves out the access token', answering({ access_token: undefined })],
    ['leaves out the token type', answering({ token_type: undefined })],
    ['gives a token of another type', answering({ token_type: 'mac' })],
    ['gives a list as refresh token', answering({ refresh_token: ['x'] })],
    ['gives an ID token that is a number', answering({ id_token: 42 })],
    ['gives an end that is none', answering({ expires_in: 'soon' })],
  ])('leaves the session as it was: it %s', async ([, behaviour]) => {
    const cookie = await signInDue(plain)
    const [failed, lines] = [await results(plain, 'failed'), ended(plain).length]
    plain.provider.set('token', behaviour)
    expect((await check(plain, cookie)).status).toBe(200)
    await eventually(() => results(plain, 'failed')).toBe(failed + 1)
    const { status, setCookies, headers } = await check(plain, cookie)
    expect([status, setCookies]).toEqual([200, []])
    expect([headers['x-auth-request-groups'], ended(plain).length]).toEqual(['staff,admins', lines])
    expect(refreshRequests(plain.provider)).toHaveLength(1)
  })

  test('is asked again, and works: one line for each, without what the provider said', async () => {
    const cookie = await signInDue(plain)
    const changes = () =>
      plain.vestibule.log().filter(({ event }) => /^refresh_(?:failing|works)$/.test(String(event)))
    expect(changes()).not.toEqual([])
    await check(plain, cookie)
    const works = { event: 'refresh_works', level: 'info' }
    await eventually(() => changes().at(-1)).toMatchObject(works)
    const events = changes().map(({ event }) => event)
    expect(events).toEqual(events.map((_, at) => (at % 2 ? 'refresh_works' : 'refresh_failing')))
    const failing = plain.vestibule.log().find(({ event }) => event === 'refresh_failing')
    expect(failing).toMatchObject({ level: 'warn', endpoint: 'token_endpoint' })
    expect(plain.vestibule.output()).not.toContain('<b>')
  })

  test('makes checks wait where apps are given the token, and then 503', async () => {
    const cookie = await signInDue(passing)
    passing.provider.set('token', faults.tooManyRequests)
    for (let times = 0; times < 3; times += 1) {
      const { status, headers, setCookies } = await check(passing, cookie)
      expect([status, setCookies]).toEqual([503, []])
      expect(headers['retry-after']).toMatch(/^\d+$/)
    }
    expect(refreshRequests(passing.provider)).toHaveLength(1)
    passing.provider.reset()
    time.pass(PAUSED_MS)
    await expectRefreshed(cookie)
  })

  test('that is slow answers a check that has waited with 503, and the next one with the new token', async () => {
    const cookie = await signInDue(passing)
    const slow = Promise.withResolvers<void>()
    passing.provider.set('token', { after: slow.promise, times: 1 })
    expect((await check(passing, cookie)).status).toBe(503)
    slow.resolve()
    expect((await checkSettled(passing, cookie)).status).toBe(200)
    expect(refreshRequests(passing.provider)).toHaveLength(1)
  })

  test('is left alone for as long as it asks for', async () => {
    const cookie = await signInDue(plain)
    const headers = { 'Retry-After': '300' }
    plain.provider.set('token', { ...faults.unavailable, headers, times: 1 })
    const [before, failed] = [await results(plain, 'refreshed'), await results(plain, 'failed')]
    await check(plain, cookie)
    await eventually(() => refreshRequests(plain.provider)).toHaveLength(1)
    await eventually(() => results(plain, 'failed')).toBe(failed + 1)
    time.pass(200_000)
    expect((await check(plain, cookie)).status).toBe(200)
    expect(refreshRequests(plain.provider)).toHaveLength(1)
    time.pass(101_000)
    await check(plain, cookie)
    await eventually(() => results(plain, 'refreshed')).toBe(before + 1)
  })

  test('that says invalid_grant ends the session', async () => {
    const cookie = await signInDue(passing)
    passing.provider.set('token', faults.invalidGrant)
    await expectEnded(cookie, 'refused')
  })
})

test('SESSION_REFRESH_GRACE=0 ends the patience with the token', async () => {
  await using strict = await startRelyingParty({ SESSION_REFRESH_GRACE: '0' })
  const cookie = await signInDue(strict)
  strict.provider.set('token', faults.unavailable)
  expect((await check(strict, cookie)).status).toBe(503)
  strict.provider.reset()
  time.pass(PAUSED_MS)
  expect((await check(strict, cookie)).status).toBe(200)
})

describe('what a refresh gives', () => {
  const night = { groups: ['night shift'] }
  const shift = { 'x-auth-request-groups': 'night shift' }
  const moved = { ...night, email: 'new@example.com' }
  const NEW = { 'x-auth-request-email': 'new@example.com' }
  const inUserInfo = (changes: Json): void => passing.provider.set('userinfo', answering(changes))
  const withoutIdToken = answering({ id_token: undefined })
  const beside = answering({ sub: 'bob', groups: ['owners'], email: 'eve@example.com' })
  const inUserInfoAlone = (): void => {
    passing.provider.set('token', withoutIdToken)
    inUserInfo(night)
  }

  const inUserInfoEmpty = (): void => {
    passing.provider.set('token', answering({ id_token: '', refresh_token: null, scope: '' }))
    inUserInfo(night)
  }
  const lessRefused = (): void => {
    passing.provider.tamperIdToken(night)
    passing.provider.set('userinfo', { status: 403, body: '' })
  }

  test.for<[string, () => void, Json]>([
    ['new groups and address, from UserInfo', () => inUserInfo(moved), { ...shift, ...NEW }],
    ['new groups, from the ID token', () => passing.provider.tamperIdToken(night), shift],
    ['new groups, from UserInfo without an ID token', inUserInfoAlone, shift],
    ['new groups, from UserInfo beside an empty ID token (C21)', inUserInfoEmpty, shift],
    ['fewer groups, although UserInfo refuses (C22)', lessRefused, { ...ALICE, ...shift }],
    [
      'nothing of what stands beside the tokens',
      () => passing.provider.set('token', beside),
      ALICE,
    ],
  ])('is %s', async ([, change, expected]) => {
    const cookie = await signInDue(passing)
    change()
    expect((await expectRefreshed(cookie)).headers).toMatchObject(expected)
  })

  const QUIET = { OIDC_USERINFO: 'never', PASS_ACCESS_TOKEN: 'true' }
  test('is refused with an ID token of another user, also where UserInfo is not asked (A86)', async () => {
    await using quiet = await startRelyingParty(QUIET)
    const cookie = await signInDue(quiet)
    quiet.provider.tamperIdToken({ sub: 'mallory' })
    expect((await checkSettled(quiet, cookie)).status).toBe(302)
    expect([await results(quiet, 'rejected'), quiet.provider.count('userinfo')]).toEqual([1, 0])
  })

  test('is what the first ID token says where there is no other and UserInfo is not asked', async () => {
    await using quiet = await startRelyingParty(QUIET)
    const groups = ['from the first']
    quiet.provider.set('token', {
      rewrite: async (body) => ({
        ...body,
        expires_in: 0,
        id_token: await quiet.provider.sign({ ...claimsOf(String(body['id_token'])), groups }),
      }),
    })
    const { browser, callbackUrl } = await quiet.untilCallback()
    await browser.get(callbackUrl)
    quiet.provider.set('token', withoutIdToken)
    const { headers } = await expectRefreshed(cookieHeader(browser) ?? '', quiet)
    expect(headers['x-auth-request-groups']).toBe('from the first')
    expect(quiet.provider.count('userinfo')).toBe(0)
  })

  test.for<[string, Behaviour]>([
    ['is down', faults.down],
    ['says 503', faults.unavailable],
    ['says 401', { status: 401, headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' } }],
    ['gives HTML', faults.html],
    ['gives an empty object', faults.emptyObject],
  ])('is tokens alone where UserInfo %s', async ([, behaviour]) => {
    const cookie = await signInDue(passing)
    passing.provider.set('userinfo', behaviour)
    expect((await expectRefreshed(cookie)).headers).toMatchObject(ALICE)
  })

  test('leaves the refresh token as it was where it names none (RFC 6749 section 6)', async () => {
    const configuration = { rotateRefreshToken: false }
    await using steady = await startRelyingParty({}, { configuration })
    const cookie = await signInDue(steady)
    steady.provider.set('token', answering({ refresh_token: undefined, expires_in: 0 }))
    for (const times of [1, 2]) {
      if (times > 1) time.pass(PAUSED_MS)
      expect((await check(steady, cookie)).status).toBe(200)
      await eventually(() => results(steady, 'refreshed')).toBe(times)
    }
    const [first, second] = refreshRequests(steady.provider)
    expect(second?.get('refresh_token')).toBe(first?.get('refresh_token'))
    expect((await check(steady, cookie)).status).toBe(200)
  })

  test('is asked for with the newest refresh token, so that none is used twice', async () => {
    const cookie = await signInDue(plain)
    const before = await results(plain, 'refreshed')
    plain.provider.set('token', answering({ expires_in: 0 }))
    for (const times of [1, 2]) {
      if (times > 1) time.pass(PAUSED_MS)
      await Promise.all(Array.from({ length: 10 }, () => check(plain, cookie)))
      await eventually(() => results(plain, 'refreshed')).toBe(before + times)
    }
    const used = refreshRequests(plain.provider).map((sent) => sent.get('refresh_token'))
    expect([used.length, new Set(used).size]).toEqual([2, 2])
    expect((await check(plain, cookie)).status).toBe(200)
  })
})

test('a session without a refresh token lives on without one', async () => {
  const cookie = await signInDue(plain, { refresh_token: undefined })
  for (const _ of [1, 2, 3]) expect((await check(plain, cookie)).status).toBe(200)
  expect(plain.provider.count('token')).toBe(0)
})

test('no token and no claim is in the logs', () =>
  expect(passing.vestibule.output()).not.toMatch(
    /eyJ[\w-]+\.|evil\.example|eve@|alice@|access_token/,
  ))
