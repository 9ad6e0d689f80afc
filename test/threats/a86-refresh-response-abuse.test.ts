import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
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

/** A session whose access token has ended already, so that its next check has it refreshed behind the answer. */
const signInDue = async (sub = 'alice'): Promise<string> => {
  const { provider } = replicas
  provider.set('token', { rewrite: (body) => ({ ...body, expires_in: 0 }) })
  const { browser, callbackUrl } = await replicas.untilCallback(sub)
  await browser.get(callbackUrl)
  provider.reset('token')
  provider.forgetRequests()
  return cookieHeader(browser) ?? ''
}

/** What is done behind an answer takes a busy machine some time. */
const eventually = <T>(read: () => T) => expect.poll(read)

/** What each replica says of a cookie. */
const checkAll = (cookie: string) =>
  Promise.all(replicas.all.map((each) => each.check({}, { Cookie: cookie })))
const statuses = async (cookie: string) => (await checkAll(cookie)).map(({ status }) => status)

const ends = () =>
  replicas.all
    .flatMap((each) => [...each.log()])
    .filter(({ event }) => event === 'session_not_refreshed')

const refreshed = () => countResults(replicas.all, 'refreshed')
const failed = () => countResults(replicas.all, 'failed')

const nowSeconds = () => Math.floor(Date.now() / 1000)

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
    const cookie = await signInDue()
    const before = ends().length
    replicas.provider.tamperIdToken(changes(), how)
    await replicas.first.check({}, { Cookie: cookie })
    await eventually(() => ends().slice(before)).toMatchObject([{ result: 'rejected' }])
    await eventually(() => statuses(cookie)).toEqual([302, 302])
    replicas.provider.reset()
    for (const { status, setCookies, headers } of await checkAll(cookie)) {
      expect([status, setCookies]).toEqual([302, []])
      expect(headers['x-auth-request-user']).toBeUndefined()
    }
    expect(replicas.provider.count('token')).toBe(1)
  })

  test('the ID token of somebody else’s sign-in ends the session', async () => {
    let foreign: unknown
    replicas.provider.set('token', {
      rewrite: (body) => {
        foreign = body['id_token']
        return body
      },
    })
    const { cookie: bobs } = await replicas.signedIn('bob')
    expect(claimsOf(String(foreign)).sub).toBe('bob')
    const cookie = await signInDue()
    replicas.provider.set('token', { rewrite: (body) => ({ ...body, id_token: foreign }) })
    await replicas.first.check({}, { Cookie: cookie })
    await eventually(() => statuses(cookie)).toEqual([302, 302])
    expect(await statuses(bobs)).toEqual([200, 200])
  })

  test('a broken signature ends the session', async () => {
    const cookie = await signInDue()
    replicas.provider.set('token', {
      rewrite: (body) => ({ ...body, id_token: breakSignature(String(body['id_token'])) }),
    })
    await replicas.first.check({}, { Cookie: cookie })
    await eventually(() => statuses(cookie)).toEqual([302, 302])
  })

  test('UserInfo of somebody else ends the session', async () => {
    const cookie = await signInDue()
    replicas.provider.set('userinfo', { rewrite: (known) => ({ ...known, sub: 'bob' }) })
    await replicas.first.check({}, { Cookie: cookie })
    await eventually(() => statuses(cookie)).toEqual([302, 302])
  })

  test('only that session ends, and its user may sign in again', async () => {
    const { cookie: other } = await replicas.signedIn()
    const cookie = await signInDue()
    replicas.provider.tamperIdToken({ sub: 'bob' })
    await replicas.first.check({}, { Cookie: cookie })
    await eventually(() => statuses(cookie)).toEqual([302, 302])
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
  ])('%s leaves the session as it was', async ([, behaviour]) => {
    const cookie = await signInDue()
    const [before, failedBefore] = [ends().length, await failed()]
    replicas.provider.set('token', behaviour)
    await replicas.first.check({}, { Cookie: cookie })
    await eventually(failed).toBe(failedBefore + 1)
    expect(replicas.provider.count('token')).toBe(1)
    for (const { status, setCookies, headers } of await checkAll(cookie)) {
      expect(status).toBe(200)
      expect(setCookies.filter((line) => line.startsWith(`${SESSION_COOKIE}=`))).toEqual([])
      expect(headers['x-auth-request-user']).toBe('alice')
    }
    expect(ends()).toHaveLength(before)
  })

  /** Our clock may be the wrong one (F28). */
  test.for<[string, () => ClaimChanges]>([
    ['that has ended', () => ({ exp: nowSeconds() - 120 })],
    ['that was issued an hour ago', () => ({ iat: nowSeconds() - 3600 })],
  ])('of an ID token %s nothing is taken over, and nobody is signed out', async ([, changes]) => {
    const cookie = await signInDue()
    const [before, endsBefore] = [await refreshed(), ends().length]
    replicas.provider.tamperIdToken({ ...changes(), groups: ['owners'], name: 'Eve' })
    await replicas.first.check({}, { Cookie: cookie })
    await eventually(refreshed).toBe(before + 1)
    for (const { status, headers } of await checkAll(cookie)) {
      expect([status, headers['x-auth-request-user']]).toEqual([200, 'alice'])
      expect(headers['x-auth-request-groups']).toBe('staff,admins')
      expect(headers['x-auth-request-name']).not.toBe('Eve')
    }
    expect(ends()).toHaveLength(endsBefore)
  })

  test('claims of the answer that are none of an ID token’s business are not taken over', async () => {
    const cookie = await signInDue()
    const before = await refreshed()
    replicas.provider.set('token', {
      rewrite: (body) => ({ ...body, sub: 'bob', groups: ['owners'], email: 'eve@example.com' }),
    })
    await replicas.first.check({}, { Cookie: cookie })
    await eventually(refreshed).toBe(before + 1)
    for (const { headers } of await checkAll(cookie)) {
      expect(headers['x-auth-request-user']).toBe('alice')
      expect(headers['x-auth-request-groups']).toBe('staff,admins')
      expect(headers['x-auth-request-email']).toBe('alice@example.com')
    }
  })

  test('nothing of what came is in the logs', () => {
    for (const each of replicas.all) {
      expect(each.isAlive()).toBe(true)
      expect(each.output()).not.toMatch(/eyJ[\w-]+\.|evil\.example|eve@|alice@|access_token/)
    }
  })
})
