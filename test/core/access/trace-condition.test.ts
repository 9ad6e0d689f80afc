import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Condition, evaluate, type Requester } from '../../../src/core/access/condition.ts'
import {
  type ConditionTrace,
  describeCondition,
  reasonFor,
  traceCondition,
} from '../../../src/core/access/trace-condition.ts'
import type { Identity } from '../../../src/core/identity.ts'
import { holds } from '../../support/holds.ts'

const PERSON: Identity = {
  issuer: 'https://id.example.com',
  subject: 'subject-of-ada',
  email: 'ada@example.com',
  groups: ['staff-secret'],
  claims: { role: 'lead-secret', absent: '', odd: ['odd-secret'] },
  incomparable: ['odd'],
}
const NOBODY: Identity = { issuer: 'i', subject: '', groups: [], claims: {} }

const only = (kind: 'groups' | 'users' | 'emails' | 'emailDomains', ...texts: string[]) =>
  ({ kind, values: new Set(texts) }) as const
const claim = (name: string, ...texts: string[]): Condition => ({
  kind: 'claim',
  name,
  values: new Set(texts),
})
const office: Condition = {
  kind: 'networks',
  networks: { sources: ['192.0.2.0/24'], contains: (address) => address.startsWith('192.0.2.') },
}
const ops = only('groups', 'ops')
const staff = only('groups', 'staff-secret')

test.for<[string, Condition]>([
  ['groups: ops, "CN=a,OU=b"', only('groups', 'ops', 'CN=a,OU=b')],
  ['claim department: sales', claim('department', 'sales')],
  ['claim "a\ufffdb: c": x', claim('a\nb: c', 'x')],
  ['networks: 192.0.2.0/24', office],
  [
    'all (groups: ops; none (users: 7))',
    { kind: 'all', of: [ops, { kind: 'none', of: [only('users', '7')] }] },
  ],
  [
    'groups: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more',
    only('groups', ...Array.from({ length: 12 }, (_, at) => `${at}`)),
  ],
  [`users: ${'x'.repeat(80)}…, "a\ufffdb c", ""`, only('users', 'x'.repeat(5000), 'a\nb c', '')],
])('in one line: %s', ([expected, condition]) =>
  expect(describeCondition(condition)).toBe(expected),
)

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

describe('a trace', () => {
  test('tells of each part what it asks for, its truth, and what it saw', () => {
    const condition: Condition = {
      kind: 'any',
      of: [ops, { kind: 'none', of: [claim('absent', 'x'), office] }],
    }
    expect(traceCondition(condition, { identity: PERSON, address: '198.51.100.7' })).toEqual({
      text: 'any',
      truth: 'unknown',
      of: [
        { text: 'groups: ops', truth: false, saw: 'staff-secret' },
        {
          text: 'none',
          truth: 'unknown',
          of: [
            {
              text: 'claim absent: x',
              truth: 'unknown',
              saw: ABSENT,
            },
            { text: 'networks: 192.0.2.0/24', truth: false, saw: '198.51.100.7' },
          ],
        },
      ],
    })
  })

  test.for<[string, Condition, Partial<Identity>]>([
    ['none', ops, { groups: [], areGroupsKnown: true }],
    [
      'staff-secret; unknown, because there is no groups claim, or one that cannot be read as a whole',
      ops,
      { areGroupsKnown: false },
    ],
    ['ada@example.com', only('emails', 'x@y.test'), {}],
    ['subject-of-ada', only('users', '7'), {}],
    ['lead-secret', claim('role', 'x'), {}],
  ])('saw %s: %j', ([saw, condition, identity]) =>
    expect(traceCondition(condition, { identity: { ...PERSON, ...identity } }).saw).toBe(saw),
  )
})

describe('any condition', () => {
  const leaves = fc.constantFrom<Condition>(
    ops,
    staff,
    office,
    claim('role', 'x'),
    claim('role', 'lead-secret'),
    claim('later', 'x'),
    claim('odd', 'odd-secret'),
    only('emails', 'x@y.test'),
    only('users', 'subject-of-ada'),
  )
  const conditions = fc.letrec<{ readonly any: Condition }>((tie) => ({
    any: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaves,
      fc.record({
        kind: fc.constantFrom('all', 'any', 'none'),
        of: fc.array(tie('any'), { minLength: 1, maxLength: 3 }),
      }),
    ),
  })).any
  const requesters = fc.constantFrom<Requester>(
    { identity: PERSON },
    { identity: NOBODY },
    { identity: PERSON, address: '192.0.2.7' },
    { identity: NOBODY, address: '198.51.100.7' },
  )
  const truthsOf = ({ truth, of = [] }: ConditionTrace): unknown[] => [truth, ...of.map(truthsOf)]
  const evaluated = (condition: Condition, requester: Requester): unknown[] => [
    evaluate(condition, requester),
    ...('of' in condition ? condition.of.map((each) => evaluated(each, requester)) : []),
  ]

  test('has the truths of its evaluation in its trace, and a reason only where it does not permit', () =>
    holds(500, [conditions, requesters], (condition, requester) => {
      expect(truthsOf(traceCondition(condition, requester))).toEqual(
        evaluated(condition, requester),
      )
      expect(reasonFor(condition, requester) === undefined).toBe(
        evaluate(condition, requester) === true,
      )
    }))

  test('has a reason that tells nothing of the person', () =>
    holds(500, [conditions, requesters], (condition, requester) =>
      expect(reasonFor(condition, requester) ?? '').not.toMatch(/secret|ada|example|198\.51/),
    ))
})
