import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Condition, evaluate, type Truth } from '../../src/core/access/condition.ts'
import { type Claims, isAbsent } from '../../src/core/claims.ts'
import { areGroupsKnown, comparedClaim, type Identity, isKept } from '../../src/core/identity.ts'
import { renewIdentity, toIdentity } from '../../src/core/read-identity.ts'
import { holds } from '../support/holds.ts'

const NOBODY = { iss: 'https://id.example.com', sub: 'u1' }
const OPTIONS = { groupsClaim: 'groups', emailClaim: 'email', trustEmail: false, claims: ['role'] }
const read = (claims: Claims) => toIdentity({ ...NOBODY, ...claims }, OPTIONS)

describe('a claim for comparisons', () => {
  const UNKNOWN = undefined
  test.for<[unknown, string | readonly string[] | undefined]>([
    ['lead', 'lead'],
    [' ', ' '],
    [3, '3'],
    [0, '0'],
    [-0, '0'],
    [0.5, '0.5'],
    [1e-7, '1e-7'],
    [2 ** 53 - 1, '9007199254740991'],
    [true, 'true'],
    [false, 'false'],
    [
      ['a', 3, true, 'a', null, ''],
      ['a', '3', 'true'],
    ],
    [[], []],
    [[null, ''], []],
    [['a,b'], ['a,b']],
    ...[undefined, null, '', {}, { name: 'a' }, { a: true }].map((each): [unknown, undefined] => [
      each,
      UNKNOWN,
    ]),
    ...[2 ** 53, 1e300, [2 ** 53], [{ name: 'a' }], ['a', {}], ['a', ['b']], [[]]].map(
      (each): [unknown, undefined] => [each, UNKNOWN],
    ),
  ])('%j is %j', ([role, expected]) =>
    expect(comparedClaim(read({ role }), 'role')).toEqual(expected),
  )

  test('that is no scalar is still sent, and marked', () =>
    expect(read({ role: [{ name: 'a' }, 'b'] })).toMatchObject({
      claims: { role: ['a', 'b'] },
      incomparable: ['role'],
    }))

  test('an identity without such claims says nothing about it', () => {
    const ordinary = JSON.stringify(read({ role: 'lead', groups: ['a'] }))
    expect(ordinary).not.toMatch(/incomparable|areGroupsKnown/)
    expect(JSON.stringify(read({}))).not.toMatch(/incomparable|areGroupsKnown/)
  })

  test('of any JSON type is unknown, or exactly its texts, also after it was stored', () =>
    holds(1000, [fc.jsonValue()], (role) => {
      const stored = JSON.parse(JSON.stringify(read({ role }))) as Identity
      const compared = comparedClaim(stored, 'role')
      const members = [role].flat().filter((each) => !isAbsent(each))
      const isExact = (each: unknown) =>
        typeof each === 'number'
          ? Math.abs(each) <= Number.MAX_SAFE_INTEGER
          : typeof each !== 'object'
      const isKnown = !isAbsent(role) && members.every(isExact)
      expect(compared === undefined).toBe(!isKnown)
      if (isKnown) expect([compared ?? []].flat()).toEqual([...new Set(members.map(String))])
    }))
})

describe('groups', () => {
  test.for<[boolean, unknown]>([
    [true, ['a']],
    [true, []],
    [true, [null]],
    [true, 'a'],
    [true, 7],
    [true, {}],
    [true, { admin: false }],
    [true, [{ name: 'a' }]],
    [false, undefined],
    [false, null],
    [false, ''],
    [false, true],
    [false, 2 ** 53],
    [false, ['a', {}]],
    [false, ['a', 2 ** 53]],
    [false, [[]]],
  ])('are known %s: %j', ([expected, groups]) => {
    const stored = JSON.parse(JSON.stringify(read({ groups }))) as Identity
    expect(areGroupsKnown(stored)).toBe(expected)
  })

  test('Entra leaves out are unknown', () =>
    expect(areGroupsKnown(read({ _claim_names: { groups: 'src1' } }))).toBe(false))

  test.for<[boolean, readonly string[]]>([
    [true, ['a']],
    [false, []],
  ])('are known %s in a record of an older version with %j', ([expected, groups]) =>
    expect(areGroupsKnown({ groups })).toBe(expected),
  )
})

describe('after a refresh without UserInfo', () => {
  const inGroup: Condition = { kind: 'groups', values: new Set(['a']) }
  const hasRole: Condition = { kind: 'claim', name: 'role', values: new Set(['lead']) }

  test.for<[string, Condition, Claims, Claims, Truth]>([
    ['groups that are not said stay known', inGroup, { groups: [] }, {}, false],
    ['groups that are not said stay unknown', inGroup, {}, {}, 'unknown'],
    ['groups that are not said stay partly known', inGroup, { groups: ['b', {}] }, {}, 'unknown'],
    ['groups that are said are known', inGroup, { groups: ['b', {}] }, { groups: ['b'] }, false],
    [
      'groups that are said may be unknown',
      inGroup,
      { groups: ['b'] },
      { groups: true },
      'unknown',
    ],
    ['groups that are said may be none', inGroup, { groups: ['a'] }, { groups: [] }, false],
    ['a claim that is not said stays', hasRole, { role: 'lead' }, {}, true],
    ['a claim that is not said stays unknown', hasRole, { role: { a: 1 } }, {}, 'unknown'],
    ['a list that is not said stays unknown', hasRole, { role: ['lead', {}] }, {}, 'unknown'],
    ['a claim that is said is known', hasRole, { role: {} }, { role: 'lead' }, true],
    ['a claim that is said may be unknown', hasRole, { role: 'lead' }, { role: [{}] }, 'unknown'],
  ])('%s', ([, condition, before, now, expected]) => {
    const renewed = renewIdentity(read(before), { ...NOBODY, ...now }, OPTIONS)
    expect(evaluate(condition, { identity: renewed })).toBe(expected)
  })

  test('a claim that the session does not have yet is unknown until the ID token says it', () => {
    const before = toIdentity({ ...NOBODY, role: 'lead' }, { ...OPTIONS, claims: [] })
    const after = (claims: Claims) => {
      const identity = renewIdentity(before, { ...NOBODY, ...claims }, OPTIONS)
      return [evaluate(hasRole, { identity }), isKept(identity, 'role')]
    }
    expect(evaluate(hasRole, { identity: before })).toBe('unknown')
    // It may be in UserInfo, so that its absence is not the provider's yet.
    expect(after({})).toEqual(['unknown', false])
    expect(after({ role: 'lead' })).toEqual([true, true])
  })
})
