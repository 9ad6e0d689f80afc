import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Claims, claimValue } from '../../src/core/claims.ts'
import { displayName, type Identity } from '../../src/core/identity.ts'
import {
  claimsNamedBy,
  IDENTITY_HEADERS,
  identityHeaders,
} from '../../src/core/identity-headers.ts'
import {
  type IdentityOptions,
  ignoredClaims,
  lacksClaims,
  renewIdentity,
  toIdentity,
} from '../../src/core/read-identity.ts'
import { holds } from '../support/holds.ts'
import { rows, words } from '../support/words.ts'

const nobody = { iss: 'https://id.example.com', sub: 'u1' }
const EMAIL = 'alice@example.com'
const claims: Claims = {
  ...nobody,
  email: EMAIL,
  email_verified: true,
  preferred_username: 'alice',
  name: 'Alice',
  groups: ['admins', 'ops'],
}
const options = {
  groupsClaim: 'groups',
  emailClaim: 'email',
  trustEmail: false,
  claims: [],
}
const trusting = { ...options, trustEmail: true }
function withHeaders(...headers: readonly (readonly [string, string])[]): IdentityOptions {
  const further = headers.map(([name, claim]) => ({ name, claim }))
  return { ...options, claims: claimsNamedBy(further, []) }
}

describe('a claim by its name', () => {
  const nested: Claims = {
    plain: 1,
    realm_access: { roles: ['a'], deep: { er: 'x' } },
    'https://example.com/groups': ['b'],
    'realm_access.flat': 'literal',
    list: [{ name: 'first' }],
    text: 'abc',
    nothing: null,
  }

  test.for<[string, unknown]>([
    ['plain', 1],
    ['realm_access.roles', ['a']],
    ['realm_access.deep.er', 'x'],
    ['https://example.com/groups', ['b']],
    ['realm_access.flat', 'literal'],
    [String.raw`realm_access\.flat`, 'literal'],
    [String.raw`realm_access\.roles`, undefined],
    ['nothing', null],
    ['list.0.name', 'first'],
    ['', undefined],
    ...rows`
      missing . realm_access.missing.deeper nothing.x text.length plain.x constructor
      constructor.name __proto__ realm_access.__proto__ realm_access.toString
    `(undefined),
  ])('%j', ([name, expected]) => expect(claimValue(nested, name)).toEqual(expected))

  test('no claims and no name make it throw, and only own values are found', () =>
    holds(100, [fc.dictionary(fc.string(), fc.jsonValue()), fc.string()], (any, name) => {
      expect(typeof claimValue(any, name)).not.toBe('function')
      for (const key of Object.keys(any)) expect(claimValue(any, key)).toBe(any[key])
    }))
})

describe('from claims to an identity', () => {
  const unnamed = { issuer: nobody.iss, subject: 'u1', groups: [], claims: {} }
  const named = { email: EMAIL, preferredUsername: 'alice', name: 'Alice' }
  const wrong = { ...nobody, name: 7, preferred_username: ['x'], email: {}, email_verified: true }

  test.for<[string, Claims, Identity]>([
    ['everything that is known', claims, { ...unnamed, ...named, groups: ['admins', 'ops'] }],
    ['nothing but the subject', nobody, unnamed],
    ['nothing but the subject beside claims of the wrong kind', wrong, unnamed],
  ])('%s', ([, given, expected]) => expect(toIdentity(given, options)).toEqual(expected))

  const deep = { realm_access: { roles: ['r1'] }, 'https://x.test/roles': ['r2'] }
  test.for<[string, string]>([
    ['realm_access.roles', 'r1'],
    ['https://x.test/roles', 'r2'],
    [String.raw`https://x\.test/roles`, 'r2'],
  ])('groups may lie deeper and below a name with dots: %s', ([groupsClaim, expected]) => {
    const { groups } = toIdentity({ ...claims, ...deep }, { ...options, groupsClaim })
    expect(groups).toEqual([expected])
  })

  test('further claims are kept where a header asks for them, and no others', () => {
    const object = { roles: ['a', 7, 'b'], level: 3, staff: false, object: {} }
    const extra = { ...claims, dept: 'R&D', ...object, secret: 'not asked for' }
    const headers = ['dept', 'roles', 'level', 'staff', 'object', 'missing', 'sub', '__proto__']
    const identity = toIdentity(extra, withHeaders(...headers.map((c) => [`X-${c}`, c] as const)))
    expect(Object.entries(identity.claims)).toEqual([
      ['dept', 'R&D'],
      ['roles', ['a', '7', 'b']],
      ['level', '3'],
      ['staff', 'false'],
      ...rows`object missing __proto__`(''),
    ])
  })

  test('no claims make it throw, and an identity survives being stored', () => {
    const names = ['iss', 'sub', 'email', 'email_verified', 'name', 'groups', 'x', 'a', '__proto__']
    const any = fc.dictionary(fc.constantFrom(...names), fc.jsonValue())
    holds(100, [any, fc.boolean()], (received, trustEmail) => {
      const asked = withHeaders(['X-A', 'x'], ['X-B', 'x.a'], ['X-C', '__proto__'])
      const all = { ...asked, trustEmail }
      const identity = toIdentity(received, all)
      const stored = JSON.parse(JSON.stringify(identity)) as Identity
      expect(stored).toEqual(identity)
      const sent = [
        ...IDENTITY_HEADERS,
        ...all.claims.map((claim) => ({ name: `X-${claim}`, claim })),
      ]
      const headers = identityHeaders(stored, sent, 1e9)
      expect(Object.keys(headers)).toEqual(sent.map(({ name }) => name))
      expect(Object.values(headers).every((value) => typeof value === 'string')).toBe(true)
    })
  })
})

describe('what was ignored', () => {
  const headers = withHeaders(['X-Dept', 'dept'], ['X-Level', 'level'])
  const byUpn = { ...options, emailClaim: 'upn' }
  const all = { ...claims, dept: 'R&D', level: 3 }
  const overage = { _claim_names: { groups: 'src1', dept: 'src1' } }

  test.for<[Claims, IdentityOptions, readonly string[]]>([
    [all, headers, []],
    [{ ...all, name: undefined, preferred_username: '' }, headers, []],
    [{ ...all, email_verified: false }, headers, ['email: not verified']],
    [{ ...all, email_verified: 'True' }, options, ['email: not verified']],
    [
      { ...all, email_verified: 1, groups: null },
      options,
      ['email: not verified', 'groups: no such claim'],
    ],
    [{ ...all, email: [EMAIL] }, options, ['email: not text']],
    [{ ...all, email: undefined }, options, ['email: no such claim']],
    [{ ...all, upn: 'x@example.com' }, byUpn, ['email: not verified']],
    [{ ...all, upn: EMAIL }, byUpn, []],
    [{ ...all, email: '', upn: EMAIL }, byUpn, ['email: not verified']],
    [{ ...all, email: '', upn: EMAIL }, { ...byUpn, trustEmail: true }, []],
    [
      { ...all, name: 7, preferred_username: {} },
      options,
      ['preferred_username: not text', 'name: not text'],
    ],
    [{ ...all, dept: {} }, headers, ['dept: neither text, a number, true or false, nor a list']],
    [{ ...all, dept: null }, headers, ['dept: no such claim']],
    [
      { ...all, dept: '', ...overage },
      headers,
      ['dept: distributed, which is not fetched (_claim_names)'],
    ],
  ])('%j', ([given, asked, expected]) => expect(ignoredClaims(given, asked)).toEqual(expected))

  test.for<Claims>([overage, { hasgroups: true }])('overage is named (C33): %j', (said) =>
    expect(ignoredClaims({ ...all, groups: undefined, ...said }, options)).toEqual([
      expect.stringMatching(/^groups: overage.*_claim_names.*provider\.md$/),
    ]),
  )
})

describe('after a refresh without UserInfo', () => {
  const before = toIdentity({ ...claims, dept: 'R&D' }, withHeaders(['X-Dept', 'dept']))

  test.for<[string, Claims, Claims]>([
    ['what nobody says stays', nobody, {}],
    ['a group that was taken away is gone', { ...nobody, groups: ['ops'] }, { groups: ['ops'] }],
    [
      'all groups that were taken away are gone',
      { ...nobody, groups: [] },
      { groups: [], areGroupsKnown: true },
    ],
    ['the address stays where it is the same', { ...nobody, email: EMAIL }, {}],
    ['another address is not verified', { ...nobody, email: 'x@y.test' }, { email: undefined }],
    ['a denied address is gone', { ...nobody, email_verified: false }, { email: undefined }],
    ['a further claim is new', { ...nobody, dept: 'HR' }, { claims: { dept: 'HR' } }],
  ])('%s', ([, said, changed]) => {
    const renewed = renewIdentity(before, said, withHeaders(['X-Dept', 'dept']))
    const { email, ...others } = { ...before, ...changed }
    expect(renewed).toEqual({ ...others, ...(email && { email }) })
  })
})

describe('asking UserInfo', () => {
  const { email_verified: _, ...unverified } = claims
  const { groups: __, ...groupless } = claims

  const byRoles = { ...options, groupsClaim: 'roles' }
  const byDept = withHeaders(['X-Dept', 'dept'])

  test.for<[string, Claims, IdentityOptions, boolean]>([
    ['all are there', claims, options, false],
    ['the verification lacks', unverified, options, true],
    ['the verification lacks and is not needed', unverified, trusting, false],
    ['the groups lack', groupless, options, true],
    ['the groups are elsewhere', { ...groupless, roles: [] }, byRoles, false],
    ['a further claim lacks', claims, byDept, true],
    ['a further claim is there', { ...claims, dept: 'R&D' }, byDept, false],
    ['a further claim is empty', { ...claims, dept: '' }, byDept, true],
    ['the address is null', { ...claims, email: null }, options, true],
    ['the address is elsewhere', claims, { ...options, emailClaim: 'upn' }, true],
    ['it is there and trusted', { ...claims, upn: 'x' }, { ...trusting, emailClaim: 'upn' }, false],
  ])('%s', ([, given, asked, expected]) => expect(lacksClaims(given, asked)).toBe(expected))
})

describe('identity headers', () => {
  const identity = toIdentity(claims, options)

  const headersOf = (known: Identity | undefined, headers = IDENTITY_HEADERS, maxBytes = 8192) =>
    identityHeaders(known, headers, maxBytes)
  const empty = {
    'X-Auth-Request-User': '',
    'X-Auth-Request-Email': '',
    'X-Auth-Request-Preferred-Username': '',
    'X-Auth-Request-Name': '',
    'X-Auth-Request-Groups': '',
  }

  test('nobody: each header is there and empty', () => {
    expect(headersOf(undefined)).toEqual(empty)
    expect(Object.keys(headersOf(undefined))).toEqual(IDENTITY_HEADERS.map(({ name }) => name))
  })

  test('somebody of whom only the subject is known has the same headers', () => {
    const known = toIdentity(nobody, options)
    expect(headersOf(known)).toEqual({ ...empty, 'X-Auth-Request-User': 'u1' })
  })

  test('a header whose claim an older session does not have is empty', () => {
    const later = words`dept constructor toString __proto__`.map((claim) => ({
      name: `X-${claim}`,
      claim,
    }))
    expect(new Set(Object.values(headersOf(identity, later)))).toEqual(new Set(['']))
  })

  test('the limit counts the bytes of names and values on the wire', () => {
    const headers = [{ name: 'X-N', claim: 'name' }]
    const named = { ...identity, name: 'é' }
    expect(headersOf(named, headers, 5)['X-N']).toBe('\u00c3\u00a9')
    expect(() => headersOf(named, headers, 4)).toThrow('take 5 bytes')
  })
})

test.for([
  [{ email: 'a@example.com', preferredUsername: 'al', name: 'Al' }, 'a@example.com'],
  [{ preferredUsername: 'al', name: 'Al' }, 'al'],
  [{ name: 'Al' }, 'Al'],
  [{}, 's'],
  [{ name: 'x'.repeat(300) }, 'x'.repeat(200)],
] as const)('a page addresses its user by the best name, bounded: %j', ([known, shown]) =>
  expect(displayName({ issuer: 'i', subject: 's', groups: [], claims: {}, ...known })).toBe(shown),
)
