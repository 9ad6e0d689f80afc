import { queryObjects } from 'node:v8'
import { describe, expect, test } from 'vitest'
import type { Session } from '../../src/core/session.ts'
import {
  type CachedSession,
  createSessionCache,
  type SessionCache,
  type SessionCacheOptions,
} from '../../src/session/session-cache.ts'
import type { SealedRecords } from '../../src/store/store.ts'
import { holdMonotonicClock, useMonotonicClock } from '../support/monotonic-clock.ts'

const REALM = 'app.example.com'
const ELSEWHERE = 'wiki.example.com'
const credential = { id: 'i'.repeat(43), secret: 's'.repeat(43) }
const WRONG_SECRETS = ['t'.repeat(43), `${'s'.repeat(42)}t`, '', 's'.repeat(42), 's'.repeat(44)]
const WRONG = { ...credential, secret: 't'.repeat(43) }
const sessionOf = (subject: string): Session => ({
  identity: { issuer: 'https://id.example.com', subject, groups: [], claims: {} },
  createdAt: 0,
  expiresAt: 1,
})
const session = sessionOf('u1')
const identity = Buffer.from('sealed s')
const tokens = Buffer.from('sealed t')
const records = { identity }
const [joined, none] = [Buffer.concat([identity, tokens]), Buffer.alloc(0)]
const large = (last = 0) => Buffer.concat([Buffer.alloc(20_000), Buffer.of(last)])
/** Gives each digest an id of its own, as it has. */
const of = (digest: string, { secret } = credential) => ({ id: digest.padEnd(43, 'i'), secret })
const heldAt = (digest: string, by = credential, realm = REALM) => ({
  digest,
  credential: of(digest, by),
  realm,
})

const which = (found?: CachedSession) => found && (found.session === session ? 'same' : 'other')

const start = (changes: Partial<SessionCacheOptions> = {}) => {
  let subscription: number | undefined = 1
  const lookUps: string[] = []
  const sessionCache = createSessionCache({
    maxEntries: 100,
    maxBytes: 1_000_000,
    servedMs: 60_000,
    keptMs: 60_000,
    canRecall: true,
    composedBytes: () => 0,
    subscription: () => subscription,
    onLookUp: (result) => void lookUps.push(result),
    ...changes,
  })
  const ticket = () => sessionCache.fillTicket()
  return {
    sessionCache,
    lookUps,
    ticket,
    become: (next: number | undefined) => void (subscription = next),
    keep: (digest = 'd', kept = session, given = ticket(), found: SealedRecords = records) =>
      sessionCache.keep(heldAt(digest), found, kept, given),
    recalled: (digest = 'd', by = credential, realm = REALM) =>
      which(sessionCache.recall(of(digest, by), realm)),
    stale: (digest = 'd', by = credential, realm = REALM) =>
      which(sessionCache.recallStale(of(digest, by), realm)),
    reopened: (found: SealedRecords = records, given = ticket(), held = heldAt('d')) =>
      which(sessionCache.reopen(held, found, given)),
  }
}
const startKept = (changes: Partial<SessionCacheOptions> = {}) => {
  const started = start(changes)
  started.keep()
  return started
}

describe('opened sessions', () => {
  test('a session that was kept is found by its own cookie', () => {
    const { recalled } = startKept()
    expect([recalled(), recalled('other')]).toEqual(['same', undefined])
  })

  test.for(WRONG_SECRETS)('the right id with the secret %j finds nothing', (secret) => {
    const { recalled } = startKept()
    const wrong = recalled('d', { ...credential, secret })
    expect([recalled(), wrong, recalled()]).toEqual(['same', undefined, 'same'])
  })

  test('an entry that gave way to others leaves nothing in memory', () => {
    const { keep } = start({ maxEntries: 10 })
    const heldBytes = () => {
      // Collects garbage.
      queryObjects(Map, { format: 'count' })
      return process.memoryUsage().heapUsed
    }
    const before = heldBytes()
    for (let made = 0; made < 50_000; made += 1) keep(`${made}-`.padEnd(43, 'd'))
    // Their digests and ids alone would be above 8 MB.
    expect(heldBytes() - before).toBeLessThan(2_000_000)
    keep('d')
  })

  test('the digest of an id is known as long as its session is kept, whatever the secret', () => {
    const { sessionCache, keep } = start({ maxEntries: 2 })
    for (const digest of ['a', 'b', 'c']) keep(digest)
    sessionCache.evict('b')
    keep('c')
    const known = ['a', 'b', 'c'].map((digest) => sessionCache.entryOf(of(digest, WRONG))?.digest)
    expect(known).toEqual([undefined, undefined, 'c'])
    sessionCache.evict('c')
    expect([sessionCache.entryOf(of('c')), sessionCache.size]).toEqual([undefined, 0])
  })

  test('elsewhere it is no session', () => {
    const { recalled } = startKept()
    for (const realm of [ELSEWHERE, '']) expect(recalled('d', credential, realm)).toBeUndefined()
  })

  test('an eviction takes the one session, clearing takes all', () => {
    const { sessionCache, keep, recalled } = start()
    for (const digest of ['a', 'b', 'c']) keep(digest)
    sessionCache.evict('a')
    expect([recalled('a'), recalled('b'), sessionCache.size]).toEqual([undefined, 'same', 2])
    sessionCache.clear()
    expect([recalled('b'), sessionCache.size]).toEqual([undefined, 0])
  })

  test.for<[string, (sessionCache: SessionCache) => void]>([
    ['of the same session', (sessionCache) => sessionCache.evict('d')],
    ['of another session', (sessionCache) => sessionCache.evict('other')],
    ['of all sessions', (sessionCache) => sessionCache.clear()],
    ['that leaves the session for an outage', (sessionCache) => sessionCache.expire('d')],
  ])('a fill that raced an eviction %s is not stored', ([, evict]) => {
    const { sessionCache, ticket, keep, recalled } = start()
    const before = ticket()
    evict(sessionCache)
    keep('d', session, before)
    expect(recalled()).toBeUndefined()
    keep()
    expect(recalled()).toBe('same')
  })

  test('fills that race each other are all stored', () => {
    const { sessionCache, ticket, keep } = start()
    const tickets = [ticket(), ticket()]
    for (const [index, each] of tickets.entries()) keep(`d${index}`, session, each)
    expect(sessionCache.size).toBe(2)
  })

  test.for([
    ['number', { maxEntries: 3 }, records],
    ['bytes', { maxBytes: 11_000 }, { identity: Buffer.alloc(2000), tokens: Buffer.alloc(500) }],
  ] as const)('the %s of sealed records are bounded, and what was used last stays', (row) => {
    const [, bounds, sealed] = row
    const { sessionCache, ticket, keep, recalled, stale } = start(bounds)
    for (const digest of ['a', 'b', 'c']) keep(digest, session, ticket(), sealed)
    expect(sessionCache.size).toBe(3)
    stale('a')
    keep('d', session, ticket(), sealed)
    expect(sessionCache.size).toBe(3)
    const found = ['a', 'b', 'c', 'd'].map((digest) => recalled(digest))
    expect(found).toEqual(['same', undefined, 'same', 'same'])
  })

  test('the bytes are bounded, by large sessions sooner than by small ones', () => {
    const countKept = (kept: Session, composed = 0) => {
      const { sessionCache, keep } = start({ maxBytes: 20_000, composedBytes: () => composed })
      for (let index = 0; index < 90; index++) keep(`d${index}`, kept)
      return sessionCache.size
    }
    expect(countKept(session)).toBeGreaterThan(15)
    expect(countKept(session)).toBeLessThan(50)
    expect(countKept(sessionOf('u'.repeat(4000)))).toBe(3)
    expect(countKept(session, 4000)).toBe(3)
    // Once as the session has it, and once as a header has it.
    expect(countKept({ ...session, idToken: { value: 'i'.repeat(2000) } })).toBe(3)
    const groups = ['g'.repeat(1000), 'h'.repeat(1000)]
    expect(countKept({ ...session, identity: { ...session.identity, groups } })).toBe(3)
  })

  test('a session larger than all the room is not kept and pushes nobody out', () => {
    const { keep, recalled } = start({ maxBytes: 5000 })
    keep('small')
    keep('large', sessionOf('u'.repeat(5000)))
    expect([recalled('large'), recalled('small')]).toEqual([undefined, 'same'])
  })

  test('an entry is served up to its age, and looking at it does not keep it young', () => {
    using clock = holdMonotonicClock()
    const { recalled } = startKept({ servedMs: 150 })
    for (let ageMs = 0; ageMs < 150; ageMs += 10) {
      expect(recalled(), `${ageMs}`).toBe('same')
      clock.elapse(10)
    }
    expect(recalled()).toBeUndefined()
  })
})

describe('sessions that the store has just confirmed', () => {
  const absent = undefined as unknown as Buffer

  test.for([
    ['the same bytes', records, true],
    ['the same bytes at another place', { identity: Buffer.from('sealed s') }, true],
    ['other bytes', { identity: Buffer.from('sealed x') }, false],
    ['a part of them', { identity: Buffer.from('sealed') }, false],
    ['nothing', {}, false],
    ['no record any more', { identity: absent }, false],
    ['one more record', { identity, tokens }, false],
  ] as const)('are opened anew unless the bytes are those of before: %s', ([, found, isKnown]) => {
    expect(startKept().reopened(found)).toBe(isKnown ? 'same' : undefined)
  })

  test.for([
    ['absent and still absent', { identity, tokens: absent }, { identity, tokens: absent }, true],
    ['absent and is there', { identity, tokens: absent }, { identity, tokens }, false],
    ['there and is absent', { identity, tokens }, { identity, tokens: absent }, false],
    ['there and still there', { identity, tokens }, { identity, tokens }, true],
    ['there and is another', { identity, tokens }, { identity, tokens: identity }, false],
    [
      'there and is longer by what another lost',
      { identity, tokens },
      { identity: joined, tokens: none },
      false,
    ],
    ['large and still there', { identity: large() }, { identity: large() }, true],
    ['large and differs at its end', { identity: large() }, { identity: large(1) }, false],
    ['never there at all', {}, {}, false],
    ['never there at all and all are', {}, records, false],
  ] as const)('a record that was %s', ([, before, found, isKnown]) => {
    const { ticket, keep, reopened } = start()
    keep('d', session, ticket(), before)
    expect(reopened(found)).toBe(isKnown ? 'same' : undefined)
  })

  test('no record in the store is the end, which holds at the next outage as well', () => {
    const { sessionCache, ticket, keep, stale, reopened } = startKept()
    const before = ticket()
    expect([reopened({}, before, heldAt('d', WRONG)), stale()]).toEqual([undefined, 'same'])
    expect([reopened({}, before), stale()]).toEqual([undefined, undefined])
    keep('d', session, before)
    expect(sessionCache.size).toBe(0)
  })

  test.for([
    ['secret', heldAt('d', WRONG)],
    ['realm', heldAt('d', credential, ELSEWHERE)],
    ['id', heldAt('e')],
  ] as const)('need the right %s all the same', ([, held]) => {
    const { ticket, reopened } = startKept()
    expect(reopened(records, ticket(), held)).toBeUndefined()
  })

  test('are counted when they are looked for, and not when the store has been asked', () => {
    const { lookUps, keep, recalled, reopened } = start()
    recalled()
    keep()
    expect([reopened(), lookUps]).toEqual(['same', ['miss']])
    recalled()
    expect(lookUps).toEqual(['miss', 'hit'])
  })
})

describe('the age of what is kept', () => {
  const AGES = { servedMs: 5000, keptMs: 300_000 }
  const clock = useMonotonicClock()

  test.for([
    [0, true, true],
    [4999, true, true],
    [5000, false, true],
    [299_999, false, true],
    [300_000, false, false],
  ] as const)('after %i ms it is served: %s; it may stand in for the store: %s', (row) => {
    const [ageMs, ...expected] = row
    const { recalled, stale } = startKept(AGES)
    clock.elapse(ageMs)
    expect([recalled() === 'same', stale() === 'same']).toEqual(expected)
  })

  test('without an outage grace what is served is kept no longer than that', () => {
    const { recalled, stale } = startKept({ ...AGES, keptMs: 0 })
    expect(stale()).toBeUndefined()
    clock.elapse(4999)
    expect([recalled(), stale()]).toEqual(['same', undefined])
  })

  test('counts from the moment before the read, however long that took', () => {
    const { sessionCache, ticket, keep, recalled } = start(AGES)
    const before = ticket()
    clock.elapse(3000)
    const { confirmedAtMs } = keep('d', session, before)
    expect(performance.now() - confirmedAtMs).toBe(3000)
    clock.elapse(1999)
    expect(sessionCache.recall(of('d'), REALM)?.confirmedAtMs).toBe(confirmedAtMs)
    clock.elapse(1)
    expect(recalled()).toBeUndefined()
  })

  test('begins anew when the store confirms the session, and only then', () => {
    const { ticket, recalled, stale, reopened } = startKept(AGES)
    const after = <T>(ms: number, look: () => T) => (clock.elapse(ms), look())
    expect(after(4000, recalled)).toBe('same')
    const before = ticket()
    expect(after(500, () => reopened(records, before))).toBe('same')
    expect([after(4499, recalled), after(1, recalled)]).toEqual(['same', undefined])
    expect([after(295_000 - 1, stale), after(1, stale)]).toEqual(['same', undefined])
  })

  test.for<[string, (started: ReturnType<typeof start>) => void]>([
    ['another session was evicted', ({ sessionCache }) => sessionCache.evict('other')],
    ['all were cleared and this one is there again', (by) => (by.sessionCache.clear(), by.keep())],
  ])('is not renewed by a read that began before %s', ([, evict]) => {
    const started = startKept(AGES)
    const { ticket, recalled, reopened } = started
    const before = ticket()
    evict(started)
    clock.elapse(5000)
    expect([reopened(records, before), recalled()]).toEqual(['same', undefined])
    expect([reopened(), recalled()]).toEqual(['same', 'same'])
  })

  test('a session that was evicted does not stand in for the store either', () => {
    const { sessionCache, keep, stale } = startKept(AGES)
    sessionCache.evict('d')
    expect(stale()).toBeUndefined()
    keep()
    sessionCache.clear()
    expect(stale()).toBeUndefined()
  })

  test('a session that has changed is not served, and stands in for the store until it is read again', () => {
    const { sessionCache, keep, recalled, stale } = startKept(AGES)
    keep('other')
    sessionCache.expire('d')
    sessionCache.expire('unknown')
    expect([recalled(), stale(), recalled('other')]).toEqual([undefined, 'same', 'same'])
    keep()
    expect([recalled(), sessionCache.size]).toEqual(['same', 2])
  })

  test('what stands in for the store needs the right secret and the right realm', () => {
    const { stale } = startKept(AGES)
    const wrong = [stale('d', WRONG), stale('d', credential, ELSEWHERE), stale('other')]
    expect([wrong, stale()]).toEqual([[undefined, undefined, undefined], 'same'])
  })
})

describe('changes that may have been missed', () => {
  test('what was kept before is passed over and not erased: it counts again when nothing was missed', () => {
    const { sessionCache, lookUps, become, recalled } = startKept()
    become(undefined)
    expect([recalled(), sessionCache.size]).toEqual([undefined, 1])
    become(1)
    expect(recalled()).toBe('same')
    become(2)
    expect([recalled(), lookUps]).toEqual([undefined, ['bypassed', 'hit', 'bypassed']])
  })

  test('the store confirms it for the present subscription, without opening it anew', () => {
    const { become, recalled, reopened } = startKept()
    become(2)
    expect(recalled()).toBeUndefined()
    expect([reopened(), recalled()]).toEqual(['same', 'same'])
  })

  test.for<[string, number | undefined]>([
    ['nothing was heard', undefined],
    ['another subscription was', 1],
  ])('what was read while %s is not served afterwards', ([, during]) => {
    const { ticket, become, keep, recalled, reopened } = start()
    become(during)
    const before = ticket()
    become(2)
    keep('d', session, before)
    expect([recalled(), reopened(records, before), recalled()]).toEqual([
      undefined,
      'same',
      undefined,
    ])
  })

  test('what was read while nothing was heard is not served while nothing is heard', () => {
    const { become, keep, recalled } = start()
    become(undefined)
    keep()
    expect(recalled()).toBeUndefined()
  })

  test('while the store cannot be asked they do not matter', () => {
    const { become, stale } = startKept()
    const found = [undefined, 2].map((subscription) => (become(subscription), stale()))
    expect(found).toEqual(['same', 'same'])
  })

  test('a wrong secret is a miss, whatever the subscription', () => {
    const { lookUps, become, recalled } = startKept()
    const found = [recalled('d', WRONG), become(2), recalled('d', WRONG)]
    expect([found, lookUps]).toEqual([Array(3).fill(undefined), ['miss', 'miss']])
  })
})
