import fc from 'fast-check'
import type { WrittenCondition } from './written.ts'

export const GROUPS = ['admins', 'staff', 'a', '1', '__proto__']
export const USERS = ['ann', 'Ann', '1', 'zoë']
export const EMAILS = [
  'ann@example.com',
  'Bob@Example.COM',
  'ann@corp.example',
  'x@sub.example.com',
]
const DOMAINS = ['example.com', 'Corp.Example', 'sub.example.com']
const NETWORKS = [
  '203.0.113.0/24',
  '203.0.113.7',
  '198.51.100.128/25',
  '0.0.0.0/0',
  '2001:db8::/32',
  '2001:db8::7',
  '::/0',
  '::ffff:203.0.113.0/120',
  '10.0.0.0/8',
]
/** Names of claims as conditions write them: literal ones, paths, with dots in names, and names of prototypes. */
export const CLAIMS = [
  'dept',
  'level',
  'realm_access.roles',
  String.raw`https://x\.test/role`,
  'https://x.test/role',
  'org.unit.0',
  'org.unit',
  'sub',
  'groups',
  'name',
  'preferred_username',
  'email_verified',
  'constructor',
  'toString',
  'dept.constructor',
]
/** Texts that claims have and conditions ask for, some of them those of numbers and booleans. */
export const TEXTS = ['a', 'A', '1', '1.5', 'true', 'null', '9007199254740992']

const values = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<Value>(...TEXTS, ...GROUPS) },
  { weight: 2, arbitrary: fc.constantFrom<Value>(1, 0, 1.5, -7, true, false) },
)
type Value = string | number | boolean

/** Returns some members of a list, at least one, none of them twice. */
export function some<Value>(from: readonly Value[]): fc.Arbitrary<Value[]> {
  return fc.uniqueArray(fc.constantFrom(...from), { minLength: 1, maxLength: 3 })
}

const leaf: fc.Arbitrary<WrittenCondition> = fc.oneof(
  fc.record({ groups: some(GROUPS) }),
  fc.record({ emails: some(EMAILS) }),
  fc.record({ emailDomains: some(DOMAINS) }),
  fc.record({ users: some(USERS) }),
  { weight: 2, arbitrary: fc.record({ networks: some(NETWORKS) }) },
  fc.record({ claims: fc.record({ email: some(EMAILS) }) }),
  {
    weight: 3,
    arbitrary: fc.record({
      claims: fc.dictionary(
        fc.constantFrom(...CLAIMS),
        fc.uniqueArray(values, { minLength: 1, maxLength: 3 }),
        { minKeys: 1, maxKeys: 2 },
      ),
    }),
  },
)

/** Conditions, the deeper the rarer, now and then with several keys. */
export const conditions: fc.Arbitrary<WrittenCondition> = conditionsOf(4)

function conditionsOf(depth: number): fc.Arbitrary<WrittenCondition> {
  if (depth === 1) return leaf
  const inner = fc.array(conditionsOf(depth - 1), { minLength: 1, maxLength: 3 })
  const combined = fc
    .tuple(fc.constantFrom('all', 'any', 'any', 'none'), inner)
    .map(([key, members]): WrittenCondition => ({ [key]: members }))
  const several = fc
    .tuple(leaf, leaf, fc.option(combined))
    .map(([first, second, third]): WrittenCondition => ({ ...first, ...second, ...third }))
  return fc.oneof(
    { weight: 5, arbitrary: leaf },
    { weight: 3, arbitrary: combined },
    { weight: 1, arbitrary: several },
  )
}

/** Conditions in which `all`, `any` and `none` nest exactly as deep as this. */
export function deepConditions(levels: number): fc.Arbitrary<WrittenCondition> {
  if (levels === 0) return leaf
  return fc
    .tuple(fc.constantFrom('all', 'any', 'none'), deepConditions(levels - 1), fc.option(leaf))
    .map(([key, inner, beside]) => ({ [key]: beside ? [beside, inner] : [inner] }))
}
