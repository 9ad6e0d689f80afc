import { beforeEach, describe, expect, test } from 'vitest'
import { AuthError } from '../../src/errors.ts'
import type { EndedAtProvider, LogoutToken } from '../../src/oidc/logout-token.ts'
import { createProviderLogout } from '../../src/session/provider-logout.ts'
import { createMemoryOneTimeKeys } from '../../src/store/memory/one-time-keys.ts'
import type { OneTimeKeys } from '../../src/store/one-time-keys.ts'
import {
  away,
  identity,
  outage,
  STARTED_AT,
  type StartedSessionsOptions,
  startSessions,
} from '../support/started-sessions.ts'

const ISSUER = identity.issuer
const MINUTE_MS = 60_000

let marksNowMs = 0
let marks: string[]
let isStoreAvailable: boolean
beforeEach(() => {
  marksNowMs = 0
  marks = []
  isStoreAvailable = true
})

function start(changes: Partial<OneTimeKeys> = {}, options: StartedSessionsOptions = {}) {
  const started = startSessions(options)
  const real = createMemoryOneTimeKeys({ maxEntries: 100, maxBytes: 100_000 }, () => marksNowMs)
  const oneTimeKeys: OneTimeKeys = {
    consume: (kind, key, attemptId, ttlMs, timeoutMs) => {
      marks.push(`consume ${kind} ${ttlMs} ${timeoutMs}`)
      return real.consume(kind, key, attemptId, ttlMs, timeoutMs)
    },
    extend: (kind, key, attemptId, ttlMs) => {
      marks.push(`extend ${kind} ${ttlMs}`)
      return real.extend(kind, key, attemptId, ttlMs)
    },
    release: (kind, key, attemptId) => {
      marks.push(`release ${kind}`)
      return real.release(kind, key, attemptId)
    },
    ...changes,
  }
  const logOut = createProviderLogout({
    sessions: started.sessions,
    oneTimeKeys,
    clientId: 'vestibule',
    isStoreAvailable: () => isStoreAvailable,
    now: () => STARTED_AT,
  })
  return {
    ...started,
    logOut,
    open: (subject: string, sid: string) => started.signIn(subject, sid),
  }
}

const tokenOf = (ended: EndedAtProvider, jti = 'j1'): LogoutToken => ({
  issuer: ISSUER,
  jti,
  ended,
  acceptedUntil: STARTED_AT + 11 * MINUTE_MS,
})

describe('a provider logout', () => {
  test.for<[string, EndedAtProvider, number, readonly boolean[]]>([
    ['a user', { subject: 'u1' }, 2, [false, false, true, true]],
    ['a session', { sid: 's1' }, 2, [false, true, false, true]],
    ['a session of a user', { subject: 'u1', sid: 's1' }, 1, [false, true, true, true]],
    ['a user without sessions', { subject: 'u3' }, 0, [true, true, true, true]],
    ['a session that nobody has', { sid: '*' }, 0, [true, true, true, true]],
    ['the session of another user', { subject: 'u3', sid: 's1' }, 0, [true, true, true, true]],
  ])(
    'it ends the sessions that it names and no others: %s',
    async ([, ended, count, alive], { expect }) => {
      const { logOut, open, areAlive } = start()
      const sessions = [
        await open('u1', 's1'),
        await open('u1', 's2'),
        await open('u2', 's1'),
        await open('u2', 's3'),
      ]
      expect(await logOut(tokenOf(ended))).toEqual({ outcome: 'done', count })
      expect(await areAlive(sessions)).toEqual(alive)
    },
  )

  test('the mark is short at first, and lasts as long as the token when the logout is done', async () => {
    const { logOut } = start()
    await logOut(tokenOf({ subject: 'u1' }))
    await logOut({ ...tokenOf({ subject: 'u1' }, 'j2'), acceptedUntil: STARTED_AT + MINUTE_MS })
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
    const slow = start(
      {},
      {
        wrap: (store) => ({
          ...store,
          end: async (digest, tombstoneMs) => {
            marksNowMs += 6000
            await store.end(digest, tombstoneMs)
          },
        }),
      },
    )
    await slow.open('u1', 's1')
    const token = tokenOf({ subject: 'u1' })
    expect(await slow.logOut(token)).toEqual({ outcome: 'done', count: 1 })
    expect(marks.at(-1)).toBe(`consume logout-token ${11 * MINUTE_MS} undefined`)
    expect(await slow.logOut(token)).toEqual({ outcome: 'replayed' })
  })
})

describe('a provider logout during a store outage', () => {
  test.for<[EndedAtProvider]>([
    [{ subject: 'u1' }],
    [{ sid: 's1' }],
    [{ subject: 'u1', sid: 's1' }],
  ])(
    'it is deferred and counts here where the outage is known: %j',
    async ([ended], { expect }) => {
      const { logOut, open, areAlive, sessions } = start()
      const [theirs, other] = [await open('u1', 's1'), await open('u2', 's2')]
      isStoreAvailable = false
      expect(await logOut(tokenOf(ended))).toEqual({ outcome: 'deferred' })
      expect(marks).toEqual([])
      expect(sessions.revocations.waiting).toBe(1)
      expect(await areAlive([theirs, other])).toEqual([false, true])
      await sessions.revocations.flush()
      isStoreAvailable = true
      expect(await areAlive([theirs, other])).toEqual([false, true])
      expect(await logOut(tokenOf(ended))).toEqual({ outcome: 'done', count: 0 })
    },
  )

  test.for<[string, Partial<OneTimeKeys>]>([
    ['before it is marked', { consume: async () => outage() }],
    ['as it is marked for good', { extend: async () => outage() }],
  ])('it is deferred, counts here and may be sent again: %s', async ([, changes], { expect }) => {
    const { logOut, open, areAlive, sessions } = start(changes)
    const session = await open('u1', 's1')
    expect(await logOut(tokenOf({ subject: 'u1' }))).toEqual({ outcome: 'deferred' })
    expect(marks.at(-1)).toBe('release logout-token')
    expect(sessions.revocations.waiting).toBe(1)
    expect(await areAlive([session])).toEqual([false])
  })

  test('it fails where the store refuses, and may be sent again', async () => {
    const release = async () => outage()
    const broken = start({ release })
    await broken.open('u1', 's1')
    broken.break('read', away)
    const failure = broken.logOut(tokenOf({ subject: 'u1' }))
    await expect(failure).rejects.toThrow(AuthError)
    expect(broken.sessions.revocations.waiting).toBe(0)
  })
})
