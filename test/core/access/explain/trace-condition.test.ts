import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Condition, evaluate, type Requester } from '../../../../src/core/access/condition.ts'
import { reasonFor } from '../../../../src/core/access/condition-reason.ts'
import {
  type ConditionTrace,
  traceCondition,
} from '../../../../src/core/access/explain/trace-condition.ts'
import type { Identity } from '../../../../src/core/identity.ts'
import { holds } from '../../../support/holds.ts'

import {
  claim,
  NOBODY,
  office,
  only,
  ops,
  PERSON,
  staff,
} from '../../../support/sample-conditions.ts'

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
              because: 'there is no such claim',
            },
            { text: 'networks: 192.0.2.0/24', truth: false, saw: '198.51.100.7' },
          ],
        },
      ],
    })
  })

  const PARTLY = 'there is no groups claim, or one that cannot be read as a whole'
  test.for<[Partial<ConditionTrace>, Condition, Partial<Identity>]>([
    [{ saw: 'none' }, ops, { groups: [], areGroupsKnown: true }],
    [{ saw: 'staff-secret', because: PARTLY }, ops, { areGroupsKnown: false }],
    [{ saw: 'none', because: PARTLY }, ops, { groups: ['none'], areGroupsKnown: false }],
    [{ because: PARTLY }, ops, { groups: [] }],
    [{ saw: 'ada@example.com' }, only('emails', 'x@y.test'), {}],
    [{ saw: 'subject-of-ada' }, only('users', '7'), {}],
    [{ because: 'there is no sub' }, only('users', '7'), { subject: '' }],
    [{ saw: 'lead-secret' }, claim('role', 'x'), {}],
  ])('has %j of %j', ([expected, condition, identity]) => {
    const trace = traceCondition(condition, { identity: { ...PERSON, ...identity } })
    expect(trace).toEqual({ text: trace.text, truth: trace.truth, ...expected })
  })
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
