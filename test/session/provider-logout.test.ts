import { beforeEach, describe, expect, test } from 'vitest'
import { AuthError } from '../../src/errors.ts'
import type { EndedAtProvider, LogoutToken } from '../../src/oidc/tokens/logout-token.ts'
import { createProviderLogout } from '../../src/session/provider-logout.ts'
import { createMemoryOneTimeKeys } from '../../src/store/memory/one-time-keys.ts'
import type { OneTimeKeys } from '../../src/store/one-time-keys.ts'
import type { Store } from '../../src/store/store.ts'
import * as given from '../support/started-sessions.ts'

const ISSUER = given.identity.issuer
const MINUTE_MS = 60_000

let marksNowMs = 0
let marks: string[]
let isStoreAvailable: boolean
beforeEach(() => {
  marksNowMs = 0
  marks = []
  isStoreAvailable = true
})

function start(changes: Partial<OneTimeKeys> = {}, options: given.StartedSessionsOptions = {}) {
  const started = given.startSessions(options)
  const real = createMemoryOneTimeKeys({ maxEntries: 100, maxBytes: 100_000 }, () => marksNowMs)
  const mark = (...words: readonly unknown[]) => void marks.push(words.join(' ').trim())
  const oneTimeKeys: OneTimeKeys = {
    consume(attempt, ...ms) {
      mark('consume', attempt.kind, ...ms)
      return real.consume(attempt, ...ms)
    },
    extend: (attempt, ttlMs) => (mark('extend', attempt.kind, ttlMs), real.extend(attempt, ttlMs)),
    release: (attempt) => (mark('release', attempt.kind), real.release(attempt)),
    ...changes,
  }
  const logOut = createProviderLogout({
    sessions: started.sessions,
    oneTimeKeys,
    clientId: 'vestibule',
    isStoreAvailable: () => isStoreAvailable,
    now: () => given.STARTED_AT,
  })
  return { ...started, logOut, open: started.signIn }
}

const tokenOf = (ended: EndedAtProvider, jti = 'j1'): LogoutToken => ({
  issuer: ISSUER,
  jti,
  ended,
  acceptedUntil: given.STARTED_AT + 11 * MINUTE_MS,
})

describe('a provider logout', () => {
  test.for<[string, EndedAtProvider, number, readonly boolean[]]>([
    ['a user', { subject: 'u1' }, 2, [false, false, true, true]],
    ['a session', { sid: 's1' }, 2, [false, true, false, true]],
    ['a session of a user', { subject: 'u1', sid: 's1' }, 1, [false, true, true, true]],
    ['a user without sessions', { subject: 'u3' }, 0, [true, true, true, true]],
    ['a session that nobody has', { sid: '*' }, 0, [true, true, true, true]],
    ['the session of another user', { subject: 'u3', sid: 's1' }, 0, [true, true, true, true]],
  ])('ends the sessions that it names and no others: %s', async ([, ended, count, alive]) => {
    const { logOut, open, areAlive } = start()
    const ofFirst = [await open('u1', 's1'), await open('u1', 's2')]
    const sessions = [...ofFirst, await open('u2', 's1'), await open('u2', 's3')]
    expect(await logOut(tokenOf(ended))).toEqual({ outcome: 'done', count })
    expect(await areAlive(sessions)).toEqual(alive)
  })

  test('the mark is short at first, and lasts as long as the token when the logout is done', async () => {
    const { logOut } = start()
    await logOut(tokenOf({ subject: 'u1' }))
    await logOut({
      ...tokenOf({ subject: 'u1' }, 'j2'),
      acceptedUntil: given.STARTED_AT + MINUTE_MS,
    })
    expect(marks).toEqual([
      'consume logout-token 5000 1000',
      `extend logout-token ${11 * MINUTE_MS}`,
      'consume logout-token 5000 1000',
      `extend logout-token ${5 * MINUTE_MS}`,
    ])
  })

  test('a replay does nothing; another issuer or jti is no replay', async () => {
    const { logOut, open, areAlive } = start()
    const token = tokenOf({ subject: 'u1' })
    await logOut(token)
    const session = await open('u1', 's1')
    expect(await logOut(token)).toEqual({ outcome: 'replayed' })
    expect(await areAlive([session])).toEqual([true])
    expect(await logOut({ ...token, issuer: 'https://other.example' })).toMatchObject({ count: 0 })
    expect(await logOut(tokenOf({ subject: 'u1' }, 'j2'))).toMatchObject({ count: 1 })
  })

  test('a logout that outlasts its mark is marked anew', async () => {
    const end =
      (store: Store): Store['end'] =>
      async (...given) => ((marksNowMs += 6000), store.end(...given))
    const slow = start({}, { wrap: (store) => ({ ...store, end: end(store) }) })
    await slow.open('u1', 's1')
    const token = tokenOf({ subject: 'u1' })
    expect(await slow.logOut(token)).toEqual({ outcome: 'done', count: 1 })
    expect(marks.at(-1)).toBe(`consume logout-token ${11 * MINUTE_MS}`)
    expect(await slow.logOut(token)).toEqual({ outcome: 'replayed' })
  })
})

describe('a provider logout during a store outage', () => {
  const all: EndedAtProvider[] = [{ subject: 'u1' }, { sid: 's1' }, { subject: 'u1', sid: 's1' }]
  test.for(all)('is deferred and counts here where the outage is known: %j', async (ended) => {
    const { logOut, open, areAlive, sessions } = start()
    const [theirs, other] = [await open('u1', 's1'), await open('u2', 's2')]
    isStoreAvailable = false
    expect(await logOut(tokenOf(ended))).toEqual({ outcome: 'deferred' })
    expect([marks, sessions.revocations.waiting]).toEqual([[], 1])
    expect(await areAlive([theirs, other])).toEqual([false, true])
    await sessions.revocations.flush()
    isStoreAvailable = true
    expect(await areAlive([theirs, other])).toEqual([false, true])
    expect(await logOut(tokenOf(ended))).toEqual({ outcome: 'done', count: 0 })
  })

  test.for<[string, Partial<OneTimeKeys>]>([
    ['before it is marked', { consume: async () => given.outage() }],
    ['as it is marked for good', { extend: async () => given.outage() }],
  ])('is deferred, counts here and may be sent again: %s', async ([, changes]) => {
    const { logOut, open, areAlive, sessions } = start(changes)
    const session = await open('u1', 's1')
    expect(await logOut(tokenOf({ subject: 'u1' }))).toEqual({ outcome: 'deferred' })
    expect([marks.at(-1), sessions.revocations.waiting]).toEqual(['release logout-token', 1])
    expect(await areAlive([session])).toEqual([false])
  })

  test('fails where the store refuses, and may be sent again', async () => {
    const broken = start({ release: async () => given.outage() })
    await broken.open('u1', 's1')
    broken.break('read', given.away)
    await expect(broken.logOut(tokenOf({ subject: 'u1' }))).rejects.toThrow(AuthError)
    expect(broken.sessions.revocations.waiting).toBe(0)
  })
})
