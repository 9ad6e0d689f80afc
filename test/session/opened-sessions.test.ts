import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Session } from '../../src/core/session.ts'
import {
  createOpenedSessions,
  type OpenedSessions,
  type OpenedSessionsOptions,
} from '../../src/session/opened-sessions.ts'

const ROOMY: OpenedSessionsOptions = {
  maxEntries: 100,
  maxBytes: 1_000_000,
  maxAgeMs: 60_000,
  recalls: true,
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
const openedFrom = (session: Session) => ({ session, realm: REALM, records })

const keep = (opened: OpenedSessions, digest: string, kept = session) =>
  opened.keep(digest, credential, openedFrom(kept), opened.fillTicket())

describe('opened sessions', () => {
  test('a session that was kept is found by its own cookie', () => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    expect(opened.recall('d', credential, REALM)).toBe(session)
    expect(opened.recall('other', credential, REALM)).toBeUndefined()
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
    expect(opened.recall('d', credential, REALM)).toBe(session)
    expect(opened.recall('d', { ...credential, secret }, REALM)).toBeUndefined()
    expect(opened.recall('d', credential, REALM)).toBe(session)
  })

  test('elsewhere it is no session', () => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    expect(opened.recall('d', credential, 'wiki.example.com')).toBeUndefined()
    expect(opened.recall('d', credential, '')).toBeUndefined()
  })

  test('an eviction takes the one session, clearing takes all', () => {
    const opened = createOpenedSessions(ROOMY)
    for (const digest of ['a', 'b', 'c']) keep(opened, digest)
    opened.evict('a')
    expect(opened.recall('a', credential, REALM)).toBeUndefined()
    expect(opened.recall('b', credential, REALM)).toBe(session)
    expect(opened.size).toBe(2)
    opened.clear()
    expect(opened.recall('b', credential, REALM)).toBeUndefined()
    expect(opened.size).toBe(0)
  })

  test.for<[string, (opened: OpenedSessions) => void]>([
    ['of the same session', (opened) => opened.evict('d')],
    ['of another session', (opened) => opened.evict('other')],
    ['of all sessions', (opened) => opened.clear()],
  ])('a fill that raced an eviction %s is not stored', ([, evict], { expect }) => {
    const opened = createOpenedSessions(ROOMY)
    const ticket = opened.fillTicket()
    evict(opened)
    opened.keep('d', credential, openedFrom(session), ticket)
    expect(opened.recall('d', credential, REALM)).toBeUndefined()
    keep(opened, 'd')
    expect(opened.recall('d', credential, REALM)).toBe(session)
  })

  test('fills that race each other are all stored', () => {
    const opened = createOpenedSessions(ROOMY)
    const tickets = [opened.fillTicket(), opened.fillTicket()]
    for (const [index, ticket] of tickets.entries()) {
      opened.keep(`d${index}`, credential, openedFrom(session), ticket)
    }
    expect(opened.size).toBe(2)
  })

  test('the number is bounded, and what was used last stays', () => {
    const opened = createOpenedSessions({ ...ROOMY, maxEntries: 3 })
    for (const digest of ['a', 'b', 'c']) keep(opened, digest)
    opened.recall('a', credential, REALM)
    keep(opened, 'd')
    expect(opened.size).toBe(3)
    expect(opened.recall('b', credential, REALM)).toBeUndefined()
    for (const digest of ['a', 'c', 'd']) {
      expect(opened.recall(digest, credential, REALM), digest).toBe(session)
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
    expect(opened.recall('large', credential, REALM)).toBeUndefined()
    expect(opened.recall('small', credential, REALM)).toBe(session)
  })

  test('an entry is served up to its age, and looking at it does not keep it young', async () => {
    const opened = createOpenedSessions({ ...ROOMY, maxAgeMs: 150 })
    keep(opened, 'd')
    const startedAtMs = performance.now()
    expect(opened.recall('d', credential, REALM)).toBe(session)
    while (performance.now() - startedAtMs < 250) {
      opened.recall('d', credential, REALM)
      await pause(20)
    }
    expect(opened.recall('d', credential, REALM)).toBeUndefined()
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
    const reopened = opened.reopen('d', credential, REALM, found)
    expect(reopened).toBe(isKnown ? session : undefined)
  })

  test('a record that was absent and is still absent makes no difference', () => {
    const opened = createOpenedSessions(ROOMY)
    const found = { ...records, t: undefined as unknown as Buffer }
    opened.keep('d', credential, { session, realm: REALM, records: found }, opened.fillTicket())
    expect(opened.reopen('d', credential, REALM, found)).toBe(session)
    expect(opened.reopen('d', credential, REALM, { ...records, t })).toBeUndefined()
    keep(opened, 'e')
    opened.keep(
      'e',
      credential,
      { session, realm: REALM, records: { ...records, t } },
      opened.fillTicket(),
    )
    expect(opened.reopen('e', credential, REALM, found)).toBeUndefined()
    expect(opened.reopen('e', credential, REALM, { ...records, t })).toBe(session)
  })

  test('need the right secret and the right realm all the same', () => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    const wrong = { ...credential, secret: 'x'.repeat(43) }
    expect(opened.reopen('d', wrong, REALM, records)).toBeUndefined()
    expect(opened.reopen('d', credential, 'wiki.example.com', records)).toBeUndefined()
    expect(opened.reopen('e', credential, REALM, records)).toBeUndefined()
  })

  test('are not served unasked where every check has to ask', () => {
    const lookUps: string[] = []
    const onLookUp = (result: string) => void lookUps.push(result)
    const asking = createOpenedSessions({ ...ROOMY, recalls: false, onLookUp })
    keep(asking, 'd')
    expect(asking.recall('d', credential, REALM)).toBeUndefined()
    expect(asking.reopen('d', credential, REALM, records)).toBe(session)
    expect(lookUps).toEqual([])
    const recalling = createOpenedSessions({ ...ROOMY, onLookUp })
    recalling.recall('d', credential, REALM)
    keep(recalling, 'd')
    recalling.recall('d', credential, REALM)
    expect(lookUps).toEqual(['miss', 'hit'])
  })
})
