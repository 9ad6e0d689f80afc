import { describe, expect, test } from 'vitest'
import type { Condition, Requester } from '../../../src/core/access/condition.ts'
import { reasonFor } from '../../../src/core/access/condition-reason.ts'
import { claim, NOBODY, office, only, ops, PERSON, staff } from '../../support/sample-conditions.ts'

describe('the reason for a log line', () => {
  test.for<[string | undefined, Condition, Requester]>([
    [undefined, staff, { identity: PERSON }],
    ['groups: none of the wanted ones', ops, { identity: PERSON }],
    [
      'groups: unknown, because there is no groups claim, or one that cannot be read as a whole',
      ops,
      { identity: NOBODY },
    ],
    [
      'emails: the address is none of the wanted ones',
      only('emails', 'bob@example.com'),
      { identity: PERSON },
    ],
    [
      'emailDomains: the domain is none of the wanted ones',
      only('emailDomains', 'x.test'),
      { identity: PERSON },
    ],
    [
      'emails: unknown, because there is no e-mail address that counts',
      only('emails', 'bob@example.com'),
      { identity: NOBODY },
    ],
    ['users: the user is none of the wanted ones', only('users', '7'), { identity: PERSON }],
    ['users: unknown, because there is no sub', only('users', '7'), { identity: NOBODY }],
    ['claim role: none of the wanted values', claim('role', 'x'), { identity: PERSON }],
    [
      'claim absent: unknown, because there is no such claim',
      claim('absent', 'x'),
      { identity: PERSON },
    ],
    [
      'claim name: unknown, because there is no such claim',
      claim('name', 'x'),
      { identity: PERSON },
    ],
    [
      'claim odd: unknown, because it is neither text, an exact number, true or false, nor a list of these',
      claim('odd', 'x'),
      { identity: PERSON },
    ],
    [
      'claim resource_access.client-1.roles: unknown, because the session is older than the rule that names it; sign in again',
      claim('resource_access.client-1.roles', 'x'),
      { identity: PERSON },
    ],
    [
      'claim constructor: unknown, because the session is older than the rule that names it; sign in again',
      claim('constructor', 'x'),
      { identity: PERSON },
    ],
    [
      'claim later: unknown, because the session is older than the rule that names it; sign in again',
      claim('later', 'x'),
      { identity: PERSON },
    ],
    [
      "networks: the client's address is in none of them",
      office,
      { identity: PERSON, address: '198.51.100.7' },
    ],
    [
      "networks: unknown, because no trusted proxy names the client's address",
      office,
      { identity: PERSON },
    ],
    [
      'claim role: none of the wanted values',
      { kind: 'all', of: [staff, claim('later', 'x'), claim('role', 'x'), ops] },
      { identity: PERSON },
    ],
    [
      'claim absent: unknown, because there is no such claim',
      { kind: 'all', of: [staff, claim('absent', 'x')] },
      { identity: PERSON },
    ],
    [
      'any: groups: none of the wanted ones; claim absent: unknown, because there is no such claim',
      { kind: 'any', of: [ops, claim('absent', 'x')] },
      { identity: PERSON },
    ],
    [
      'none: groups, claim role matched',
      { kind: 'none', of: [staff, only('users', '7'), claim('role', 'lead-secret')] },
      { identity: PERSON },
    ],
    [
      'none: claim absent: unknown, because there is no such claim',
      { kind: 'none', of: [ops, claim('absent', 'x')] },
      { identity: PERSON },
    ],
    [
      'none: all matched',
      { kind: 'none', of: [{ kind: 'all', of: [staff] }] },
      { identity: PERSON },
    ],
  ])('%s', ([expected, condition, requester]) =>
    expect(reasonFor(condition, requester)).toBe(expected),
  )

  test('is bounded, and hides an address in the name of a claim', () => {
    const of = Array.from({ length: 1000 }, () => claim('boss@example.com', 'x'))
    const reason = reasonFor({ kind: 'any', of }, { identity: PERSON }) ?? ''
    expect(reason.length).toBeLessThanOrEqual(301)
    expect(reason).not.toContain('boss')
  })
})
