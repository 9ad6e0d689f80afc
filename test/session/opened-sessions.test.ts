import { describe, expect, test } from 'vitest'
import type { Session } from '../../src/core/session.ts'
import {
  createOpenedSessions,
  type OpenedSessions,
  type OpenedSessionsOptions,
} from '../../src/session/session-cache.ts'
import type { SealedRecords } from '../../src/store/store.ts'
import { holdMonotonicClock } from '../support/monotonic-clock.ts'

const ROOMY: OpenedSessionsOptions = {
  maxEntries: 100,
  maxBytes: 1_000_000,
  servedMs: 60_000,
  keptMs: 60_000,
  recalls: true,
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
const records = { s: Buffer.from('sealed s') }
const WRONG = { ...credential, secret: 't'.repeat(43) }
const heldAt = (digest: string) => ({ digest, credential, realm: REALM })

const keep = (opened: OpenedSessions, digest: string, kept = session) =>
  opened.keep(heldAt(digest), records, kept, opened.fillTicket())
const recalled = (opened: OpenedSessions, digest: string, by = credential, realm = REALM) =>
  opened.recall(digest, by, realm)?.session
const reopened = (
  opened: OpenedSessions,
  digest: string,
  found: SealedRecords,
  ticket = opened.fillTicket(),
) => opened.reopen(heldAt(digest), found, ticket)?.session

describe('opened sessions', () => {
  test('a session that was kept is found by its own cookie', () => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    expect(recalled(opened, 'd')).toBe(session)
    expect(recalled(opened, 'other')).toBeUndefined()
  })

  test.for([
    ['another secret', 't'.repeat(43)],
    ['a secret of which the last letter differs', `${'s'.repeat(42)}t`],
    ['an empty secret', ''],
    ['a part of the secret', 's'.repeat(42)],
    ['a longer secret', 's'.repeat(44)],
  ])('the right id with %s is no session, also on a warm entry', ([, secret = ''], { expect }) => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    expect(recalled(opened, 'd')).toBe(session)
    expect(recalled(opened, 'd', { ...credential, secret })).toBeUndefined()
    expect(recalled(opened, 'd')).toBe(session)
  })

  test('elsewhere it is no session', () => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    expect(recalled(opened, 'd', credential, 'wiki.example.com')).toBeUndefined()
    expect(recalled(opened, 'd', credential, '')).toBeUndefined()
  })

  test('an eviction takes the one session, clearing takes all', () => {
    const opened = createOpenedSessions(ROOMY)
    for (const digest of ['a', 'b', 'c']) keep(opened, digest)
    opened.evict('a')
    expect(recalled(opened, 'a')).toBeUndefined()
    expect(recalled(opened, 'b')).toBe(session)
    expect(opened.size).toBe(2)
    opened.clear()
    expect(recalled(opened, 'b')).toBeUndefined()
    expect(opened.size).toBe(0)
  })

  test.for<[string, (opened: OpenedSessions) => void]>([
    ['of the same session', (opened) => opened.evict('d')],
    ['of another session', (opened) => opened.evict('other')],
    ['of all sessions', (opened) => opened.clear()],
    ['that leaves the session for an outage', (opened) => opened.expire('d')],
  ])('a fill that raced an eviction %s is not stored', ([, evict], { expect }) => {
    const opened = createOpenedSessions(ROOMY)
    const ticket = opened.fillTicket()
    evict(opened)
    opened.keep(heldAt('d'), records, session, ticket)
    expect(recalled(opened, 'd')).toBeUndefined()
    keep(opened, 'd')
    expect(recalled(opened, 'd')).toBe(session)
  })

  test('fills that race each other are all stored', () => {
    const opened = createOpenedSessions(ROOMY)
    const tickets = [opened.fillTicket(), opened.fillTicket()]
    for (const [index, ticket] of tickets.entries()) {
      opened.keep(heldAt(`d${index}`), records, session, ticket)
    }
    expect(opened.size).toBe(2)
  })

  test('the number is bounded, and what was used last stays', () => {
    const opened = createOpenedSessions({ ...ROOMY, maxEntries: 3 })
    for (const digest of ['a', 'b', 'c']) keep(opened, digest)
    recalled(opened, 'a')
    keep(opened, 'd')
    expect(opened.size).toBe(3)
    expect(recalled(opened, 'b')).toBeUndefined()
    for (const digest of ['a', 'c', 'd']) {
      expect(recalled(opened, digest), digest).toBe(session)
    }
  })

  test('the bytes are bounded, by large sessions sooner than by small ones', () => {
    const countKept = (kept: Session) => {
      const opened = createOpenedSessions({ ...ROOMY, maxBytes: 20_000 })
      for (let index = 0; index < 90; index++) keep(opened, `d${index}`, kept)
      return opened.size
    }
    expect(countKept(session)).toBeGreaterThan(20)
    expect(countKept(session)).toBeLessThan(50)
    expect(countKept(sessionOf('u'.repeat(4000)))).toBe(2)
  })

  test('a session larger than all the room is not kept and pushes nobody out', () => {
    const opened = createOpenedSessions({ ...ROOMY, maxBytes: 5000 })
    keep(opened, 'small')
    keep(opened, 'large', sessionOf('u'.repeat(5000)))
    expect(recalled(opened, 'large')).toBeUndefined()
    expect(recalled(opened, 'small')).toBe(session)
  })

  test('an entry is served up to its age, and looking at it does not keep it young', () => {
    using clock = holdMonotonicClock()
    const opened = createOpenedSessions({ ...ROOMY, servedMs: 150 })
    keep(opened, 'd')
    for (let ageMs = 0; ageMs < 150; ageMs += 10) {
      expect(recalled(opened, 'd'), `${ageMs}`).toBe(session)
      clock.elapse(10)
    }
    expect(recalled(opened, 'd')).toBeUndefined()
  })
})

describe('sessions that the store has just confirmed', () => {
  const t = Buffer.from('sealed t')

  test.for([
    ['the same bytes', records, true],
    ['the same bytes at another place', { s: Buffer.from('sealed s') }, true],
    ['other bytes', { s: Buffer.from('sealed x') }, false],
    ['a part of them', { s: Buffer.from('sealed') }, false],
    ['nothing', {}, false],
    ['no record any more', { s: undefined as unknown as Buffer }, false],
    ['one more record', { ...records, t }, false],
  ] as const)('are opened anew unless the bytes are those of before: %s', ([, found, isKnown]) => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    expect(reopened(opened, 'd', found)).toBe(isKnown ? session : undefined)
  })

  test('a record that was absent and is still absent makes no difference', () => {
    const opened = createOpenedSessions(ROOMY)
    const found = { ...records, t: undefined as unknown as Buffer }
    opened.keep(heldAt('d'), found, session, opened.fillTicket())
    expect(reopened(opened, 'd', found)).toBe(session)
    expect(reopened(opened, 'd', { ...records, t })).toBeUndefined()
    keep(opened, 'e')
    opened.keep(heldAt('e'), { ...records, t }, session, opened.fillTicket())
    expect(reopened(opened, 'e', found)).toBeUndefined()
    expect(reopened(opened, 'e', { ...records, t })).toBe(session)
  })

  test('no bytes are never the same bytes', () => {
    const opened = createOpenedSessions(ROOMY)
    opened.keep(heldAt('d'), {}, session, opened.fillTicket())
    expect(reopened(opened, 'd', {})).toBeUndefined()
    expect(reopened(opened, 'd', records)).toBeUndefined()
  })

  test('no record in the store is the end, which holds at the next outage as well', () => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    const ticket = opened.fillTicket()
    const strangers = { ...heldAt('d'), credential: WRONG }
    expect(opened.reopen(strangers, {}, ticket)).toBeUndefined()
    expect(opened.recallStale('d', credential, REALM)?.session).toBe(session)
    expect(reopened(opened, 'd', {}, ticket)).toBeUndefined()
    expect(opened.recallStale('d', credential, REALM)).toBeUndefined()
    opened.keep(heldAt('d'), records, session, ticket)
    expect(opened.size).toBe(0)
  })

  test('need the right secret and the right realm all the same', () => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    const held = heldAt('d')
    const ticket = opened.fillTicket()
    expect(opened.reopen({ ...held, credential: WRONG }, records, ticket)).toBeUndefined()
    expect(opened.reopen({ ...held, realm: 'wiki.example.com' }, records, ticket)).toBeUndefined()
    expect(reopened(opened, 'e', records)).toBeUndefined()
  })

  test('are counted when they are looked for, and not when the store has been asked', () => {
    const lookUps: string[] = []
    const onLookUp = (result: string) => void lookUps.push(result)
    const opened = createOpenedSessions({ ...ROOMY, onLookUp })
    recalled(opened, 'd')
    keep(opened, 'd')
    expect(reopened(opened, 'd', records)).toBe(session)
    expect(lookUps).toEqual(['miss'])
    recalled(opened, 'd')
    expect(lookUps).toEqual(['miss', 'hit'])
  })
})

describe('the age of what is kept', () => {
  const AGES = { ...ROOMY, servedMs: 5000, keptMs: 300_000 }
  const stale = (opened: OpenedSessions, by = credential, realm = REALM) =>
    opened.recallStale('d', by, realm)?.session

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
      const opened = createOpenedSessions(AGES)
      keep(opened, 'd')
      clock.elapse(ageMs)
      expect(recalled(opened, 'd')).toBe(isServed ? session : undefined)
      expect(stale(opened)).toBe(isKept ? session : undefined)
    },
  )

  test('without an outage grace what is served is kept no longer than that', () => {
    using clock = holdMonotonicClock()
    const opened = createOpenedSessions({ ...AGES, keptMs: 0 })
    keep(opened, 'd')
    expect(stale(opened)).toBeUndefined()
    clock.elapse(4999)
    expect(recalled(opened, 'd')).toBe(session)
    expect(stale(opened)).toBeUndefined()
  })

  test('counts from the moment before the read, however long that took', () => {
    using clock = holdMonotonicClock()
    const opened = createOpenedSessions(AGES)
    const ticket = opened.fillTicket()
    clock.elapse(3000)
    const { confirmedAtMs } = opened.keep(heldAt('d'), records, session, ticket)
    expect(performance.now() - confirmedAtMs).toBe(3000)
    clock.elapse(1999)
    expect(opened.recall('d', credential, REALM)?.confirmedAtMs).toBe(confirmedAtMs)
    clock.elapse(1)
    expect(recalled(opened, 'd')).toBeUndefined()
  })

  test('begins anew when the store confirms the session, and only then', () => {
    using clock = holdMonotonicClock()
    const opened = createOpenedSessions(AGES)
    keep(opened, 'd')
    clock.elapse(4000)
    expect(recalled(opened, 'd')).toBe(session)
    const ticket = opened.fillTicket()
    clock.elapse(500)
    expect(reopened(opened, 'd', records, ticket)).toBe(session)
    clock.elapse(4499)
    expect(recalled(opened, 'd')).toBe(session)
    clock.elapse(1)
    expect(recalled(opened, 'd')).toBeUndefined()
    clock.elapse(295_000 - 1)
    expect(stale(opened)).toBe(session)
    clock.elapse(1)
    expect(stale(opened)).toBeUndefined()
  })

  test.for<[string, (opened: OpenedSessions) => void]>([
    ['another session was evicted', (opened) => opened.evict('other')],
    [
      'all were cleared and this one is there again',
      (opened) => void (opened.clear(), keep(opened, 'd')),
    ],
  ])('is not renewed by a read that began before %s', ([, evict], { expect }) => {
    using clock = holdMonotonicClock()
    const opened = createOpenedSessions(AGES)
    keep(opened, 'd')
    const ticket = opened.fillTicket()
    evict(opened)
    clock.elapse(5000)
    expect(reopened(opened, 'd', records, ticket)).toBe(session)
    expect(recalled(opened, 'd')).toBeUndefined()
    expect(reopened(opened, 'd', records)).toBe(session)
    expect(recalled(opened, 'd')).toBe(session)
  })

  test('a session that was evicted does not stand in for the store either', () => {
    const opened = createOpenedSessions(AGES)
    keep(opened, 'd')
    opened.evict('d')
    expect(stale(opened)).toBeUndefined()
    keep(opened, 'd')
    opened.clear()
    expect(stale(opened)).toBeUndefined()
  })

  test('a session that has changed is not served, and stands in for the store until it is read again', () => {
    const opened = createOpenedSessions(AGES)
    keep(opened, 'd')
    keep(opened, 'other')
    opened.expire('d')
    opened.expire('unknown')
    expect(recalled(opened, 'd')).toBeUndefined()
    expect(stale(opened)).toBe(session)
    expect(recalled(opened, 'other')).toBe(session)
    keep(opened, 'd')
    expect(recalled(opened, 'd')).toBe(session)
    expect(opened.size).toBe(2)
  })

  test('what stands in for the store needs the right secret and the right realm', () => {
    const opened = createOpenedSessions(AGES)
    keep(opened, 'd')
    expect(stale(opened, WRONG)).toBeUndefined()
    expect(stale(opened, credential, 'wiki.example.com')).toBeUndefined()
    expect(opened.recallStale('other', credential, REALM)).toBeUndefined()
    expect(stale(opened)).toBe(session)
  })

  test('what is too old has left when it is asked about', async () => {
    const opened = createOpenedSessions({ ...ROOMY, servedMs: 20, keptMs: 50 })
    keep(opened, 'd')
    expect(opened.size).toBe(1)
    // Being asked about renews what is not too old yet, so the questions lie further apart.
    await expect.poll(() => recalled(opened, 'd'), { interval: 200 }).toBeUndefined()
    expect(opened.size).toBe(0)
  })
})

describe('changes that may have been missed', () => {
  const start = () => {
    let epoch: number | undefined = 1
    const lookUps: string[] = []
    const opened = createOpenedSessions({
      ...ROOMY,
      epoch: () => epoch,
      onLookUp: (result) => void lookUps.push(result),
    })
    return {
      opened,
      lookUps,
      become: (next: number | undefined) => {
        epoch = next
      },
    }
  }

  test('what was kept before is passed over and not erased: it counts again when nothing was missed', () => {
    const { opened, lookUps, become } = start()
    keep(opened, 'd')
    become(undefined)
    expect(recalled(opened, 'd')).toBeUndefined()
    expect(opened.size).toBe(1)
    become(1)
    expect(recalled(opened, 'd')).toBe(session)
    become(2)
    expect(recalled(opened, 'd')).toBeUndefined()
    expect(lookUps).toEqual(['bypassed', 'hit', 'bypassed'])
  })

  test('the store confirms it for the present epoch, without opening it anew', () => {
    const { opened, become } = start()
    keep(opened, 'd')
    become(2)
    expect(recalled(opened, 'd')).toBeUndefined()
    expect(reopened(opened, 'd', records)).toBe(session)
    expect(recalled(opened, 'd')).toBe(session)
  })

  test.for<[string, number | undefined]>([
    ['nothing was heard', undefined],
    ['another epoch was', 1],
  ])('what was read while %s is not served afterwards', ([, during], { expect }) => {
    const { opened, become } = start()
    become(during)
    const ticket = opened.fillTicket()
    become(2)
    opened.keep(heldAt('d'), records, session, ticket)
    expect(recalled(opened, 'd')).toBeUndefined()
    expect(reopened(opened, 'd', records, ticket)).toBe(session)
    expect(recalled(opened, 'd')).toBeUndefined()
  })

  test('what was read while nothing was heard is not served while nothing is heard', () => {
    const { opened, become } = start()
    become(undefined)
    keep(opened, 'd')
    expect(recalled(opened, 'd')).toBeUndefined()
  })

  test('while the store cannot be asked they do not matter', () => {
    const { opened, become } = start()
    keep(opened, 'd')
    for (const epoch of [undefined, 2]) {
      become(epoch)
      expect(opened.recallStale('d', credential, REALM)?.session).toBe(session)
    }
  })

  test('a wrong secret is a miss, whatever the epoch', () => {
    const { opened, lookUps, become } = start()
    keep(opened, 'd')
    expect(recalled(opened, 'd', WRONG)).toBeUndefined()
    become(2)
    expect(recalled(opened, 'd', WRONG)).toBeUndefined()
    expect(lookUps).toEqual(['miss', 'miss'])
  })
})

describe('the room that sealed records take', () => {
  test('they count as well, and what was used least goes first', () => {
    const opened = createOpenedSessions({ ...ROOMY, maxBytes: 10_000 })
    const large = (digest: string) =>
      opened.keep(
        heldAt(digest),
        { s: Buffer.alloc(2000), t: Buffer.alloc(500) },
        session,
        opened.fillTicket(),
      )
    for (const digest of ['a', 'b', 'c']) large(digest)
    expect(opened.size).toBe(3)
    opened.recallStale('a', credential, REALM)
    large('d')
    expect(opened.size).toBe(3)
    expect(recalled(opened, 'b')).toBeUndefined()
    for (const digest of ['a', 'c', 'd']) expect(recalled(opened, digest), digest).toBe(session)
  })
})
