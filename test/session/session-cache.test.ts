import { describe, expect, test } from 'vitest'
import type { Session } from '../../src/core/session.ts'
import {
  createSessionCache,
  type SessionCache,
  type SessionCacheOptions,
} from '../../src/session/session-cache.ts'
import type { SealedRecords } from '../../src/store/store.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'

const ROOMY: SessionCacheOptions = {
  maxEntries: 100,
  maxBytes: 1_000_000,
  servedMs: 60_000,
  keptMs: 60_000,
  canRecall: true,
  epoch: () => 0,
  onLookUp: () => undefined,
}
const REALM = 'app.example.com'
const credential = { id: 'i'.repeat(43), secret: 's'.repeat(43) }

const sessionOf = (subject: string): Session => ({
  identity: { issuer: 'https://id.example.com', subject, groups: [], claims: {} },
  createdAt: 0,
  expiresAt: 1,
})
const session = sessionOf('u1')
const records = { identity: Buffer.from('sealed s') }
const WRONG = { ...credential, secret: 't'.repeat(43) }
const heldAt = (digest: string) => ({ digest, credential, realm: REALM })

const keep = (sessionCache: SessionCache, digest: string, kept = session) =>
  sessionCache.keep(heldAt(digest), records, kept, sessionCache.fillTicket())
const recalled = (sessionCache: SessionCache, digest: string, by = credential, realm = REALM) =>
  sessionCache.recall(digest, by, realm)?.session
const reopened = (
  sessionCache: SessionCache,
  digest: string,
  found: SealedRecords,
  ticket = sessionCache.fillTicket(),
) => sessionCache.reopen(heldAt(digest), found, ticket)?.session

describe('opened sessions', () => {
  test('a session that was kept is found by its own cookie', () => {
    const sessionCache = createSessionCache(ROOMY)
    keep(sessionCache, 'd')
    expect(recalled(sessionCache, 'd')).toBe(session)
    expect(recalled(sessionCache, 'other')).toBeUndefined()
  })

  test.for([
    ['another secret', 't'.repeat(43)],
    ['a secret of which the last letter differs', `${'s'.repeat(42)}t`],
    ['an empty secret', ''],
    ['a part of the secret', 's'.repeat(42)],
    ['a longer secret', 's'.repeat(44)],
  ])('the right id with %s is no session, also on a warm entry', ([, secret = ''], { expect }) => {
    const sessionCache = createSessionCache(ROOMY)
    keep(sessionCache, 'd')
    expect(recalled(sessionCache, 'd')).toBe(session)
    expect(recalled(sessionCache, 'd', { ...credential, secret })).toBeUndefined()
    expect(recalled(sessionCache, 'd')).toBe(session)
  })

  test('elsewhere it is no session', () => {
    const sessionCache = createSessionCache(ROOMY)
    keep(sessionCache, 'd')
    expect(recalled(sessionCache, 'd', credential, 'wiki.example.com')).toBeUndefined()
    expect(recalled(sessionCache, 'd', credential, '')).toBeUndefined()
  })

  test('an eviction takes the one session, clearing takes all', () => {
    const sessionCache = createSessionCache(ROOMY)
    for (const digest of ['a', 'b', 'c']) keep(sessionCache, digest)
    sessionCache.evict('a')
    expect(recalled(sessionCache, 'a')).toBeUndefined()
    expect(recalled(sessionCache, 'b')).toBe(session)
    expect(sessionCache.size).toBe(2)
    sessionCache.clear()
    expect(recalled(sessionCache, 'b')).toBeUndefined()
    expect(sessionCache.size).toBe(0)
  })

  test.for<[string, (sessionCache: SessionCache) => void]>([
    ['of the same session', (sessionCache) => sessionCache.evict('d')],
    ['of another session', (sessionCache) => sessionCache.evict('other')],
    ['of all sessions', (sessionCache) => sessionCache.clear()],
    ['that leaves the session for an outage', (sessionCache) => sessionCache.expire('d')],
  ])('a fill that raced an eviction %s is not stored', ([, evict], { expect }) => {
    const sessionCache = createSessionCache(ROOMY)
    const ticket = sessionCache.fillTicket()
    evict(sessionCache)
    sessionCache.keep(heldAt('d'), records, session, ticket)
    expect(recalled(sessionCache, 'd')).toBeUndefined()
    keep(sessionCache, 'd')
    expect(recalled(sessionCache, 'd')).toBe(session)
  })

  test('fills that race each other are all stored', () => {
    const sessionCache = createSessionCache(ROOMY)
    const tickets = [sessionCache.fillTicket(), sessionCache.fillTicket()]
    for (const [index, ticket] of tickets.entries()) {
      sessionCache.keep(heldAt(`d${index}`), records, session, ticket)
    }
    expect(sessionCache.size).toBe(2)
  })

  test('the number is bounded, and what was used last stays', () => {
    const sessionCache = createSessionCache({ ...ROOMY, maxEntries: 3 })
    for (const digest of ['a', 'b', 'c']) keep(sessionCache, digest)
    recalled(sessionCache, 'a')
    keep(sessionCache, 'd')
    expect(sessionCache.size).toBe(3)
    expect(recalled(sessionCache, 'b')).toBeUndefined()
    for (const digest of ['a', 'c', 'd']) {
      expect(recalled(sessionCache, digest), digest).toBe(session)
    }
  })

  test('the bytes are bounded, by large sessions sooner than by small ones', () => {
    const countKept = (kept: Session) => {
      const sessionCache = createSessionCache({ ...ROOMY, maxBytes: 20_000 })
      for (let index = 0; index < 90; index++) keep(sessionCache, `d${index}`, kept)
      return sessionCache.size
    }
    expect(countKept(session)).toBeGreaterThan(20)
    expect(countKept(session)).toBeLessThan(50)
    expect(countKept(sessionOf('u'.repeat(4000)))).toBe(2)
  })

  test('a session larger than all the room is not kept and pushes nobody out', () => {
    const sessionCache = createSessionCache({ ...ROOMY, maxBytes: 5000 })
    keep(sessionCache, 'small')
    keep(sessionCache, 'large', sessionOf('u'.repeat(5000)))
    expect(recalled(sessionCache, 'large')).toBeUndefined()
    expect(recalled(sessionCache, 'small')).toBe(session)
  })

  test('an entry is served up to its age, and looking at it does not keep it young', () => {
    using clock = holdMonotonicClock()
    const sessionCache = createSessionCache({ ...ROOMY, servedMs: 150 })
    keep(sessionCache, 'd')
    for (let ageMs = 0; ageMs < 150; ageMs += 10) {
      expect(recalled(sessionCache, 'd'), `${ageMs}`).toBe(session)
      clock.elapse(10)
    }
    expect(recalled(sessionCache, 'd')).toBeUndefined()
  })
})

describe('sessions that the store has just confirmed', () => {
  const tokens = Buffer.from('sealed t')

  test.for([
    ['the same bytes', records, true],
    ['the same bytes at another place', { identity: Buffer.from('sealed s') }, true],
    ['other bytes', { identity: Buffer.from('sealed x') }, false],
    ['a part of them', { identity: Buffer.from('sealed') }, false],
    ['nothing', {}, false],
    ['no record any more', { identity: undefined as unknown as Buffer }, false],
    ['one more record', { ...records, tokens }, false],
  ] as const)('are opened anew unless the bytes are those of before: %s', ([, found, isKnown]) => {
    const sessionCache = createSessionCache(ROOMY)
    keep(sessionCache, 'd')
    expect(reopened(sessionCache, 'd', found)).toBe(isKnown ? session : undefined)
  })

  test('a record that was absent and is still absent makes no difference', () => {
    const sessionCache = createSessionCache(ROOMY)
    const found = { ...records, tokens: undefined as unknown as Buffer }
    sessionCache.keep(heldAt('d'), found, session, sessionCache.fillTicket())
    expect(reopened(sessionCache, 'd', found)).toBe(session)
    expect(reopened(sessionCache, 'd', { ...records, tokens })).toBeUndefined()
    keep(sessionCache, 'e')
    sessionCache.keep(heldAt('e'), { ...records, tokens }, session, sessionCache.fillTicket())
    expect(reopened(sessionCache, 'e', found)).toBeUndefined()
    expect(reopened(sessionCache, 'e', { ...records, tokens })).toBe(session)
  })

  test('no bytes are never the same bytes', () => {
    const sessionCache = createSessionCache(ROOMY)
    sessionCache.keep(heldAt('d'), {}, session, sessionCache.fillTicket())
    expect(reopened(sessionCache, 'd', {})).toBeUndefined()
    expect(reopened(sessionCache, 'd', records)).toBeUndefined()
  })

  test('no record in the store is the end, which holds at the next outage as well', () => {
    const sessionCache = createSessionCache(ROOMY)
    keep(sessionCache, 'd')
    const ticket = sessionCache.fillTicket()
    const strangers = { ...heldAt('d'), credential: WRONG }
    expect(sessionCache.reopen(strangers, {}, ticket)).toBeUndefined()
    expect(sessionCache.recallStale('d', credential, REALM)?.session).toBe(session)
    expect(reopened(sessionCache, 'd', {}, ticket)).toBeUndefined()
    expect(sessionCache.recallStale('d', credential, REALM)).toBeUndefined()
    sessionCache.keep(heldAt('d'), records, session, ticket)
    expect(sessionCache.size).toBe(0)
  })

  test('need the right secret and the right realm all the same', () => {
    const sessionCache = createSessionCache(ROOMY)
    keep(sessionCache, 'd')
    const held = heldAt('d')
    const ticket = sessionCache.fillTicket()
    expect(sessionCache.reopen({ ...held, credential: WRONG }, records, ticket)).toBeUndefined()
    expect(
      sessionCache.reopen({ ...held, realm: 'wiki.example.com' }, records, ticket),
    ).toBeUndefined()
    expect(reopened(sessionCache, 'e', records)).toBeUndefined()
  })

  test('are counted when they are looked for, and not when the store has been asked', () => {
    const lookUps: string[] = []
    const onLookUp = (result: string) => void lookUps.push(result)
    const sessionCache = createSessionCache({ ...ROOMY, onLookUp })
    recalled(sessionCache, 'd')
    keep(sessionCache, 'd')
    expect(reopened(sessionCache, 'd', records)).toBe(session)
    expect(lookUps).toEqual(['miss'])
    recalled(sessionCache, 'd')
    expect(lookUps).toEqual(['miss', 'hit'])
  })
})

describe('the age of what is kept', () => {
  const AGES = { ...ROOMY, servedMs: 5000, keptMs: 300_000 }
  const stale = (sessionCache: SessionCache, by = credential, realm = REALM) =>
    sessionCache.recallStale('d', by, realm)?.session

  test.for([
    [0, true, true],
    [4999, true, true],
    [5000, false, true],
    [299_999, false, true],
    [300_000, false, false],
  ] as const)(
    'after %i ms it is served: %s; it may stand in for the store: %s',
    ([ageMs, isServed, isKept], { expect }) => {
      using clock = holdMonotonicClock()
      const sessionCache = createSessionCache(AGES)
      keep(sessionCache, 'd')
      clock.elapse(ageMs)
      expect(recalled(sessionCache, 'd')).toBe(isServed ? session : undefined)
      expect(stale(sessionCache)).toBe(isKept ? session : undefined)
    },
  )

  test('without an outage grace what is served is kept no longer than that', () => {
    using clock = holdMonotonicClock()
    const sessionCache = createSessionCache({ ...AGES, keptMs: 0 })
    keep(sessionCache, 'd')
    expect(stale(sessionCache)).toBeUndefined()
    clock.elapse(4999)
    expect(recalled(sessionCache, 'd')).toBe(session)
    expect(stale(sessionCache)).toBeUndefined()
  })

  test('counts from the moment before the read, however long that took', () => {
    using clock = holdMonotonicClock()
    const sessionCache = createSessionCache(AGES)
    const ticket = sessionCache.fillTicket()
    clock.elapse(3000)
    const { confirmedAtMs } = sessionCache.keep(heldAt('d'), records, session, ticket)
    expect(performance.now() - confirmedAtMs).toBe(3000)
    clock.elapse(1999)
    expect(sessionCache.recall('d', credential, REALM)?.confirmedAtMs).toBe(confirmedAtMs)
    clock.elapse(1)
    expect(recalled(sessionCache, 'd')).toBeUndefined()
  })

  test('begins anew when the store confirms the session, and only then', () => {
    using clock = holdMonotonicClock()
    const sessionCache = createSessionCache(AGES)
    keep(sessionCache, 'd')
    clock.elapse(4000)
    expect(recalled(sessionCache, 'd')).toBe(session)
    const ticket = sessionCache.fillTicket()
    clock.elapse(500)
    expect(reopened(sessionCache, 'd', records, ticket)).toBe(session)
    clock.elapse(4499)
    expect(recalled(sessionCache, 'd')).toBe(session)
    clock.elapse(1)
    expect(recalled(sessionCache, 'd')).toBeUndefined()
    clock.elapse(295_000 - 1)
    expect(stale(sessionCache)).toBe(session)
    clock.elapse(1)
    expect(stale(sessionCache)).toBeUndefined()
  })

  test.for<[string, (sessionCache: SessionCache) => void]>([
    ['another session was evicted', (sessionCache) => sessionCache.evict('other')],
    [
      'all were cleared and this one is there again',
      (sessionCache) => void (sessionCache.clear(), keep(sessionCache, 'd')),
    ],
  ])('is not renewed by a read that began before %s', ([, evict], { expect }) => {
    using clock = holdMonotonicClock()
    const sessionCache = createSessionCache(AGES)
    keep(sessionCache, 'd')
    const ticket = sessionCache.fillTicket()
    evict(sessionCache)
    clock.elapse(5000)
    expect(reopened(sessionCache, 'd', records, ticket)).toBe(session)
    expect(recalled(sessionCache, 'd')).toBeUndefined()
    expect(reopened(sessionCache, 'd', records)).toBe(session)
    expect(recalled(sessionCache, 'd')).toBe(session)
  })

  test('a session that was evicted does not stand in for the store either', () => {
    const sessionCache = createSessionCache(AGES)
    keep(sessionCache, 'd')
    sessionCache.evict('d')
    expect(stale(sessionCache)).toBeUndefined()
    keep(sessionCache, 'd')
    sessionCache.clear()
    expect(stale(sessionCache)).toBeUndefined()
  })

  test('a session that has changed is not served, and stands in for the store until it is read again', () => {
    const sessionCache = createSessionCache(AGES)
    keep(sessionCache, 'd')
    keep(sessionCache, 'other')
    sessionCache.expire('d')
    sessionCache.expire('unknown')
    expect(recalled(sessionCache, 'd')).toBeUndefined()
    expect(stale(sessionCache)).toBe(session)
    expect(recalled(sessionCache, 'other')).toBe(session)
    keep(sessionCache, 'd')
    expect(recalled(sessionCache, 'd')).toBe(session)
    expect(sessionCache.size).toBe(2)
  })

  test('what stands in for the store needs the right secret and the right realm', () => {
    const sessionCache = createSessionCache(AGES)
    keep(sessionCache, 'd')
    expect(stale(sessionCache, WRONG)).toBeUndefined()
    expect(stale(sessionCache, credential, 'wiki.example.com')).toBeUndefined()
    expect(sessionCache.recallStale('other', credential, REALM)).toBeUndefined()
    expect(stale(sessionCache)).toBe(session)
  })

  test('what is too old has left when it is asked about', async () => {
    const sessionCache = createSessionCache({ ...ROOMY, servedMs: 20, keptMs: 50 })
    keep(sessionCache, 'd')
    expect(sessionCache.size).toBe(1)
    // Being asked about renews what is not too old yet, so the questions lie further apart.
    await expect.poll(() => recalled(sessionCache, 'd'), { interval: 200 }).toBeUndefined()
    expect(sessionCache.size).toBe(0)
  })
})

describe('changes that may have been missed', () => {
  const start = () => {
    let epoch: number | undefined = 1
    const lookUps: string[] = []
    const sessionCache = createSessionCache({
      ...ROOMY,
      epoch: () => epoch,
      onLookUp: (result) => void lookUps.push(result),
    })
    return {
      sessionCache,
      lookUps,
      become: (next: number | undefined) => {
        epoch = next
      },
    }
  }

  test('what was kept before is passed over and not erased: it counts again when nothing was missed', () => {
    const { sessionCache, lookUps, become } = start()
    keep(sessionCache, 'd')
    become(undefined)
    expect(recalled(sessionCache, 'd')).toBeUndefined()
    expect(sessionCache.size).toBe(1)
    become(1)
    expect(recalled(sessionCache, 'd')).toBe(session)
    become(2)
    expect(recalled(sessionCache, 'd')).toBeUndefined()
    expect(lookUps).toEqual(['bypassed', 'hit', 'bypassed'])
  })

  test('the store confirms it for the present epoch, without opening it anew', () => {
    const { sessionCache, become } = start()
    keep(sessionCache, 'd')
    become(2)
    expect(recalled(sessionCache, 'd')).toBeUndefined()
    expect(reopened(sessionCache, 'd', records)).toBe(session)
    expect(recalled(sessionCache, 'd')).toBe(session)
  })

  test.for<[string, number | undefined]>([
    ['nothing was heard', undefined],
    ['another epoch was', 1],
  ])('what was read while %s is not served afterwards', ([, during], { expect }) => {
    const { sessionCache, become } = start()
    become(during)
    const ticket = sessionCache.fillTicket()
    become(2)
    sessionCache.keep(heldAt('d'), records, session, ticket)
    expect(recalled(sessionCache, 'd')).toBeUndefined()
    expect(reopened(sessionCache, 'd', records, ticket)).toBe(session)
    expect(recalled(sessionCache, 'd')).toBeUndefined()
  })

  test('what was read while nothing was heard is not served while nothing is heard', () => {
    const { sessionCache, become } = start()
    become(undefined)
    keep(sessionCache, 'd')
    expect(recalled(sessionCache, 'd')).toBeUndefined()
  })

  test('while the store cannot be asked they do not matter', () => {
    const { sessionCache, become } = start()
    keep(sessionCache, 'd')
    for (const epoch of [undefined, 2]) {
      become(epoch)
      expect(sessionCache.recallStale('d', credential, REALM)?.session).toBe(session)
    }
  })

  test('a wrong secret is a miss, whatever the epoch', () => {
    const { sessionCache, lookUps, become } = start()
    keep(sessionCache, 'd')
    expect(recalled(sessionCache, 'd', WRONG)).toBeUndefined()
    become(2)
    expect(recalled(sessionCache, 'd', WRONG)).toBeUndefined()
    expect(lookUps).toEqual(['miss', 'miss'])
  })
})

describe('the room that sealed records take', () => {
  test('they count as well, and what was used least goes first', () => {
    const sessionCache = createSessionCache({ ...ROOMY, maxBytes: 10_000 })
    const large = (digest: string) =>
      sessionCache.keep(
        heldAt(digest),
        { identity: Buffer.alloc(2000), tokens: Buffer.alloc(500) },
        session,
        sessionCache.fillTicket(),
      )
    for (const digest of ['a', 'b', 'c']) large(digest)
    expect(sessionCache.size).toBe(3)
    sessionCache.recallStale('a', credential, REALM)
    large('d')
    expect(sessionCache.size).toBe(3)
    expect(recalled(sessionCache, 'b')).toBeUndefined()
    for (const digest of ['a', 'c', 'd'])
      expect(recalled(sessionCache, digest), digest).toBe(session)
  })
})
