import { describe, expect, test } from 'vitest'
import type { Sessions } from '../../src/session/sessions.ts'
import type { SessionIndex } from '../../src/store/session-index.ts'
import type { Store } from '../../src/store/store.ts'
import {
  away,
  DAY_MS,
  newSession,
  outage,
  REALM,
  sessionDigest,
  startSessions,
} from '../support/started-sessions.ts'

const OTHER_REALM = 'other.example.com'
const STORE_AWAY = expect.objectContaining({ code: 'store_unavailable' }) as Error
const owned = (providerSession: string) => ({
  metadata: { ...newSession.metadata, owners: { user: 'user-1', providerSession } },
})

type Step = 'read' | 'end' | 'list' | 'second end'

/** Sessions over a store of which one step fails until it is mended. */
const startFailing = (step: Step, fail: () => never) => {
  let isFailing = false
  let ends = 0
  const failAt = (at: Step) => {
    if (isFailing && at === step) fail()
  }
  const inner = startSessions()
  const started = startSessions({
    canShareReads: true,
    wrap: (store): Store => ({
      ...store,
      read: async (...asked) => {
        failAt('read')
        return store.read(...asked)
      },
      end: async (...asked) => {
        failAt('end')
        if (ends++ > 0) failAt('second end')
        return store.end(...asked)
      },
    }),
    index: {
      ...inner.index,
      list: async (...asked) => {
        failAt('list')
        return inner.index.list(...asked)
      },
    } satisfies SessionIndex,
  })
  return {
    ...started,
    break: () => {
      isFailing = true
      ends = 0
      started.calls.length = 0
    },
    mend: () => {
      isFailing = false
    },
  }
}

describe('an end whose answer is lost', () => {
  test.for<[string, (sessions: Sessions, digest: string) => Promise<unknown>]>([
    ['of one session', (sessions, digest) => sessions.end(digest)],
    ['of a user', (sessions) => sessions.endAllOf({ kind: 'user', id: 'user-1' })],
    ['of everybody', (sessions) => sessions.endAll()],
  ])(
    'F02: %s: it may have been carried out, and the session is refused here from then on',
    async ([, end], { expect }) => {
      const started = startFailing('end', outage)
      const { sessions } = started
      const credential = await started.open()
      started.break()
      await expect(end(sessions, sessionDigest(credential))).rejects.toThrow(STORE_AWAY)
      expect(sessions.revocations.has(sessionDigest(credential))).toBe(true)
      // And the store is told of it nevertheless, where that is asked for.
      sessions.deferEnd(sessionDigest(credential))
      expect(sessions.revocations.waiting).toBe(1)
    },
  )
})

describe('signing out while the store cannot be reached', () => {
  test.for(['read', 'end', 'list', 'second end'] as const)(
    'when it is lost at the %s, the session ends here at once and everywhere later',
    async (step, { expect }) => {
      const started = startFailing(step, outage)
      const { sessions, store, announced, flushed, calls } = started
      const credential = await started.open()
      const another = await started.open(owned('sid-2'))
      await started.open({ realm: OTHER_REALM })
      started.break()
      expect(await sessions.endTogether(credential)).toBe('pending')
      expect(sessions.revocations.waiting).toBe(1)
      expect(announced).toEqual([sessionDigest(credential)])
      expect(sessions.recall(credential, REALM)).toBeUndefined()
      calls.length = 0
      const assertion = () => {
        throw new Error('nobody needs it')
      }
      expect(await sessions.find(credential, REALM, { standIn: { assertion } })).toBeUndefined()
      expect(calls).toEqual([])
      started.mend()
      await sessions.revocations.flush()
      expect(sessions.revocations.waiting).toBe(0)
      expect(flushed).toEqual([1])
      expect(
        await store.read(sessionDigest(credential), ['identity', 'tokens', 'metadata']),
      ).toEqual({})
      expect(await sessions.find(another, REALM)).toBeDefined()
    },
  )

  test.for(['read', 'end', 'list', 'second end'] as const)(
    'when it is lost at the %s, the sessions of the same session at the provider end later too',
    async (step, { expect }) => {
      const started = startFailing(step, outage)
      const { sessions, store } = started
      const [here, there] = [await started.open(), await started.open({ realm: OTHER_REALM })]
      started.break()
      expect(await sessions.endTogether(here)).toBe('pending')
      await sessions.revocations.flush()
      expect(sessions.revocations.waiting).toBe(1)
      started.mend()
      await sessions.revocations.flush()
      expect(await sessions.find(there, OTHER_REALM)).toBeUndefined()
      expect(await store.read(sessionDigest(there), ['identity'])).toEqual({})
    },
  )

  test('all that wait end at the first flush after it is back', async () => {
    const started = startFailing('read', outage)
    const { sessions, store, flushed } = started
    const credentials = await Promise.all(
      Array.from({ length: 50 }, (_, index) => started.open(owned(`sid-${index}`))),
    )
    started.break()
    for (const each of credentials) expect(await sessions.endTogether(each)).toBe('pending')
    expect(sessions.revocations.waiting).toBe(50)
    started.mend()
    await sessions.revocations.flush()
    expect(flushed).toEqual([50])
    for (const each of credentials)
      expect(await store.read(sessionDigest(each), ['identity'])).toEqual({})
  })

  test('when it is back it does not bring the session back here, told or not', async () => {
    const started = startFailing('read', outage)
    const { sessions } = started
    const credential = await started.open()
    started.break()
    await sessions.endTogether(credential)
    started.mend()
    expect(await sessions.find(credential, REALM)).toBeUndefined()
    expect(sessions.recall(credential, REALM)).toBeUndefined()
  })

  test('a sign-out that is known to find it away asks nobody', async () => {
    const started = startFailing('read', outage)
    const { sessions, calls, announced } = started
    const credential = await started.open()
    started.break()
    expect(sessions.deferEndTogether(credential)).toBe('pending')
    expect(calls).toEqual([])
    expect(announced).toEqual([sessionDigest(credential)])
    expect(sessions.recall(credential, REALM)).toBeUndefined()
    expect(await sessions.find(credential, REALM)).toBeUndefined()
    started.mend()
    await sessions.revocations.flush()
    expect(calls).toContain(`end ${DAY_MS}`)
  })

  test('a sign-out that nobody could verify counts here, and everywhere once it is verified', async () => {
    const started = startFailing('read', outage)
    const { sessions, store, announced, flushed, calls } = started
    const credential = await started.open()
    const there = await started.open({ realm: OTHER_REALM })
    started.break()
    expect(sessions.deferUnverifiedEnd(credential, REALM, '203.0.113.7')).toBe('pending')
    expect([calls, announced]).toEqual([[], []])
    expect(sessions.recall(credential, REALM)).toBeUndefined()
    expect(await sessions.find(credential, REALM)).toBeUndefined()
    await sessions.revocations.flush()
    expect([sessions.revocations.waiting, flushed]).toEqual([1, []])
    started.mend()
    await sessions.revocations.flush()
    expect([sessions.revocations.waiting, flushed]).toEqual([0, [1]])
    expect(await store.read(sessionDigest(credential), ['identity', 'tokens', 'metadata'])).toEqual(
      {},
    )
    expect(await sessions.find(there, OTHER_REALM)).toBeUndefined()
    expect(sessions.revocations.has(sessionDigest(credential))).toBe(true)
  })

  test('it ends nobody’s session without its secret, or at another place', async () => {
    const started = startFailing('read', outage)
    const { sessions, calls } = started
    const credential = await started.open()
    started.break()
    sessions.deferUnverifiedEnd({ ...credential, secret: 'x'.repeat(43) }, REALM, '203.0.113.7')
    started.mend()
    await sessions.revocations.flush()
    expect(await sessions.find(credential, REALM)).toBeDefined()
    started.break()
    sessions.deferUnverifiedEnd(credential, OTHER_REALM, '203.0.113.7')
    sessions.deferUnverifiedEnd(
      { id: 'y'.repeat(43), secret: 'y'.repeat(43) },
      REALM,
      '203.0.113.7',
    )
    started.mend()
    await sessions.revocations.flush()
    expect(sessions.revocations.waiting).toBe(0)
    expect(calls.filter((call) => call.startsWith('end'))).toEqual([])
    expect(await sessions.find(credential, REALM)).toBeDefined()
  })

  test('where too many wait it is told that the session goes on', async () => {
    const started = startFailing('read', outage)
    const { sessions } = started
    const credential = await started.open()
    for (let index = 0; index < 10_000; index += 1) sessions.deferEnd(`d${index}`)
    started.break()
    await expect(sessions.endTogether(credential)).rejects.toThrow(STORE_AWAY)
    expect(() => sessions.deferEndTogether(credential)).toThrow(STORE_AWAY)
    started.mend()
    expect(await sessions.find(credential, REALM)).toBeDefined()
    expect(sessions.revocations.waiting).toBe(10_000)
  })
})

describe('signing out where the store answers that it will not', () => {
  test.for<[string, () => never, RegExp]>([
    ['a plain failure', away, /^away$/],
    [
      'a failure that nobody foresaw',
      () => {
        throw new TypeError('x is undefined')
      },
      /^x is undefined$/,
    ],
  ])('%s is not deferred: whoever asked is told', async ([, fail, message], { expect }) => {
    for (const step of ['read', 'end', 'list', 'second end'] as const) {
      const started = startFailing(step, fail)
      const { sessions, announced } = started
      const credential = await started.open()
      await started.open({ realm: OTHER_REALM })
      started.break()
      await expect(sessions.endTogether(credential), step).rejects.toThrow(message)
      expect(sessions.revocations.waiting, step).toBe(0)
      expect(announced).toEqual([])
      expect(sessions.recall(credential, REALM), step).toBeUndefined()
    }
  })

  test('one that was done is done', async () => {
    const started = startFailing('read', outage)
    const credential = await started.open()
    expect(await started.sessions.endTogether(credential)).toBe('done')
    expect(started.sessions.revocations.waiting).toBe(0)
    expect(started.announced).toEqual([])
    expect(started.sessions.revocations.has(sessionDigest(credential))).toBe(true)
  })
})

describe('ending one session', () => {
  test.for([
    ['an outage', outage],
    ['another failure', away],
  ] as const)('is never deferred, by %s neither', async ([, fail], { expect }) => {
    for (const step of ['read', 'end'] as const) {
      const started = startFailing(step, fail)
      const { sessions, announced } = started
      const credential = await started.open()
      started.break()
      await expect(sessions.end(sessionDigest(credential))).rejects.toThrow(STORE_AWAY)
      expect(sessions.revocations.waiting).toBe(0)
      expect(announced).toEqual([])
      started.mend()
      // What may have been carried out counts as if it was.
      const isRefused = step === 'end' && fail === outage
      expect((await sessions.find(credential, REALM)) === undefined).toBe(isRefused)
    }
  })

  test('an end that another replica made counts here, whatever the store says', async () => {
    const { sessions, open, calls } = startSessions()
    const credential = await open()
    await sessions.find(credential, REALM)
    sessions.receiveEnded(sessionDigest(credential))
    expect(sessions.recall(credential, REALM)).toBeUndefined()
    calls.length = 0
    expect(await sessions.find(credential, REALM)).toBeUndefined()
    expect(calls).toEqual([])
    expect(sessions.revocations.waiting).toBe(0)
  })

  test('is repeated for a store that has come back with old data', async () => {
    const { sessions, store, open, calls } = startSessions()
    const [ended, heard, other] = [await open(), await open(), await open(owned('sid-2'))]
    await sessions.end(sessionDigest(ended))
    sessions.receiveEnded(sessionDigest(heard))
    calls.length = 0
    await sessions.revocations.repeat()
    expect(calls).toEqual([`end ${DAY_MS}`, `end ${DAY_MS}`])
    expect(await store.read(sessionDigest(heard), ['identity'])).toEqual({})
    expect(await sessions.find(other, REALM)).toBeDefined()
  })
})
