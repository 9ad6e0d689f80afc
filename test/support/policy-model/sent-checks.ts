import fc from 'fast-check'
import { askedPaths } from '../check-model/asked-paths.ts'
import type { SentCheck } from './written.ts'
import { GROUPS, some } from './written-conditions.ts'
import { POLICIES } from './written-files.ts'

const names = fc.constantFrom(...POLICIES, 'unknown', 'toString', '')
const policies = names.map((name) => `policy=${encodeURIComponent(name)}`)
const groups = fc
  .tuple(some(GROUPS), fc.constantFrom(',', ' , ', '%2C', '+,'))
  .map(([each, separator]) => `groups=${each.map(encodeURIComponent).join(separator)}`)
const ODD =
  'x=1 Policy=p policy & groups groups= groups=, groups=a,,b policy=unknown&groups=a,,b groups=a&groups=a policy=p&policy=p %70olicy=p policy=%00 policy=+p groups=%20a%20 groups=a&x if=1&policy=p'.split(
    ' ',
  )

const queries: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: fc.constant('') },
  { weight: 3, arbitrary: policies },
  { weight: 3, arbitrary: groups },
  { weight: 1, arbitrary: fc.tuple(policies, groups).map((both) => both.join('&')) },
  { weight: 1, arbitrary: fc.constantFrom(...ODD) },
)

const kinds = fc.constantFrom(
  { kind: 'page', method: 'GET' } as const,
  { kind: 'page', method: 'GET' } as const,
  { kind: 'page', method: 'HEAD' } as const,
  { kind: 'form', method: 'POST' } as const,
  { kind: 'script', method: 'GET' } as const,
  { kind: 'script', method: 'POST' } as const,
  { kind: 'script', method: 'LIST' } as const,
  { kind: 'preflight', method: 'OPTIONS' } as const,
)

const hosts = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom('app.example.com', 'other.example.com', 'b.wild.example.com'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('evil.example', 'wild.example.com', 'a.b.wild.example.com'),
  },
)

const addresses = fc.constantFrom(
  '203.0.113.7',
  '203.0.113.70',
  '198.51.100.129',
  '198.51.100.5',
  '2001:db8::7',
  '2001:DB8:0:0::7',
  '::ffff:203.0.113.7',
  '::ffff:cb00:7107',
  '10.0.0.1',
  '192.0.2.9',
  '2001:db8:f::1',
  '203.0.113.7:4711',
  '[2001:db8::7]:4711',
  '"[2001:db8::7]"',
  'unknown',
  '',
)
const forwardedFor = fc.option(
  fc.array(addresses, { minLength: 1, maxLength: 3 }).map((entries) => entries.join(', ')),
  { nil: undefined, freq: 8 },
)

/** Requests to the check of every kind, with paths in odd spellings. */
export const sentChecks: fc.Arbitrary<SentCheck> = fc
  .record({ query: queries, kind: kinds, host: hosts, path: askedPaths, forwardedFor })
  .map(({ kind, path, forwardedFor: told, ...request }) => ({
    ...request,
    ...kind,
    ...path,
    ...(told !== undefined && { forwardedFor: told }),
  }))
