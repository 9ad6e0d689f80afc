import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatSessionCookie,
  isAlive,
  parseSessionCookie,
  renewalNeed,
  type Session,
} from '../../src/core/session.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { words } from '../support/words.ts'

const ID = 'i'.repeat(43)
const SECRET = 's'.repeat(43)
const token = fc.stringMatching(/^[A-Za-z0-9_-]{43}$/)

describe('the session cookie', () => {
  test('a credential is read back as it was written', () =>
    holds(100, [token, token], (id, secret) =>
      expect(parseSessionCookie(formatSessionCookie({ id, secret }))).toEqual({ id, secret }),
    ))

  test.for([
    '',
    ...words`
      v2.${ID}.${SECRET} ${ID}.${SECRET} V1.${ID}.${SECRET} v1.${ID} v1.${ID}. v1.${ID.slice(1)}.${SECRET}
      v1.${ID}i.${SECRET} v1.${ID}.${SECRET}s v1.${ID}.${SECRET}.x v1.${'+'.repeat(43)}.${SECRET}
      v1.${ID}.${SECRET.slice(1)}. v1.${ID.slice(1)}..${SECRET} v1.${ID}.${SECRET.slice(1)}= v1.${ID}.${SECRET}\n \x20v1.${ID}.${SECRET} "v1.${ID}.${SECRET}"
    `,
  ])('%j is no credential', (value) => expect(parseSessionCookie(value)).toBeUndefined())

  test('any text is a credential that formats to the same text, or none', () => {
    const almost = fc
      .tuple(fc.constantFrom('v1', 'v2', ''), fc.constantFrom('.', ''), token, fc.string(), token)
      .map((parts) => parts.join(''))
    holds(500, [fc.oneof(anyText, almost)], (value) => {
      const credential = parseSessionCookie(value)
      expect(credential ? formatSessionCookie(credential) : value).toBe(value)
    })
  })
})

describe('the life of a session', () => {
  const session: Session = {
    identity: { issuer: 'https://id.example.com', subject: 'u1', groups: [], claims: {} },
    createdAt: 1000,
    expiresAt: 2000,
  }

  test.for([
    [1000, true],
    [1999, true],
    [2000, false],
    [2001, false],
    [Number.NaN, false],
    [Number.POSITIVE_INFINITY, false],
  ] as const)('at %d it is alive: %s', ([nowMs, expected]) =>
    expect(isAlive(session, nowMs)).toBe(expected),
  )

  test('a session without an end is not alive', () =>
    expect(isAlive({ ...session, expiresAt: Number.NaN }, 0)).toBe(false))
})

describe('the need to refresh tokens', () => {
  const session: Session = {
    identity: { issuer: 'https://id.example.com', subject: 'u1', groups: [], claims: {} },
    createdAt: 1000,
    expiresAt: 100_000,
    renewal: { dueAt: 4000, endsAt: 5000 },
  }

  test.for([
    [3999, 0, 'none'],
    [4000, 0, 'due'],
    [4999, 0, 'due'],
    [5000, 0, 'overdue'],
    [3999, 2000, 'none'],
    [5000, 2000, 'due'],
    [6999, 2000, 'due'],
    [7000, 2000, 'overdue'],
    [Number.NaN, 2000, 'overdue'],
    [6000, Number.NaN, 'overdue'],
  ] as const)('at %d, with %d ms of patience, is %s', ([nowMs, patienceMs, need]) =>
    expect(renewalNeed(session, nowMs, patienceMs)).toBe(need),
  )

  test('is none where there is nothing to refresh, however long ago the token ended', () => {
    const { renewal: _, ...lasting } = session
    expect(renewalNeed(lasting, Number.MAX_SAFE_INTEGER, 0)).toBe('none')
  })
})
