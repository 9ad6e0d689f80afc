import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { nowSeconds } from '../support/bearers.ts'
import { type Behaviour, faults } from '../support/provider.ts'
import { countResults } from '../support/refreshing-replicas.ts'
import { HYBRID, PATIENT, type Replicas, startReplicasInProcess } from '../support/replicas.ts'
import { cookieHeader, SESSION_COOKIE } from '../support/sign-in-steps.ts'
import { breakSignature, type ClaimChanges, claimsOf, type SignOptions } from '../support/tokens.ts'

let replicas: Replicas

beforeAll(async () => {
  replicas = await startReplicasInProcess({ count: 2, settings: { ...HYBRID, ...PATIENT } })
})

afterEach(() => {
  replicas.provider.reset()
  replicas.provider.forgetRequests()
})

afterAll(() => replicas[Symbol.asyncDispose]())
type Answer = Record<string, unknown>

function rewrite(change: (answer: Answer) => Answer) {
  return replicas.provider.set('token', { rewrite: (answer) => ({ ...answer, ...change(answer) }) })
}

/** A session whose access token has ended already, so that its next check has it refreshed behind the answer. */
async function signInDue(): Promise<string> {
  const { provider } = replicas
  rewrite(() => ({ expires_in: 0 }))
  const { browser, callbackUrl } = await replicas.untilCallback('alice')
  await browser.get(callbackUrl)
  provider.reset('token')
  provider.forgetRequests()
  return cookieHeader(browser) ?? ''
}

/** The answers of each replica to a cookie. */
function checkAll(cookie: string) {
  return Promise.all(replicas.all.map((each) => each.check({}, { Cookie: cookie })))
}

async function statuses(cookie: string): Promise<number[]> {
  return (await checkAll(cookie)).map(({ status }) => status)
}

function ends() {
  const lines = replicas.all.flatMap((each) => [...each.log()])
  return lines.filter(({ event }) => event === 'session_not_refreshed')
}

function count(result: 'refreshed' | 'failed') {
  return countResults(replicas.all, result)
}

/** Has a due session refreshed and returns its cookie. */
async function refreshWith(misbehave: () => void): Promise<string> {
  const due = await signInDue()
  misbehave()
  await replicas.first.check({}, { Cookie: due })
  return due
}

async function expectEnded(misbehave: () => void): Promise<void> {
  const cookie = await refreshWith(misbehave)
  await expect.poll(() => statuses(cookie)).toEqual([302, 302])
}

/** Has a due session refreshed, and asserts that it goes on with the claims it had. */
async function expectGoesOn(result: 'refreshed' | 'failed', misbehave: () => void): Promise<void> {
  const [before, endsBefore] = [await count(result), ends().length]
  const cookie = await refreshWith(misbehave)
  await expect.poll(() => count(result)).toBe(before + 1)
  expect(replicas.provider.count('token')).toBe(1)
  for (const { status, setCookies, headers } of await checkAll(cookie)) {
    expect(status).toBe(200)
    expect(setCookies.filter((line) => line.startsWith(`${SESSION_COOKIE}=`))).toEqual([])
    expect(headers).toMatchObject({
      'x-auth-request-user': 'alice',
      'x-auth-request-groups': 'staff,admins',
      'x-auth-request-email': 'alice@example.com',
    })
    expect(headers['x-auth-request-name']).not.toBe('Eve')
  }

  expect(ends()).toHaveLength(endsBefore)
}

describe('A86 refresh response abuse', () => {
  test.for<[string, () => ClaimChanges, SignOptions?]>([
    ['of another user', () => ({ sub: 'bob' })],
    ['of the same user in capitals', () => ({ sub: 'ALICE' })],
    ['of a list of users', () => ({ sub: ['alice'] })],
    ['of nobody', () => ({ sub: undefined })],
    ['of another issuer', () => ({ iss: 'https://evil.example' })],
    ['of the issuer with a slash more', () => ({ iss: `${replicas.provider.issuer}/` })],
    ['of no issuer', () => ({ iss: undefined })],
    ['for another client', () => ({ aud: 'other' })],
    ['issued to another client', () => ({ azp: 'other' })],
    ['of another sign-in', () => ({ nonce: 'of another sign-in' })],
    ['that is not signed', () => ({}), { as: 'none' }],
    ['of another user, not signed', () => ({ sub: 'bob' }), { as: 'none' }],
    ['that a stranger signed', () => ({}), { as: 'stranger' }],
    ['signed with the public key as the secret', () => ({}), { as: 'public-key-as-secret' }],
    ['that is an access token', () => ({}), { header: { typ: 'at+jwt' } }],
  ])('an ID token %s ends the session on every replica', async ([, changes, how]) => {
    const before = ends().length
    const cookie = await refreshWith(() => replicas.provider.tamperIdToken(changes(), how))
    await expect.poll(() => ends().slice(before)).toMatchObject([{ result: 'rejected' }])
    await expect.poll(() => statuses(cookie)).toEqual([302, 302])
    replicas.provider.reset()
    for (const { status, setCookies, headers } of await checkAll(cookie)) {
      expect([status, setCookies, headers['x-auth-request-user']]).toEqual([302, [], undefined])
    }
    expect(replicas.provider.count('token')).toBe(1)
  })

  test('the ID token of another user’s sign-in ends the session', async () => {
    let foreign: unknown
    rewrite(({ id_token: token }) => {
      foreign = token
      return {}
    })
    const { cookie: bobs } = await replicas.signedIn('bob')
    expect(claimsOf(String(foreign)).sub).toBe('bob')
    await expectEnded(() => rewrite(() => ({ id_token: foreign })))
    expect(await statuses(bobs)).toEqual([200, 200])
  })

  test('a broken signature ends the session', async () => {
    await expectEnded(() =>
      rewrite(({ id_token: token }) => ({ id_token: breakSignature(String(token)) })),
    )
  })

  test('UserInfo of another user ends the session', async () => {
    const bobs = { rewrite: (known: Answer) => ({ ...known, sub: 'bob' }) }
    await expectEnded(() => replicas.provider.set('userinfo', bobs))
  })

  test('only that session ends, and its user may sign in again', async () => {
    const { cookie: other } = await replicas.signedIn()
    await expectEnded(() => replicas.provider.tamperIdToken({ sub: 'bob' }))
    expect(await statuses(other)).toEqual([200, 200])
    replicas.provider.reset()
    expect(await statuses((await replicas.signedIn()).cookie)).toEqual([200, 200])
  })

  test.for<[string, Behaviour]>([
    ['no answer', faults.down],
    ['500', faults.serverError],
    ['502 in HTML', faults.badGateway],
    ['429', faults.tooManyRequests],
    ['HTML', faults.html],
    ['JSON that is cut off', faults.truncatedJson],
    ['10 MB', faults.tenMegabytes],
    ['a redirect', faults.redirect],
  ])('%s leaves the session as it was', ([, behaviour]) =>
    expectGoesOn('failed', () => replicas.provider.set('token', behaviour)),
  )

  // The clock of the service may be the wrong one (F28).
  test.for<[string, () => ClaimChanges]>([
    ['that has ended', () => ({ exp: nowSeconds() - 120 })],
    ['that was issued an hour ago', () => ({ iat: nowSeconds() - 3600 })],
  ])('an ID token %s changes nothing and signs nobody out', ([, changes]) =>
    expectGoesOn('refreshed', () => {
      replicas.provider.tamperIdToken({ ...changes(), groups: ['owners'], name: 'Eve' })
    }),
  )

  test('claims beside the ID token of an answer are not taken over', () =>
    expectGoesOn('refreshed', () =>
      rewrite(() => ({ sub: 'bob', groups: ['owners'], email: 'eve@example.com' })),
    ))
  test('no token and no claim is in the logs', () => {
    for (const each of replicas.all) {
      expect(each.isAlive()).toBe(true)
      expect(each.output()).not.toMatch(/eyJ[\w-]+\.|evil\.example|eve@|alice@|access_token/)
    }
  })
})
