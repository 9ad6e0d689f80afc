import { describe, expect, test } from 'vitest'
import type { Condition, Requester } from '../../../src/core/access/condition.ts'
import { reasonFor } from '../../../src/core/access/condition-reason.ts'
import { claim, NOBODY, office, only, ops, PERSON, staff } from '../../support/sample-conditions.ts'

const ABSENT = 'unknown, because there is no such claim'
const LATER = 'unknown, because the session is older than the rule that names it; sign in again'

describe('the reason for a log line', () => {
  test.for<[string | undefined, Condition, Requester?]>([
    [undefined, staff],
    ['groups: none of the wanted ones', ops],
    [
      'groups: unknown, because there is no groups claim, or one that cannot be read as a whole',
      ops,
      { identity: NOBODY },
    ],
    ['emails: the address is none of the wanted ones', only('emails', 'bob@example.com')],
    ['emailDomains: the domain is none of the wanted ones', only('emailDomains', 'x.test')],
    [
      'emails: unknown, because there is no e-mail address that counts',
      only('emails', 'bob@example.com'),
      { identity: NOBODY },
    ],
    ['users: the user is none of the wanted ones', only('users', '7')],
    ['users: unknown, because there is no sub', only('users', '7'), { identity: NOBODY }],
    ['claim role: none of the wanted values', claim('role', 'x')],
    [`claim absent: ${ABSENT}`, claim('absent', 'x')],
    [`claim name: ${ABSENT}`, claim('name', 'x')],
    [
      'claim odd: unknown, because it is neither text, an exact number, true or false, nor a list of these',
      claim('odd', 'x'),
    ],
    [
      `claim resource_access.client-1.roles: ${LATER}`,
      claim('resource_access.client-1.roles', 'x'),
    ],
    [`claim constructor: ${LATER}`, claim('constructor', 'x')],
    [`claim later: ${LATER}`, claim('later', 'x')],
    [
      "networks: the client's address is in none of them",
      office,
      { identity: PERSON, address: '198.51.100.7' },
    ],
    ["networks: unknown, because no trusted proxy names the client's address", office],
    [
      'claim role: none of the wanted values',
      { kind: 'all', of: [staff, claim('later', 'x'), claim('role', 'x'), ops] },
    ],
    [`claim absent: ${ABSENT}`, { kind: 'all', of: [staff, claim('absent', 'x')] }],
    [
      `any: groups: none of the wanted ones; claim absent: ${ABSENT}`,
      { kind: 'any', of: [ops, claim('absent', 'x')] },
    ],
    [
      'none: groups, claim role matched',
      { kind: 'none', of: [staff, only('users', '7'), claim('role', 'lead-secret')] },
    ],
    [`none: claim absent: ${ABSENT}`, { kind: 'none', of: [ops, claim('absent', 'x')] }],
    ['none: all matched', { kind: 'none', of: [{ kind: 'all', of: [staff] }] }],
  ])('%s', ([expected, condition, requester = { identity: PERSON }]) =>
    expect(reasonFor(condition, requester)).toBe(expected),
  )

  test('is bounded, and hides an address in the name of a claim', () => {
    const of = Array.from({ length: 1000 }, () => claim('boss@example.com', 'x'))
    const reason = reasonFor({ kind: 'any', of }, { identity: PERSON }) ?? ''
    expect(reason.length).toBeLessThanOrEqual(301)
    expect(reason).not.toContain('boss')
  })
})
