import fc from 'fast-check'
import type { SentClaims } from './written.ts'
import { EMAILS, GROUPS, TEXTS, USERS } from './written-conditions.ts'

const scalars = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<unknown>(...TEXTS, ...GROUPS) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<unknown>(
      1,
      0,
      -0,
      1.5,
      -7,
      1e21,
      2 ** 53,
      2 ** 53 - 1,
      -(2 ** 53),
      true,
      false,
    ),
  },
  { weight: 2, arbitrary: fc.constantFrom<unknown>(null, '') },
)

/** A claim of any JSON type, often near to what conditions ask for. */
const anyClaim: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 5, arbitrary: scalars },
  { weight: 4, arbitrary: fc.array(scalars, { maxLength: 3 }) },
  {
    weight: 1,
    arbitrary: fc.array(fc.oneof(scalars, fc.constantFrom<unknown>({}, [], ['a'], { name: 'a' })), {
      maxLength: 3,
    }),
  },
  { weight: 1, arbitrary: fc.jsonValue() },
)

/** Members of a list of groups; the last ones are no names. */
const groupMember = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<unknown>(...GROUPS) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      1,
      2.5,
      { name: 'admins' },
      { name: 'staff', id: 7 },
      { admins: { 7: 'acme.test' } },
      null,
      '',
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(true, 2 ** 53, ['a'], { name: 7 }, { a: true, admins: {} }),
  },
)

const groupClaim: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 8, arbitrary: fc.array(groupMember, { maxLength: 4 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<unknown>(...GROUPS, 'a,staff', 'admins  a', ' a , 1', ''),
  },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(1, 2 ** 53, true, false, null, 0) },
  {
    weight: 2,
    arbitrary: fc.dictionary(
      fc.constantFrom(...GROUPS, ''),
      fc.constantFrom<unknown>({ 7: 'acme.test' }, true, false, null, '', 0, 'x'),
      { maxKeys: 3 },
    ),
  },
)

const ODD_ADDRESSES = [
  '',
  'ann',
  'a@b@example.com',
  'zoë@example.com',
  'ann@exämple.com',
  'ann@\u212a.example',
  '@example.com',
  'ann@',
]
const addresses = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<unknown>(...EMAILS, 'ANN@EXAMPLE.COM') },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(...ODD_ADDRESSES, null, 7, [EMAILS[0]], {}) },
)

/** Claims of a person as JSON: any of them may be absent or of any type, but the subject. */
export const sentPeople: fc.Arbitrary<SentClaims> = fc
  .tuple(
    fc.record({
      iss: fc.constant('https://id.example.com'),
      sub: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...USERS) },
        fc.string({ minLength: 1 }),
      ),
    }),
    fc.record(
      {
        groups: groupClaim,
        roles: groupClaim,
        realm_access: fc.oneof(fc.record({ roles: groupClaim }), anyClaim),
        'realm_access.roles': anyClaim,
        'https://x.test/role': anyClaim,
        email: addresses,
        upn: addresses,
        email_verified: fc.oneof(
          { weight: 4, arbitrary: fc.constantFrom<unknown>(true, 'true') },
          { weight: 1, arbitrary: fc.constantFrom<unknown>(false, 'false', 1, null, 'TRUE') },
        ),
        name: anyClaim,
        preferred_username: anyClaim,
        dept: anyClaim,
        level: anyClaim,
        org: fc.oneof(fc.record({ unit: anyClaim }), anyClaim),
        constructor: anyClaim,
        toString: anyClaim,
      },
      { requiredKeys: [] },
    ),
  )
  .map(([needed, others]) => JSON.parse(JSON.stringify({ ...others, ...needed })) as SentClaims)
