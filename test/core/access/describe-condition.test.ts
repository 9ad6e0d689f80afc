import { expect, test } from 'vitest'
import type { Condition } from '../../../src/core/access/condition.ts'
import { describeCondition } from '../../../src/core/access/describe-condition.ts'
import { claim, office, only, ops } from '../../support/sample-conditions.ts'

test.for<[string, Condition]>([
  ['groups: ops, "CN=a,OU=b"', only('groups', 'ops', 'CN=a,OU=b')],
  ['claim department: sales', claim('department', 'sales')],
  ['claim "a\ufffdb: c": x', claim('a\nb: c', 'x')],
  ['networks: 192.0.2.0/24', office],
  [`users: ${'x'.repeat(79)}\ufffd…`, only('users', `${'x'.repeat(79)}\u{1f600}`)],
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
