import { describe, expect, test } from 'vitest'
import {
  type Condition,
  evaluate,
  type Networks,
  type Truth,
} from '../../../src/core/access/condition.ts'
import type { Identity } from '../../../src/core/identity.ts'

const PERSON: Identity = {
  issuer: 'https://id.example.com',
  subject: 'u1',
  email: 'Ada@Example.com',
  name: 'Ada',
  groups: ['admins', 'ops'],
  claims: { role: 'lead', level: '3', teams: ['red', 'blue'], nothing: [], absent: '', odd: ['x'] },
  incomparable: ['odd'],
}

const values = (...texts: readonly string[]) => ({ values: new Set(texts) })

describe('one condition', () => {
  test.for<[Truth, Partial<Identity>, ...string[]]>([
    [true, {}, 'ops', 'x'],
    [false, {}, 'Ops', 'op', 'admins,ops', ''],
    [false, {}, '__proto__', 'constructor', 'length', '0'],
    ['unknown', { groups: [] }, 'ops'],
    [false, { groups: [], areGroupsKnown: true }, 'ops'],
    ['unknown', { areGroupsKnown: false }, 'x'],
    [true, { areGroupsKnown: false }, 'ops'],
  ])('%s: groups of %j among %j', ([expected, identity, ...groups]) => {
    const condition: Condition = { kind: 'groups', ...values(...groups) }
    expect(evaluate(condition, { identity: { ...PERSON, ...identity } })).toBe(expected)
  })

  const { email: _, ...NO_ADDRESS } = PERSON
  test.for<[Truth, 'emails' | 'emailDomains', string, string]>([
    [true, 'emails', 'Ada@Example.com', 'ada@example.com'],
    [false, 'emails', 'bob@example.com', 'ada@example.com'],
    [true, 'emailDomains', 'Ada@Example.com', 'example.com'],
    [false, 'emailDomains', 'ada@sub.example.com', 'example.com'],
    [false, 'emailDomains', 'ada@example.com.evil.test', 'example.com'],
    // The Kelvin sign folds to k, the dotless i to i in some languages.
    ['unknown', 'emailDomains', 'ada@\u212Alm.test', 'klm.test'],
    ['unknown', 'emails', 'ad\u0131@example.com', 'adi@example.com'],
    ['unknown', 'emailDomains', 'ada@evil.test@example.com', 'example.com'],
    ['unknown', 'emailDomains', '"ada@evil.test"@example.com', 'example.com'],
    ['unknown', 'emails', 'ada@example.com\n', 'ada@example.com'],
    ['unknown', 'emailDomains', `${'a'.repeat(100_000)}@example.com`, 'example.com'],
    ['unknown', 'emails', '', ''],
    ['unknown', 'emailDomains', '', ''],
  ])('%s: %s, %j among %j', ([expected, kind, email, value]) => {
    const identity = email === '' ? NO_ADDRESS : { ...PERSON, email }
    expect(evaluate({ kind, ...values(value) }, { identity })).toBe(expected)
  })

  test.for<[Truth, string, ...string[]]>([
    [true, 'u1', 'u1', 'u2'],
    [false, 'u1', 'U1', 'u', ''],
    ['unknown', '', ''],
  ])('%s: the user %j among %j', ([expected, subject, ...users]) => {
    const condition: Condition = { kind: 'users', ...values(...users) }
    expect(evaluate(condition, { identity: { ...PERSON, subject } })).toBe(expected)
  })

  test.for<[Truth, string, ...string[]]>([
    [true, 'role', 'x', 'lead'],
    [false, 'role', 'Lead', 'lead ', ''],
    [true, 'level', '3'],
    [false, 'level', '03', '3.0'],
    [true, 'teams', 'blue'],
    [false, 'teams', 'red,blue', 'green'],
    [false, 'nothing', 'x', ''],
    [true, 'name', 'Ada'],
    ['unknown', 'preferred_username', 'ada', ''],
    ['unknown', 'absent', ''],
    ['unknown', 'odd', 'x'],
    ['unknown', 'missing', '', 'undefined'],
    ['unknown', '__proto__', 'x', '[object Object]'],
    ['unknown', 'constructor', 'Object'],
  ])('%s: the claim %s among %j', ([expected, name, ...texts]) => {
    const condition: Condition = { kind: 'claim', name, ...values(...texts) }
    expect(evaluate(condition, { identity: PERSON })).toBe(expected)
  })

  const networks: Networks = { sources: [], contains: (address) => address === '192.0.2.7' }
  test.for<[Truth, string | undefined]>([
    [true, '192.0.2.7'],
    [false, '192.0.2.8'],
    ['unknown', undefined],
  ])('%s: a network for the address %j', ([expected, address]) =>
    expect(evaluate({ kind: 'networks', networks }, { identity: PERSON, address })).toBe(expected),
  )

  test('composed and decomposed letters differ', () => {
    const composed = { identity: { ...PERSON, groups: ['caf\u00e9'] } }
    expect(evaluate({ kind: 'groups', ...values('cafe\u0301') }, composed)).toBe(false)
  })
})

describe('several conditions', () => {
  const TRUTHS = [false, 'unknown', true] as const
  const LEAVES: Readonly<Record<string, Condition>> = {
    true: { kind: 'claim', name: 'role', ...values('lead') },
    false: { kind: 'claim', name: 'role', ...values('x') },
    unknown: { kind: 'claim', name: 'missing', ...values('x') },
  }
  const rankOf = (truth: Truth) => TRUTHS.indexOf(truth)
  const lowest = (truths: readonly Truth[]) => TRUTHS[Math.min(...truths.map(rankOf))]
  const highest = (truths: readonly Truth[]) => TRUTHS[Math.max(...truths.map(rankOf))]
  const EXPECTED = {
    all: lowest,
    any: highest,
    none: (truths: readonly Truth[]) => TRUTHS[2 - Math.max(...truths.map(rankOf))],
  } as const
  const lists: readonly (readonly Truth[])[] = TRUTHS.flatMap((a) => [
    [a],
    ...TRUTHS.flatMap((b) => [[a, b], ...TRUTHS.map((c) => [a, b, c])]),
  ])

  test.for(lists)('all, any and none of %j, %j, %j', (truths) => {
    const of = truths.map((truth) => LEAVES[String(truth)] as Condition)
    for (const kind of ['all', 'any', 'none'] as const) {
      expect(evaluate({ kind, of }, { identity: PERSON }), kind).toBe(EXPECTED[kind](truths))
    }
  })

  test('doubt stays doubt at any depth', () => {
    let condition = LEAVES['unknown'] as Condition
    for (const kind of ['none', 'all', 'none', 'any', 'none', 'all', 'none'] as const)
      condition = { kind, of: [condition] }
    expect(evaluate(condition, { identity: PERSON })).toBe('unknown')
  })
})
