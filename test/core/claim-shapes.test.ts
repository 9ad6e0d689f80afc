import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readGroups } from '../../src/core/claim-shapes.ts'
import { withoutEmptyMembers } from '../../src/core/claims.ts'
import { holds } from '../support/holds.ts'

const MEMBERS = 'members, neither text, a number nor an object with a name'

test.for<readonly [unknown, string, string?]>([
  [['a', 'b', 'a'], 'a|b'],
  ['a', 'a'],
  ['a,b', 'a,b'],
  [['a,b'], 'a,b'],
  [7, '7'],
  [[1, 2.5, 'a', 1], '1|2.5|a'],
  [[{ name: 'a', id: 1 }, { name: 'b' }, 'c', 3], 'a|b|c|3'],
  [{ admin: { 7: 'acme.test' }, user: true, none: false, nil: null, '': true }, 'admin|user'],
  [
    [
      { user: { 7: 'acme.test' }, admin: {} },
      { c: true, d: {} },
    ],
    'user|admin',
    `1 of 2 ${MEMBERS}`,
  ],
  [
    [{ name: ['admin'] }, { roles: [{ a: 'b' }] }, { detail: { id: 7 } }, 'c'],
    'c',
    `3 of 4 ${MEMBERS}`,
  ],
  [{ name: 'a' }, 'name'],
  [[null, '', 'a'], 'a'],
  [[['b'], { c: 1 }, { name: 7 }, { name: '' }, true, 'a'], 'a', `5 of 6 ${MEMBERS}`],
  [[2 ** 53], '', `1 of 1 ${MEMBERS}`],
  [true, '', 'neither a list, text, a number nor a map'],
  ...['', [], {}, null, undefined].map((none) => [none, ''] as const),
  [JSON.parse('{"__proto__":{"7":"x"},"constructor":{}}'), '__proto__|constructor'],
])('C24: groups of %j', ([claim, expected, ignored]) => {
  const read = readGroups(claim)
  expect([read.value, read.ignored]).toEqual([expected.split('|').filter(Boolean), ignored])
})

test.for<readonly [string, string, string]>([
  ['a,b', ',', 'a|b'],
  [' a , b,,a ', ',', 'a|b'],
  ['a  b\tc', 'space', 'a|b|c'],
  ['a;b c', ';', 'a|b c'],
  ['a::b', '::', 'a|b'],
  ['a', ',', 'a'],
  [',', ',', ''],
])('C24: %j split at %j', ([text, separator, expected]) => {
  expect(readGroups(text, separator).value).toEqual(expected.split('|').filter(Boolean))
  expect(readGroups([text], separator).value, 'a member of a list is never split').toEqual([text])
})

test('C24: a list of 100,000 groups is read whole', () => {
  const many = Array.from({ length: 100_000 }, (_, at) => `g${at}`)
  expect(readGroups([...many, ...many]).value).toEqual(many)
})

test('C24: no claim makes a group that it does not name', () =>
  holds(200, [fc.jsonValue()], (claim) => {
    const named = JSON.stringify(claim)
    const { value } = readGroups(claim)
    for (const group of value) expect(named).toContain(JSON.stringify(group).slice(1, -1))
  }))

test.for<[unknown, unknown]>([
  [
    { a: null, b: '', c: 0, d: false, e: [], f: {} },
    { c: 0, d: false, e: [], f: {} },
  ],
  [{ keys: [{ kid: null, kty: 'RSA' }, null, ''] }, { keys: [{ kty: 'RSA' }, null, ''] }],
  [{ address: { street: null, town: 'x' } }, { address: { town: 'x' } }],
  [JSON.parse('{"__proto__":"","constructor":"c"}'), { constructor: 'c' }],
  ...[null, '', 'x', 1].map((plain): [unknown, unknown] => [plain, plain]),
])('C21: empty members of %j are left out', ([json, expected]) => {
  expect(withoutEmptyMembers(json)).toEqual(expected)
  // The same object says that nothing was left out, so that nothing is written again.
  expect(withoutEmptyMembers(expected)).toBe(expected)
})
