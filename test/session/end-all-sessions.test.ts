import { describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import type { NewSession } from '../../src/session/sessions.ts'
import type { Owner } from '../../src/store/session-index.ts'
import {
  away,
  DAY_MS,
  identity,
  newSession,
  outage,
  present,
  REALM,
  refusedAs,
  STORE_AWAY,
  type StartedSessionsOptions,
  sessionDigest,
  sessionOf,
  startSessions,
} from '../support/started-sessions.ts'

const SIGN_IN_FAILED = refusedAs('sign_in_failed')
const ALICE = userOwner(identity.issuer, 'alice')
const AT_WORK = providerSessionOwner(identity.issuer, 'at-work')

type Started = ReturnType<typeof startSessions>
type Whose = 'all of a user' | 'all of a provider session' | 'all'

/** Opens three sessions of Alice in two provider sessions, and one of Bob. */
async function openThem({ open }: Started) {
  return {
    laptop: await open(sessionOf('alice', 'at-work')),
    wiki: await open(sessionOf('alice', 'at-work')),
    phone: await open(sessionOf('alice', 'on-the-way')),
    bob: await open(sessionOf('bob', 'at-home')),
  }
}

/** Tells, as a check would, whether each session is found in memory or store; a refused one must not be stored. */
function areThere({ sessions, sealed }: Started, ...credentials: readonly SessionCredential[]) {
  return Promise.all(
    credentials.map(async (each) => {
      const isRecalled = sessions.recall(each, REALM) !== undefined
      const isFound = isRecalled || (await sessions.find(each, REALM)) !== undefined
      const { identity } = await sealed(each)
      expect(identity !== undefined, 'whether it is stored').toBe(isFound)
      return isFound
    }),
  )
}

async function stored({ store }: Started) {
  return (await Array.fromAsync(store.list())).flat()
}

const WAYS: readonly (readonly [Whose, (started: Started) => Promise<number>])[] = [
  ['all of a user', ({ sessions }) => sessions.endAllOf(ALICE)],
  ['all of a provider session', ({ sessions }) => sessions.endAllOf(AT_WORK)],
  ['all', ({ sessions }) => sessions.endAll()],
]

describe('ending all sessions of an owner', () => {
  test.for([
    ['a user', ALICE, [false, false, false, true]],
    ['a provider session', AT_WORK, [false, false, true, true]],
    ['a user of another issuer', userOwner('https://other.example', 'alice'), Array(4).fill(true)],
  ] as const)('those of %s end, and no others', async ([, owner, stay]) => {
    const started = startSessions()
    const credentials = Object.values(await openThem(started))
    expect(await started.sessions.endAllOf(owner)).toBe(stay.filter((stays) => !stays).length)
    expect(await areThere(started, ...credentials)).toEqual(stay)
    expect(await started.index.list(owner.kind, owner.id)).toEqual([])
    expect(await started.sessions.endAllOf(owner)).toBe(0)
  })

  test('those of a provider session and a user leave other users alone', async () => {
    const started = startSessions()
    const { laptop, phone } = await openThem(started)
    const colleague = await started.open(sessionOf('colleague', 'at-work'))
    expect(await started.sessions.endAllOf(AT_WORK, { user: ALICE.id })).toBe(2)
    expect(await areThere(started, laptop, phone, colleague)).toEqual([false, true, true])
    expect(await started.sessions.endAllOf(AT_WORK, { user: 'nobody' })).toBe(0)
    expect(await areThere(started, colleague)).toEqual([true])
  })

  test('hundreds of sessions end, each of them once', async () => {
    const started = startSessions()
    const open = () => started.open(sessionOf('alice'))
    const credentials = await Promise.all(Array.from({ length: 250 }, open))
    started.calls.length = 0
    expect(await started.sessions.endAllOf(ALICE)).toBe(250)
    expect(started.calls.filter((call) => call.startsWith('end'))).toHaveLength(250)
    expect(await areThere(started, ...credentials)).toEqual(Array(250).fill(false))
  })

  test('the record, not the index, decides whose a session is', async () => {
    const started = startSessions()
    const { bob } = await openThem(started)
    const owners = { user: ALICE.id, providerSession: AT_WORK.id }
    await started.index.add(sessionDigest(bob), owners, DAY_MS)
    expect(await started.sessions.endAllOf(AT_WORK)).toBe(2)
    expect(await started.sessions.endAllOf(ALICE)).toBe(1)
    expect(await areThere(started, bob)).toEqual([true])
  })

  test('a session without a provider session belongs to none', async () => {
    const started = startSessions()
    const credential = await started.open(sessionOf('alice'))
    const owners = { user: ALICE.id, providerSession: AT_WORK.id }
    await started.index.add(sessionDigest(credential), owners, DAY_MS)
    expect(await started.sessions.endAllOf(AT_WORK)).toBe(0)
    expect(await areThere(started, credential)).toEqual([true])
  })

  test('a record that does not open is reported and spared, and the others end', async () => {
    const started = startSessions()
    const { laptop } = await openThem(started)
    const digest = sessionDigest(laptop)
    await started.overwrite(laptop, { metadata: Buffer.from('noise') })
    expect(await started.sessions.endAllOf(ALICE)).toBe(2)
    expect(started.integrityFailures).toEqual([`vestibule:{${digest}}:m`])
    expect(await areThere(started, laptop)).toEqual([true])
    // Its digest still ends it.
    expect(await started.sessions.end(digest)).toBe(true)
    expect(await areThere(started, laptop)).toEqual([false])
  })

  test('an entry without a session stays, because its session may follow, and counts as none', async () => {
    const started = startSessions()
    const digest = sessionDigest(await started.open(sessionOf('bob')))
    await started.store.end(digest, DAY_MS)
    await started.index.add(digest, { user: ALICE.id }, DAY_MS)
    expect(await started.sessions.endAllOf(ALICE)).toBe(0)
    expect(await started.index.list('user', ALICE.id)).toEqual([digest])
  })

  test('an index that cannot be cleaned keeps no session alive', async () => {
    const started = startSessions()
    const { laptop, phone } = await openThem(started)
    started.break('remove', away)
    expect(await started.sessions.endAllOf(ALICE)).toBe(3)
    expect(await areThere(started, laptop, phone)).toEqual([false, false])
    expect(await started.sessions.endAllOf(ALICE)).toBe(0)
  })
})

describe('ending all sessions', () => {
  test('none is left, and the result is their number', async () => {
    const started = startSessions()
    const credentials = Object.values(await openThem(started))
    expect(await started.sessions.endAll()).toBe(4)
    expect(await areThere(started, ...credentials)).toEqual(Array(4).fill(false))
    expect(await started.sessions.list(undefined, 10)).toEqual([])
    expect(await started.sessions.endAll()).toBe(0)
  })

  test('a session that the store names twice counts once', async () => {
    const started = startSessions({
      wrap: (store) => ({
        ...store,
        async *list() {
          for await (const digests of store.list()) {
            yield digests
            yield [...digests, ...digests]
          }
        },
      }),
    })
    await openThem(started)
    expect(await started.sessions.endAll()).toBe(4)
  })

  test('hundreds of sessions end, at most a hundred at once', async () => {
    let atOnce = 0
    let mostAtOnce = 0
    const started = startSessions({
      wrap: (store) => ({
        ...store,
        async end(...asked) {
          atOnce += 1
          mostAtOnce = Math.max(mostAtOnce, atOnce)
          await new Promise((resolve) => setImmediate(resolve))
          atOnce -= 1
          return store.end(...asked)
        },
      }),
    })
    for (let count = 0; count < 250; count += 1) await started.open(sessionOf(`user-${count}`))
    expect(await started.sessions.endAll()).toBe(250)
    expect(mostAtOnce).toBe(100)
  })

  test('a session whose metadata do not open ends as well', async () => {
    const started = startSessions()
    const credential = await started.open()
    await started.overwrite(credential, { metadata: Buffer.from('noise') })
    expect(await started.sessions.endAll()).toBe(1)
    expect(await areThere(started, credential)).toEqual([false])
  })
})

describe('a store that cannot be told', () => {
  const steps = {
    'all of a user': 'list',
    'all of a provider session': 'list',
    all: 'scan',
  } as const
  test.for(
    WAYS.flatMap(([whose, end]) =>
      (['advance', steps[whose], 'read', 'end'] as const).flatMap((step) => [
        [whose, step, 'an outage', outage, end] as const,
        [whose, step, 'a failure', away, end] as const,
      ]),
    ),
  )('the end of %s rejects at the %s in %s, and may be retried', async ([, step, , fail, end]) => {
    const started = startSessions()
    const { laptop } = await openThem(started)
    started.break(step, fail)
    await expect(end(started)).rejects.toThrow(STORE_AWAY)
    expect([started.sessions.revocations.waiting, started.announced]).toEqual([0, []])
    started.mend()
    await end(started)
    expect(await areThere(started, laptop)).toEqual([false])
  })

  test('what had ended before the outage has ended, and the session in doubt is refused', async () => {
    const started = startSessions()
    const { laptop, wiki } = await openThem(started)
    started.break('end', outage, 1)
    await expect(started.sessions.endAllOf(AT_WORK)).rejects.toThrow(STORE_AWAY)
    started.mend()
    expect(await areThere(started, laptop)).toEqual([false])
    expect(await started.sessions.find(wiki, REALM)).toBeUndefined()
    expect(await started.sessions.endAllOf(AT_WORK)).toBe(1)
  })
})

describe('a sign-in that races with the end of all sessions of its user', () => {
  /** Records the generation of a sign-in now and returns what opens its session later. */
  async function begin(
    started: Started,
    changes: Partial<NewSession> = sessionOf('alice', 'at-work'),
  ) {
    const generation = await started.sessions.currentGeneration()
    return () => started.open({ tokens: { ...newSession.tokens, generation }, ...changes })
  }

  test.for(WAYS)('it fails when %s were ended since it began', async ([, endThem]) => {
    const started = startSessions()
    const open = await begin(started)
    await endThem(started)
    await expect(open()).rejects.toThrow(SIGN_IN_FAILED)
    expect(await stored(started)).toEqual([])
    expect(await started.index.list('user', ALICE.id)).toEqual([])
    expect(started.sessionCache.size).toBe(0)
  })

  test.for(WAYS)('it succeeds when it began after %s were ended', async ([, endThem]) => {
    const started = startSessions()
    await endThem(started)
    const open = await begin(started)
    expect(await areThere(started, await open())).toEqual([true])
  })

  test('it succeeds when those of others were ended', async () => {
    const started = startSessions()
    const open = await begin(started, sessionOf('bob'))
    await started.sessions.endAllOf(ALICE)
    await started.sessions.endAllOf(AT_WORK)
    expect(await areThere(started, await open())).toEqual([true])
  })

  test('a sign-in without a generation counts as begun before everything', async () => {
    const started = startSessions()
    expect(await areThere(started, await started.open(sessionOf('alice')))).toEqual([true])
    await started.sessions.endAllOf(ALICE)
    await expect(started.open(sessionOf('alice'))).rejects.toThrow(SIGN_IN_FAILED)
  })

  test.for<['before' | 'after', string, number, Owner]>([
    ['before', 'user', 0, ALICE],
    ['after', 'user', 1, ALICE],
    ['before', 'provider session', 0, AT_WORK],
    ['after', 'provider session', 1, AT_WORK],
  ])(
    'it fails when held %s the write while those of its %s end',
    async ([at, , counted, owner]) => {
      const reached = Promise.withResolvers<void>()
      const goOn = Promise.withResolvers<void>()
      const hold = async () => {
        reached.resolve()
        await goOn.promise
      }
      const started = startSessions({
        wrap: (store) => ({
          ...store,
          async create(...asked) {
            if (at === 'before') await hold()
            await store.create(...asked)
            if (at === 'after') await hold()
          },
        }),
      })
      const opening = (await begin(started))()
      await reached.promise
      expect(await started.sessions.endAllOf(owner)).toBe(counted)
      goOn.resolve()
      await expect(opening).rejects.toThrow(SIGN_IN_FAILED)
      expect(await stored(started)).toEqual([])
      expect(started.sessionCache.size).toBe(0)
    },
  )

  test.for(WAYS)('it fails when it opens right after %s were listed', async ([, endThem]) => {
    let afterLook = async () => undefined as unknown
    const { index } = startSessions()
    const started = startSessions({
      wrap: (store) => ({
        ...store,
        async *list() {
          yield* store.list()
          await afterLook()
        },
      }),
      index: {
        ...index,
        list: async (...asked) => {
          const digests = await index.list(...asked)
          await afterLook()
          return digests
        },
      },
    })
    const open = await begin(started)
    afterLook = async () => {
      await expect(open()).rejects.toThrow(SIGN_IN_FAILED)
    }
    expect(await endThem(started)).toBe(0)
    expect(await stored(started)).toEqual([])
    expect.assertions(3)
  })

  test.for([
    ['an outage', outage],
    ['a failure', away],
  ] as const)('%s at the check of its generation gives no cookie', async ([, fail]) => {
    const started = startSessions()
    started.break('oldestOf', fail)
    await expect(started.open()).rejects.toThrow(STORE_AWAY)
    expect(started.sessionCache.size).toBe(0)
  })

  test('an outage at the end of its session gives no cookie', async () => {
    const started = startSessions()
    const open = await begin(started)
    started.break('end')
    await started.generations.advance(ALICE.id, DAY_MS)
    await expect(open()).rejects.toThrow(STORE_AWAY)
    expect(started.sessionCache.size).toBe(0)
  })

  test('no sign-in begins without a generation', async () => {
    const started = startSessions()
    started.break('current', away)
    await expect(started.sessions.currentGeneration()).rejects.toThrow(STORE_AWAY)
  })
})

describe('a deferred end of all sessions of an owner', () => {
  async function start(l1: StartedSessionsOptions['l1'] = {}) {
    const started = startSessions({ l1 })
    const { sessions } = started
    const opened = await openThem(started)
    const assertions = new Map<SessionCredential, string | undefined>()
    for (const each of Object.values(opened)) {
      const found = await sessions.find(each, REALM)
      assertions.set(each, found && started.assertions.issue(found, present(each)))
    }
    /** Returns the source that lets each in whose browser sends both cookies. */
    const look = (...credentials: readonly SessionCredential[]) =>
      Promise.all(
        credentials.map(async (each) => {
          const recalled = sessions.recall(each, REALM)
          if (recalled) return recalled.source
          const standIn = { assertion: () => assertions.get(each) }
          return sessions.find(each, REALM, { standIn }).then(
            (found) => found?.source ?? 'refused',
            () => 'unavailable',
          )
        }),
      )
    return { ...started, ...opened, look, flush: () => sessions.revocations.flush() }
  }
  type Looked = Awaited<ReturnType<typeof start>>
  /** Has missed messages, so that nothing is recalled. */
  const DEAF = { epoch: () => undefined }

  test.for(
    [ALICE, AT_WORK].flatMap((owner) => [
      ['memory', owner.kind, owner, {}, () => undefined, 'refused'] as const,
      ['store', owner.kind, owner, DEAF, () => undefined, 'refused'] as const,
      ['l1', owner.kind, owner, DEAF, (by: Looked) => by.break('read'), 'unavailable'] as const,
      ['assertion', owner.kind, owner, DEAF, loseAll, 'unavailable'] as const,
    ]),
  )(
    'from %s none of the %s is let in, and others are',
    async ([source, kind, owner, l1, happen, outcome]) => {
      const started = await start(l1)
      const { sessions, look, laptop, wiki, phone, bob } = started
      happen(started)
      expect(await look(laptop, wiki, phone)).toEqual([source, source, source])
      sessions.revocations.deferAllOf(owner, sessions.moment())
      const ofPhone = kind === 'user' ? outcome : source
      expect(await look(laptop, wiki, phone, bob)).toEqual([outcome, outcome, ofPhone, source])
    },
  )
  function loseAll(started: Looked): void {
    started.sessionCache.clear()
    started.break('read')
  }

  test('the first flush after the outage ends them everywhere', async () => {
    const started = await start()
    const { sessions, flushed, laptop, phone, bob, look } = started
    started.break('read')
    await expect(sessions.endAllOf(ALICE)).rejects.toThrow(STORE_AWAY)
    sessions.revocations.deferAllOf(ALICE, sessions.moment())
    await started.flush()
    expect([sessions.revocations.waiting, await look(laptop)]).toEqual([1, ['unavailable']])
    started.mend()
    expect(await look(laptop)).toEqual(['refused'])
    await started.flush()
    expect([sessions.revocations.waiting, flushed]).toEqual([0, [1]])
    expect(await areThere(started, laptop, phone, bob)).toEqual([false, false, true])
  })

  test('a sign-in that began before fails, and one that began since succeeds', async () => {
    const started = await start()
    const { sessions } = started
    const open = await begin()
    sessions.revocations.deferAllOf(ALICE, sessions.moment())
    await started.flush()
    await expect(open()).rejects.toThrow(SIGN_IN_FAILED)
    expect(await started.look(await (await begin())())).toEqual(['memory'])

    async function begin() {
      const tokens = { ...newSession.tokens, generation: await sessions.currentGeneration() }
      return () => started.open({ ...sessionOf('alice'), tokens })
    }
  })
})
