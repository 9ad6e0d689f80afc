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

const keep = (opened: OpenedSessions, digest: string, kept = session) =>
  opened.keep(digest, credential, REALM, kept, opened.fillTicket())

describe('opened sessions', () => {
  test('a session that was kept is found by its own cookie', () => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    expect(opened.find('d', credential, REALM)).toBe(session)
    expect(opened.find('other', credential, REALM)).toBeUndefined()
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
    expect(opened.find('d', credential, REALM)).toBe(session)
    expect(opened.find('d', { ...credential, secret }, REALM)).toBeUndefined()
    expect(opened.find('d', credential, REALM)).toBe(session)
  })

  test('elsewhere it is no session', () => {
    const opened = createOpenedSessions(ROOMY)
    keep(opened, 'd')
    expect(opened.find('d', credential, 'wiki.example.com')).toBeUndefined()
    expect(opened.find('d', credential, '')).toBeUndefined()
  })

  test('an eviction takes the one session, clearing takes all', () => {
    const opened = createOpenedSessions(ROOMY)
    for (const digest of ['a', 'b', 'c']) keep(opened, digest)
    opened.evict('a')
    expect(opened.find('a', credential, REALM)).toBeUndefined()
    expect(opened.find('b', credential, REALM)).toBe(session)
    expect(opened.size).toBe(2)
    opened.clear()
    expect(opened.find('b', credential, REALM)).toBeUndefined()
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
    opened.keep('d', credential, REALM, session, ticket)
    expect(opened.find('d', credential, REALM)).toBeUndefined()
    keep(opened, 'd')
    expect(opened.find('d', credential, REALM)).toBe(session)
  })

  test('fills that race each other are all stored', () => {
    const opened = createOpenedSessions(ROOMY)
    const tickets = [opened.fillTicket(), opened.fillTicket()]
    for (const [index, ticket] of tickets.entries()) {
      opened.keep(`d${index}`, credential, REALM, session, ticket)
    }
    expect(opened.size).toBe(2)
  })

  test('the number is bounded, and what was used last stays', () => {
    const opened = createOpenedSessions({ ...ROOMY, maxEntries: 3 })
    for (const digest of ['a', 'b', 'c']) keep(opened, digest)
    opened.find('a', credential, REALM)
    keep(opened, 'd')
    expect(opened.size).toBe(3)
    expect(opened.find('b', credential, REALM)).toBeUndefined()
    for (const digest of ['a', 'c', 'd']) {
      expect(opened.find(digest, credential, REALM), digest).toBe(session)
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
    expect(opened.find('large', credential, REALM)).toBeUndefined()
    expect(opened.find('small', credential, REALM)).toBe(session)
  })

  test('an entry is served up to its age, and looking at it does not keep it young', async () => {
    const opened = createOpenedSessions({ ...ROOMY, maxAgeMs: 150 })
    keep(opened, 'd')
    const startedAtMs = performance.now()
    expect(opened.find('d', credential, REALM)).toBe(session)
    while (performance.now() - startedAtMs < 250) {
      opened.find('d', credential, REALM)
      await pause(20)
    }
    expect(opened.find('d', credential, REALM)).toBeUndefined()
  })
})
