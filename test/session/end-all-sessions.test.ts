import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { SessionCredential } from '../../src/core/session.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import type { NewSession } from '../../src/session/sessions.ts'
import type { Owner } from '../../src/store/sessions-by-owner.ts'
import * as given from '../support/started-sessions.ts'

const { identity } = given
const SIGN_IN_FAILED = given.refusedAs('sign_in_failed')
const ALICE = userOwner(identity.issuer, 'alice')
const AT_WORK = providerSessionOwner(identity.issuer, 'at-work')

type Started = ReturnType<typeof given.startSessions>
type Whose = 'all of a user' | 'all of a provider session' | 'all'

async function openThem({ open }: Started) {
  return {
    laptop: await open(given.sessionOf('alice', 'at-work')),
    wiki: await open(given.sessionOf('alice', 'at-work')),
    phone: await open(given.sessionOf('alice', 'on-the-way')),
    bob: await open(given.sessionOf('bob', 'at-home')),
  }
}

/** Tells, as a check would, whether each session is found in memory or store; a refused one must not be stored. */
function areThere({ sessions, sealed }: Started, ...credentials: readonly SessionCredential[]) {
  return Promise.all(
    credentials.map(async (each) => {
      const isRecalled = sessions.recall(each, given.REALM) !== undefined
      const isFound = isRecalled || (await sessions.find(each, given.REALM)) !== undefined
      const { identity } = await sealed(each)
      expect(identity !== undefined, 'whether it is stored').toBe(isFound)
      return isFound
    }),
  )
}

/** Records the generation of a sign-in now and returns what opens its session later. */
async function begin(
  by: Started,
  changes: Partial<NewSession> = given.sessionOf('alice', 'at-work'),
) {
  const generation = await by.sessions.currentGeneration()
  return () => by.open({ tokens: { ...given.newSession.tokens, generation }, ...changes })
}

async function stored({ store }: Started) {
  return (await Array.fromAsync(store.list())).flat()
}

const WAYS: readonly (readonly [Whose, (started: Started) => Promise<number>])[] = [
  ['all of a user', ({ sessions }) => sessions.endAllOf(ALICE, { reason: 'operator' })],
  [
    'all of a provider session',
    ({ sessions }) => sessions.endAllOf(AT_WORK, { reason: 'operator' }),
  ],
  ['all', ({ sessions }) => sessions.endAll({ reason: 'operator' })],
]

describe('ending all sessions of an owner', () => {
  test.for([
    ['a user', ALICE, [false, false, false, true]],
    ['a provider session', AT_WORK, [false, false, true, true]],
    ['a user of another issuer', userOwner('https://other.example', 'alice'), Array(4).fill(true)],
  ] as const)('those of %s end, and no others', async ([, owner, stay]) => {
    const started = given.startSessions()
    const credentials = Object.values(await openThem(started))
    expect(await started.sessions.endAllOf(owner, { reason: 'operator' })).toBe(
      stay.filter((stays) => !stays).length,
    )
    expect(await areThere(started, ...credentials)).toEqual(stay)
    expect(await started.index.list(owner.kind, owner.id)).toEqual([])
    expect(await started.sessions.endAllOf(owner, { reason: 'operator' })).toBe(0)
  })

  test('those of a provider session and a user leave other users alone', async () => {
    const started = given.startSessions()
    const { laptop, phone } = await openThem(started)
    const colleague = await started.open(given.sessionOf('colleague', 'at-work'))
    expect(await started.sessions.endAllOf(AT_WORK, { user: ALICE.id, reason: 'provider' })).toBe(2)
    expect(await areThere(started, laptop, phone, colleague)).toEqual([false, true, true])
    expect(await started.sessions.endAllOf(AT_WORK, { user: 'nobody', reason: 'provider' })).toBe(0)
    expect(await areThere(started, colleague)).toEqual([true])
  })

  test.for([
    ['another user', 'bob', 'at-home', [ALICE, AT_WORK]],
    ['no provider session', 'alice', undefined, [AT_WORK]],
  ] as const)('a session of %s that the index names wrongly stays', async (row) => {
    const [, subject, sid, others] = row
    const started = given.startSessions()
    const credential = await started.open(given.sessionOf(subject, sid))
    const owners = { user: ALICE.id, providerSession: AT_WORK.id }
    await started.index.add(given.sessionDigest(credential), owners, given.DAY_MS)
    for (const owner of others)
      expect(await started.sessions.endAllOf(owner, { reason: 'operator' })).toBe(0)
    expect(await areThere(started, credential)).toEqual([true])
  })

  test('a record that does not open is reported and spared, and the others end', async () => {
    const started = given.startSessions()
    const { laptop } = await openThem(started)
    const digest = given.sessionDigest(laptop)
    await started.overwrite(laptop, { metadata: Buffer.from('noise') })
    expect(await started.sessions.endAllOf(ALICE, { reason: 'operator' })).toBe(2)
    expect(started.integrityFailures).toEqual([`vestibule:{${digest}}:m`])
    expect(await areThere(started, laptop)).toEqual([true])
    // Its digest still ends it.
    expect(await started.sessions.end(digest, 'operator')).toBe(true)
    expect(await areThere(started, laptop)).toEqual([false])
  })

  test('an entry without a session stays, because its session may follow, and counts as none', async () => {
    const started = given.startSessions()
    const digest = given.sessionDigest(await started.open(given.sessionOf('bob')))
    await started.store.end(digest, given.DAY_MS, 'operator')
    await started.index.add(digest, { user: ALICE.id }, given.DAY_MS)
    expect(await started.sessions.endAllOf(ALICE, { reason: 'operator' })).toBe(0)
    expect(await started.index.list('user', ALICE.id)).toEqual([digest])
  })

  test('an index that cannot be cleaned keeps no session alive', async () => {
    const started = given.startSessions()
    const { laptop, phone } = await openThem(started)
    started.break('remove', given.away)
    expect(await started.sessions.endAllOf(ALICE, { reason: 'operator' })).toBe(3)
    expect(await areThere(started, laptop, phone)).toEqual([false, false])
    expect(await started.sessions.endAllOf(ALICE, { reason: 'operator' })).toBe(0)
  })
})

describe('ending all sessions', () => {
  test('none is left, and the result is their number', async () => {
    const started = given.startSessions()
    const credentials = Object.values(await openThem(started))
    expect(await started.sessions.endAll({ reason: 'operator' })).toBe(4)
    expect(await areThere(started, ...credentials)).toEqual(Array(4).fill(false))
    expect(await started.sessions.list(undefined, 10)).toEqual([])
    expect(await started.sessions.endAll({ reason: 'operator' })).toBe(0)
  })

  test('a session that the store names twice counts once', async () => {
    const started = given.startSessions({ wrap: given.listingTwice })
    await openThem(started)
    expect(await started.sessions.endAll({ reason: 'operator' })).toBe(4)
  })

  test.for(WAYS)('hundreds, %s, end once and 100 at once', async ([, end]) => {
    let [atOnce, mostAtOnce] = [0, 0]
    const started = given.startSessions({
      wrap: (store) => ({
        ...store,
        async end(...asked) {
          mostAtOnce = Math.max(mostAtOnce, ++atOnce)
          await turn()
          atOnce -= 1
          return store.end(...asked)
        },
      }),
    })
    const open = () => started.open(given.sessionOf('alice', 'at-work'))
    const credentials = await Promise.all(Array.from({ length: 250 }, open))
    expect([await end(started), mostAtOnce]).toEqual([250, 100])
    expect(started.calls.filter((call) => call.startsWith('end'))).toHaveLength(250)
    expect(await areThere(started, ...credentials)).toEqual(Array(250).fill(false))
  })

  test('a session whose metadata do not open ends as well', async () => {
    const started = given.startSessions()
    const credential = await started.open()
    await started.overwrite(credential, { metadata: Buffer.from('noise') })
    expect(await started.sessions.endAll({ reason: 'operator' })).toBe(1)
    expect(await areThere(started, credential)).toEqual([false])
  })
})

describe('a store that cannot be told', () => {
  const listing = (whose: Whose) => (whose === 'all' ? 'scan' : 'list')
  test.for(
    WAYS.flatMap(([whose, end]) =>
      (['advance', listing(whose), 'read', 'end'] as const).flatMap((step) => [
        [whose, step, 'an outage', given.outage, end] as const,
        [whose, step, 'a failure', given.away, end] as const,
      ]),
    ),
  )('the end of %s rejects at the %s in %s, and may be retried', async ([, step, , fail, end]) => {
    const started = given.startSessions()
    const { laptop } = await openThem(started)
    started.break(step, fail)
    await expect(end(started)).rejects.toThrow(given.STORE_AWAY)
    expect([started.sessions.revocations.waiting, started.announced]).toEqual([0, []])
    started.mend()
    await end(started)
    expect(await areThere(started, laptop)).toEqual([false])
  })

  test('what had ended before the outage has ended, and the session in uncertainty is refused', async () => {
    const started = given.startSessions()
    const { laptop, wiki } = await openThem(started)
    started.break('end', given.outage, 1)
    await expect(started.sessions.endAllOf(AT_WORK, { reason: 'operator' })).rejects.toThrow(
      given.STORE_AWAY,
    )
    started.mend()
    expect(await areThere(started, laptop)).toEqual([false])
    expect(await started.sessions.find(wiki, given.REALM)).toBeUndefined()
    expect(await started.sessions.endAllOf(AT_WORK, { reason: 'operator' })).toBe(1)
  })
})

describe('a sign-in that races with the end of all sessions of its user', () => {
  test.for(WAYS)('fails when %s were ended since it began', async ([, endThem]) => {
    const started = given.startSessions()
    const open = await begin(started)
    await endThem(started)
    await expect(open()).rejects.toThrow(SIGN_IN_FAILED)
    expect([await stored(started), started.sessionCache.size]).toEqual([[], 0])
    expect(await started.index.list('user', ALICE.id)).toEqual([])
  })

  test.for(WAYS)('succeeds when it began after %s were ended', async ([, endThem]) => {
    const started = given.startSessions()
    await endThem(started)
    expect(await areThere(started, await (await begin(started))())).toEqual([true])
  })

  test('succeeds when those of others were ended', async () => {
    const started = given.startSessions()
    const open = await begin(started, given.sessionOf('bob'))
    await started.sessions.endAllOf(ALICE, { reason: 'operator' })
    await started.sessions.endAllOf(AT_WORK, { reason: 'operator' })
    expect(await areThere(started, await open())).toEqual([true])
  })

  test('a sign-in without a generation counts as begun before everything', async () => {
    const started = given.startSessions()
    expect(await areThere(started, await started.open(given.sessionOf('alice')))).toEqual([true])
    await started.sessions.endAllOf(ALICE, { reason: 'operator' })
    await expect(started.open(given.sessionOf('alice'))).rejects.toThrow(SIGN_IN_FAILED)
  })

  test.for<['before' | 'after', string, number, Owner]>([
    ['before', 'user', 0, ALICE],
    ['after', 'user', 1, ALICE],
    ['before', 'provider session', 0, AT_WORK],
    ['after', 'provider session', 1, AT_WORK],
  ])('held %s the write, it fails when those of its %s end', async ([at, , counted, owner]) => {
    const started = given.startSessions()
    const open = await begin(started)
    const { reached, goOn } = started.hold('create', at)
    const opening = open()
    await reached
    expect(await started.sessions.endAllOf(owner, { reason: 'operator' })).toBe(counted)
    goOn()
    await expect(opening).rejects.toThrow(SIGN_IN_FAILED)
    expect([await stored(started), started.sessionCache.size]).toEqual([[], 0])
  })

  test.for(WAYS)('fails when it opens right after %s were listed', async ([, endThem]) => {
    let afterLook = async (): Promise<unknown> => undefined
    const { index } = given.startSessions()
    const started = given.startSessions({
      wrap: (store) => ({
        ...store,
        async *list() {
          yield* store.list()
          await afterLook()
        },
      }),
      index: {
        ...index,
        list: (...asked) => index.list(...asked).then(async (found) => (await afterLook(), found)),
      },
    })
    const open = await begin(started)
    afterLook = () => expect(open()).rejects.toThrow(SIGN_IN_FAILED)
    expect([await endThem(started), await stored(started)]).toEqual([0, []])
    expect.assertions(2)
  })

  test.for([
    ['an outage at the check of its generation', 'oldestOf', given.outage],
    ['a failure at the check of its generation', 'oldestOf', given.away],
    ['an outage at the end of its session', 'end', given.outage],
  ] as const)('%s gives no cookie', async ([, step, fail]) => {
    const started = given.startSessions()
    const open = await begin(started)
    started.break(step, fail)
    await started.generations.advance(ALICE.id, given.DAY_MS)
    await expect(open()).rejects.toThrow(given.STORE_AWAY)
    expect(started.sessionCache.size).toBe(0)
  })
})

describe('a deferred end of all sessions of an owner', () => {
  async function start(l1: given.StartedSessionsOptions['l1'] = {}) {
    const started = given.startSessions({ l1 })
    const { sessions } = started
    const opened = await openThem(started)
    const assertions = new Map<SessionCredential, string | undefined>()
    for (const each of Object.values(opened)) {
      const found = await sessions.find(each, given.REALM)
      if (found?.source !== 'store') throw new Error('not found in the store')
      assertions.set(each, started.assertions.issue(found, given.present(each)))
    }
    /** Returns the source that lets each in whose browser sends both cookies. */
    const look = (...credentials: readonly SessionCredential[]) =>
      Promise.all(
        credentials.map(async (each) => {
          const recalled = sessions.recall(each, given.REALM)
          if (recalled) return recalled.source
          const standIn = { assertion: () => assertions.get(each) }
          return sessions.find(each, given.REALM, { standIn }).then(
            (found) => found?.source ?? 'refused',
            () => 'unavailable',
          )
        }),
      )
    return { ...started, ...opened, look }
  }
  type Looked = Awaited<ReturnType<typeof start>>
  /** Has missed messages, so that nothing is recalled. */
  const DEAF = { subscription: () => undefined }

  test.for(
    [ALICE, AT_WORK].flatMap((owner) => [
      ['memory', owner.kind, owner, {}, () => undefined, 'refused'] as const,
      ['store', owner.kind, owner, DEAF, () => undefined, 'refused'] as const,
      ['l1', owner.kind, owner, DEAF, (by: Looked) => by.break('read'), 'unavailable'] as const,
      ['assertion', owner.kind, owner, DEAF, loseAll, 'unavailable'] as const,
    ]),
  )('from %s none of the %s is let in, and others are', async (row) => {
    const [source, kind, owner, l1, happen, outcome] = row
    const started = await start(l1)
    const { sessions, look, laptop, wiki, phone, bob } = started
    happen(started)
    expect(await look(laptop, wiki, phone)).toEqual([source, source, source])
    sessions.revocations.deferAllOf(owner, { asked: sessions.moment(), reason: 'operator' })
    const ofPhone = kind === 'user' ? outcome : source
    expect(await look(laptop, wiki, phone, bob)).toEqual([outcome, outcome, ofPhone, source])
  })
  function loseAll(started: Looked): void {
    started.sessionCache.clear()
    started.break('read')
  }
})
