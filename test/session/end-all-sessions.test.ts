import { describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import type { NewSession } from '../../src/session/sessions.ts'
import type { Owner } from '../../src/store/session-index.ts'
import type { RecordPart, Store } from '../../src/store/store.ts'
import {
  away,
  DAY_MS,
  identity,
  newSession,
  outage,
  REALM,
  type StartedSessionsOptions,
  sessionDigest,
  sessionOf,
  startSessions,
} from '../support/started-sessions.ts'

const STORE_AWAY = expect.objectContaining({ code: 'store_unavailable' }) as Error
const SIGN_IN_FAILED = expect.objectContaining({ code: 'sign_in_failed' }) as Error
const ALICE = userOwner(identity.issuer, 'alice')
const AT_WORK = providerSessionOwner(identity.issuer, 'at-work')

type Started = ReturnType<typeof startSessions>

/** Alice's sessions of two sessions at the provider, and one of Bob. */
const openThem = async ({ open }: Started) => ({
  laptop: await open(sessionOf('alice', 'at-work')),
  wiki: await open(sessionOf('alice', 'at-work')),
  phone: await open(sessionOf('alice', 'on-the-way')),
  bob: await open(sessionOf('bob', 'at-home')),
})
/** As a check looks, in memory first, and then whether the store has it. */
const isThere = async ({ sessions, store }: Started, credential: SessionCredential) => {
  const found =
    sessions.recall(credential, REALM) !== undefined ||
    (await sessions.find(credential, REALM)) !== undefined
  const { identity } = await store.read(sessionDigest(credential), ['identity'])
  expect(identity !== undefined, 'what is refused is not in the store').toBe(found)
  return found
}

describe('ending all sessions of an owner', () => {
  test.for([
    ['a user', ALICE, { laptop: false, wiki: false, phone: false, bob: true }],
    ['a session at the provider', AT_WORK, { laptop: false, wiki: false, phone: true, bob: true }],
    [
      "another provider's user of the same name",
      userOwner('https://other.example', 'alice'),
      { laptop: true, wiki: true, phone: true, bob: true },
    ],
  ] as const)('those of %s end, and no others', async ([, owner, expected], { expect }) => {
    const started = startSessions()
    const sessionCache = await openThem(started)
    const count = Object.values(expected).filter((stays) => !stays).length
    expect(await started.sessions.endAllOf(owner)).toBe(count)
    for (const [name, stays] of Object.entries(expected)) {
      expect(await isThere(started, sessionCache[name as keyof typeof sessionCache]), name).toBe(
        stays,
      )
    }
    expect(await started.index.list(owner.kind, owner.id)).toEqual([])
    expect(await started.sessions.endAllOf(owner)).toBe(0)
  })

  test("those of a session at the provider and one user are no other user's", async () => {
    const started = startSessions()
    const { laptop, phone } = await openThem(started)
    const colleague = await started.open(sessionOf('colleague', 'at-work'))
    expect(await started.sessions.endAllOf(AT_WORK, { user: ALICE.id })).toBe(2)
    const stay = [await isThere(started, phone), await isThere(started, colleague)]
    expect([await isThere(started, laptop), ...stay]).toEqual([false, true, true])
    expect(await started.sessions.endAllOf(AT_WORK, { user: 'nobody' })).toBe(0)
    expect(await isThere(started, colleague)).toBe(true)
  })

  test('hundreds of them end, each of them once', async () => {
    const started = startSessions()
    const credentials = await Promise.all(
      Array.from({ length: 250 }, () => started.open(sessionOf('alice'))),
    )
    started.calls.length = 0
    expect(await started.sessions.endAllOf(ALICE)).toBe(250)
    expect(started.calls.filter((call) => call.startsWith('end'))).toHaveLength(250)
    for (const each of credentials) expect(await isThere(started, each)).toBe(false)
  })

  test('an index names where to look, and the record says whose it is', async () => {
    const started = startSessions()
    const { bob } = await openThem(started)
    await started.index.add(
      sessionDigest(bob),
      { user: ALICE.id, providerSession: AT_WORK.id },
      DAY_MS,
    )
    expect(await started.sessions.endAllOf(AT_WORK)).toBe(2)
    expect(await started.sessions.endAllOf(ALICE)).toBe(1)
    expect(await isThere(started, bob)).toBe(true)
  })

  test('a session without a session at the provider is none of any of those', async () => {
    const started = startSessions()
    const credential = await started.open(sessionOf('alice'))
    await started.index.add(
      sessionDigest(credential),
      { user: ALICE.id, providerSession: AT_WORK.id },
      DAY_MS,
    )
    expect(await started.sessions.endAllOf(AT_WORK)).toBe(0)
    expect(await isThere(started, credential)).toBe(true)
  })

  test("a record that does not open says nothing, is told, and keeps nobody else's session", async () => {
    const started = startSessions()
    const { laptop } = await openThem(started)
    const digest = sessionDigest(laptop)
    const { identity, tokens } = (await started.store.read(digest, [
      'identity',
      'tokens',
    ])) as Record<RecordPart, Buffer>
    await started.store.create(digest, { identity, tokens, metadata: Buffer.from('noise') }, DAY_MS)
    expect(await started.sessions.endAllOf(ALICE)).toBe(2)
    expect(started.integrityFailures).toEqual([`vestibule:{${digest}}:m`])
    expect(await isThere(started, laptop)).toBe(true)
    // Who knows its digest can end it nevertheless.
    expect(await started.sessions.end(digest)).toBe(true)
    expect(await isThere(started, laptop)).toBe(false)
  })

  test('an entry that leads nowhere stays, for its session may be about to be, and is no session', async () => {
    const started = startSessions()
    const digest = sessionDigest(await started.open(sessionOf('bob')))
    await started.store.end(digest, DAY_MS)
    await started.index.add(digest, { user: ALICE.id }, DAY_MS)
    expect(await started.sessions.endAllOf(ALICE)).toBe(0)
    expect(await started.index.list('user', ALICE.id)).toEqual([digest])
  })

  test('an index that cannot be cleaned keeps no session alive', async () => {
    const { index } = startSessions()
    const started = startSessions({ index: { ...index, remove: async () => away() } })
    const { laptop, phone } = await openThem(started)
    expect(await started.sessions.endAllOf(ALICE)).toBe(3)
    for (const each of [laptop, phone]) expect(await isThere(started, each)).toBe(false)
    expect(await started.sessions.endAllOf(ALICE)).toBe(0)
  })
})

describe('ending all sessions', () => {
  test('of everybody: none is left, and it is said how many there were', async () => {
    const started = startSessions()
    const sessionCache = Object.values(await openThem(started))
    expect(await started.sessions.endAll()).toBe(4)
    for (const each of sessionCache) expect(await isThere(started, each)).toBe(false)
    expect(await started.sessions.list(undefined, 10)).toEqual([])
    expect(await started.sessions.endAll()).toBe(0)
  })

  test('one that comes twice in the list is one', async () => {
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

  test('hundreds at once, and not all at the same time', async () => {
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

  test('what cannot be opened ends as well', async () => {
    const started = startSessions()
    const credential = await started.open()
    const digest = sessionDigest(credential)
    const { identity, tokens } = (await started.store.read(digest, [
      'identity',
      'tokens',
    ])) as Record<RecordPart, Buffer>
    await started.store.create(digest, { identity, tokens, metadata: Buffer.from('noise') }, DAY_MS)
    expect(await started.sessions.endAll()).toBe(1)
    expect(await isThere(started, credential)).toBe(false)
  })
})

describe('a store that cannot be told', () => {
  type Step = 'advance' | 'list' | 'read' | 'end' | 'scan'
  const startFailing = (step: Step, fail: () => never) => {
    const broken = new Set<Step>()
    const failAt = (at: Step) => {
      if (broken.has(at)) fail()
    }
    const { index, generations } = startSessions()
    const started = startSessions({
      wrap: (store): Store => ({
        ...store,
        read: async (...asked) => {
          failAt('read')
          return store.read(...asked)
        },
        end: async (...asked) => {
          failAt('end')
          return store.end(...asked)
        },
        async *list() {
          yield* store.list()
          failAt('scan')
        },
      }),
      index: {
        ...index,
        list: async (...asked) => {
          failAt('list')
          return index.list(...asked)
        },
      },
      generations: {
        ...generations,
        advance: async (...asked) => {
          failAt('advance')
          return generations.advance(...asked)
        },
      },
    })
    return { ...started, index, break: () => broken.add(step), mend: () => broken.clear() }
  }
  const ways = { outage, 'another failure': away } as const
  const end = {
    'of a user': ({ sessions }: Started) => sessions.endAllOf(ALICE),
    'of a session at the provider': ({ sessions }: Started) => sessions.endAllOf(AT_WORK),
    'of everybody': ({ sessions }: Started) => sessions.endAll(),
  } as const

  test.for([
    ['of a user', 'advance'],
    ['of a user', 'list'],
    ['of a user', 'read'],
    ['of a user', 'end'],
    ['of a session at the provider', 'list'],
    ['of a session at the provider', 'read'],
    ['of a session at the provider', 'end'],
    ['of everybody', 'advance'],
    ['of everybody', 'scan'],
    ['of everybody', 'read'],
    ['of everybody', 'end'],
  ] as const)(
    'whoever ends all %s learns when it fails at the %s, and may try again',
    async ([whose, step], { expect }) => {
      for (const [name, fail] of Object.entries(ways)) {
        const started = startFailing(step, fail)
        const { laptop } = await openThem(started)
        started.break()
        await expect(end[whose](started), name).rejects.toThrow(STORE_AWAY)
        expect(started.sessions.revocations.waiting).toBe(0)
        expect(started.announced).toEqual([])
        started.mend()
        await end[whose](started)
        expect(await isThere(started, laptop)).toBe(false)
      }
    },
  )

  test('what had ended before it failed has ended, and where it failed the session is refused', async () => {
    let ends = 0
    const started = startSessions({
      wrap: (store) => ({
        ...store,
        end: async (...asked) => {
          if (ends++ === 1) outage()
          return store.end(...asked)
        },
      }),
    })
    const { laptop, wiki } = await openThem(started)
    await expect(started.sessions.endAllOf(AT_WORK)).rejects.toThrow(STORE_AWAY)
    expect(await isThere(started, laptop)).toBe(false)
    // The end of the other may have been carried out.
    expect(await started.sessions.find(wiki, REALM)).toBeUndefined()
    expect(await started.sessions.endAllOf(AT_WORK)).toBe(1)
  })
})

describe('a sign-in that races with the end of all sessions of its user', () => {
  /** A sign-in that takes down its generation now and opens its session later. */
  const begin = async (
    started: Started,
    changes: Partial<NewSession> = sessionOf('alice', 'at-work'),
  ) => {
    const generation = await started.sessions.currentGeneration()
    return () => started.open({ tokens: { ...newSession.tokens, generation }, ...changes })
  }
  const ways: readonly [string, (started: Started) => Promise<unknown>][] = [
    ['all of this user', ({ sessions }) => sessions.endAllOf(ALICE)],
    ['all of this session at the provider', ({ sessions }) => sessions.endAllOf(AT_WORK)],
    ['all', ({ sessions }) => sessions.endAll()],
  ]

  test.for(ways)(
    'it loses when %s were ended since it began, and nothing of it is left',
    async ([, endThem], { expect }) => {
      const started = startSessions()
      const open = await begin(started)
      await endThem(started)
      await expect(open()).rejects.toThrow(SIGN_IN_FAILED)
      expect((await Array.fromAsync(started.store.list())).flat()).toEqual([])
      expect(await started.index.list('user', ALICE.id)).toEqual([])
      expect(started.sessionCache.size).toBe(0)
    },
  )

  test.for(ways)('it wins when it began after %s were ended', async ([, endThem], { expect }) => {
    const started = startSessions()
    await endThem(started)
    const open = await begin(started)
    expect(await isThere(started, await open())).toBe(true)
  })

  test('it wins when those of others were ended', async () => {
    const started = startSessions()
    const open = await begin(started, sessionOf('bob'))
    await started.sessions.endAllOf(ALICE)
    await started.sessions.endAllOf(AT_WORK)
    expect(await isThere(started, await open())).toBe(true)
  })

  test('a sign-in that took down nothing began before everything', async () => {
    const started = startSessions()
    expect(await isThere(started, await started.open(sessionOf('alice')))).toBe(true)
    await started.sessions.endAllOf(ALICE)
    await expect(started.open(sessionOf('alice'))).rejects.toThrow(SIGN_IN_FAILED)
  })

  /** A sign-in that is held before or after it writes its session, while everything of its user ends. */
  const race = async (at: 'before' | 'after', owner: Owner) => {
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
    const open = await begin(started)
    const opening = open()
    await reached.promise
    const count = await started.sessions.endAllOf(owner)
    goOn.resolve()
    return { ...started, opening, count }
  }

  test.for([
    ['before', 0, ALICE],
    ['after', 1, ALICE],
    ['before', 0, AT_WORK],
    ['after', 1, AT_WORK],
  ] as const)(
    'held %s it writes its session it loses',
    async ([at, counted, owner], { expect }) => {
      const { opening, count, store, sessionCache } = await race(at, owner)
      await expect(opening).rejects.toThrow(SIGN_IN_FAILED)
      expect(count).toBe(counted)
      expect((await Array.fromAsync(store.list())).flat()).toEqual([])
      expect(sessionCache.size).toBe(0)
    },
  )

  test.for(ways)(
    'it loses when it opens its session right after %s were looked for',
    async ([, endThem], { expect }) => {
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
      expect((await Array.fromAsync(started.store.list())).flat()).toEqual([])
      expect.assertions(3)
    },
  )

  test('where it cannot be told whether it has lost, nobody gets its cookie', async () => {
    const { generations } = startSessions()
    for (const fail of [outage, away]) {
      const started = startSessions({
        generations: { ...generations, oldestOf: async () => fail() },
      })
      await expect(started.open()).rejects.toThrow(STORE_AWAY)
      expect(started.sessionCache.size).toBe(0)
    }
  })

  test('where its session cannot be ended, nobody gets its cookie either', async () => {
    const started = startSessions({ wrap: (store) => ({ ...store, end: async () => outage() }) })
    const open = await begin(started)
    await started.generations.advance(ALICE.id, DAY_MS)
    await expect(open()).rejects.toThrow(STORE_AWAY)
    expect(started.sessionCache.size).toBe(0)
  })

  test('where no generation can be told, no sign-in begins', async () => {
    const { generations } = startSessions()
    const { sessions } = startSessions({
      generations: { ...generations, current: async () => away() },
    })
    await expect(sessions.currentGeneration()).rejects.toThrow(STORE_AWAY)
  })
})

describe('sessions of an owner whose end the store has yet to be told', () => {
  const start = async (l1: StartedSessionsOptions['l1'] = {}) => {
    let isAway = false
    const started = startSessions({
      l1,
      wrap: (store) => ({
        ...store,
        read: async (...asked) => (isAway ? outage() : store.read(...asked)),
      }),
    })
    const sessionCache = await openThem(started)
    const assertions = new Map<SessionCredential, string | undefined>()
    for (const credential of Object.values(sessionCache)) {
      const found = await started.sessions.find(credential, REALM)
      if (!found) throw new Error('it was opened and is not there')
      const held = { digest: sessionDigest(credential), credential, realm: REALM }
      assertions.set(credential, started.assertions.issue(found, held))
    }
    return {
      ...started,
      ...sessionCache,
      lose: () => {
        isAway = true
      },
      mend: () => {
        isAway = false
      },
      /** What it rests on that a check lets somebody in who has both cookies. */
      look: async (credential: SessionCredential) => {
        const assertion = () => assertions.get(credential)
        const recalled = started.sessions.recall(credential, REALM)
        if (recalled) return recalled.source
        return started.sessions.find(credential, REALM, { standIn: { assertion } }).then(
          (found) => found?.source ?? 'refused',
          () => 'unavailable',
        )
      },
    }
  }
  /** Where a change may have been missed, nothing is recalled. */
  const DEAF = { epoch: () => undefined }

  test.for([
    ['memory', {}, () => undefined, 'refused'],
    ['store', DEAF, () => undefined, 'refused'],
    ['l1', DEAF, ({ lose }: Awaited<ReturnType<typeof start>>) => lose(), 'unavailable'],
    [
      'assertion',
      DEAF,
      ({ sessionCache, lose }: Awaited<ReturnType<typeof start>>) => {
        sessionCache.clear()
        lose()
      },
      'unavailable',
    ],
  ] as const)(
    'in the %s no check lets them in, and others are let in as before',
    async ([source, l1, happen, outcome], { expect }) => {
      for (const owner of [ALICE, AT_WORK]) {
        const started = await start(l1)
        const { sessions, look, laptop, wiki, phone, bob } = started
        happen(started)
        const all = async () => [await look(laptop), await look(wiki), await look(phone)]
        expect(await all()).toEqual([source, source, source])
        sessions.revocations.deferAllOf(owner, sessions.moment())
        const ofPhone = owner === ALICE ? outcome : source
        expect(await all()).toEqual([outcome, outcome, ofPhone])
        expect(await look(bob)).toBe(source)
      }
    },
  )

  test('the first flush after the store is back ends them everywhere', async () => {
    const started = await start()
    const { sessions, lose, mend, flushed, laptop, phone, bob } = started
    lose()
    await expect(sessions.endAllOf(ALICE)).rejects.toThrow(STORE_AWAY)
    sessions.revocations.deferAllOf(ALICE, sessions.moment())
    await sessions.revocations.flush()
    expect([sessions.revocations.waiting, await started.look(laptop)]).toEqual([1, 'unavailable'])
    mend()
    expect(await started.look(laptop)).toBe('refused')
    await sessions.revocations.flush()
    expect([sessions.revocations.waiting, flushed]).toEqual([0, [1]])
    for (const each of [laptop, phone]) expect(await isThere(started, each)).toBe(false)
    expect(await isThere(started, bob)).toBe(true)
  })

  test('when they have ended, who signs in anew is let in, and who had begun before is not', async () => {
    const started = await start()
    const { sessions } = started
    const generation = await sessions.currentGeneration()
    sessions.revocations.deferAllOf(ALICE, sessions.moment())
    await sessions.revocations.flush()
    const { tokens } = newSession
    await expect(
      started.open({ ...sessionOf('alice'), tokens: { ...tokens, generation } }),
    ).rejects.toThrow(SIGN_IN_FAILED)
    const anew = await sessions.currentGeneration()
    const credential = await started.open({
      ...sessionOf('alice'),
      tokens: { ...tokens, generation: anew },
    })
    expect(await started.look(credential)).toBe('memory')
  })
})
