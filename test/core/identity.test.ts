import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Claims,
  claimValue,
  IDENTITY_HEADERS,
  type Identity,
  type IdentityHeader,
  type IdentityOptions,
  identityHeaders,
  lacksClaims,
  toIdentity,
} from '../../src/core/identity.ts'
import { rows } from '../support/words.ts'

const ISSUER = 'https://id.example.com'
const claims: Claims = {
  iss: ISSUER,
  sub: 'u1',
  email: 'alice@example.com',
  email_verified: true,
  preferred_username: 'alice',
  name: 'Alice',
  groups: ['admins', 'ops'],
}
const options: IdentityOptions = {
  groupsClaim: 'groups',
  trustEmail: false,
  headers: IDENTITY_HEADERS,
}
function withHeaders(...headers: readonly (readonly [string, string])[]): IdentityOptions {
  return {
    ...options,
    headers: [...IDENTITY_HEADERS, ...headers.map(([name, claim]) => ({ name, claim }))],
  }
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
    ['nothing', null],
    ['list.0.name', 'first'],
    ['missing', undefined],
    ['', undefined],
    ...rows`
      . realm_access.missing.deeper nothing.x text.length plain.x constructor constructor.name
      __proto__ realm_access.__proto__ realm_access.toString
    `(undefined),
  ])('%j', ([name, expected], { expect }) => {
    expect(claimValue(nested, name)).toEqual(expected)
  })

  test('no claims and no name make it throw, and only own values are found', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), (any, name) => {
        const value = claimValue(any, name)
        expect(typeof value).not.toBe('function')
        for (const key of Object.keys(any)) expect(claimValue(any, key)).toBe(any[key])
      }),
    )
  })
})

describe('from claims to an identity', () => {
  test('everything that is known', () => {
    expect(toIdentity(claims, options)).toEqual({
      issuer: ISSUER,
      subject: 'u1',
      email: 'alice@example.com',
      preferredUsername: 'alice',
      name: 'Alice',
      groups: ['admins', 'ops'],
      claims: {},
    })
  })

  test('nothing but the subject', () => {
    expect(toIdentity({ iss: ISSUER, sub: 'u1' }, options)).toEqual({
      issuer: ISSUER,
      subject: 'u1',
      groups: [],
      claims: {},
    })
  })

  test.for<[unknown, boolean, string | undefined]>([
    [true, false, 'alice@example.com'],
    [false, false, undefined],
    [undefined, false, undefined],
    ['true', false, 'alice@example.com'],
    ['TRUE', false, undefined],
    ['false', false, undefined],
    [1, false, undefined],
    [false, true, 'alice@example.com'],
    [undefined, true, 'alice@example.com'],
  ])(
    'an address with email_verified %j and trust %j counts as %j',
    ([verified, trustEmail, email], { expect }) => {
      const identity = toIdentity(
        { ...claims, email_verified: verified },
        { ...options, trustEmail },
      )
      expect(identity.email).toBe(email)
    },
  )

  test.for<[unknown, readonly string[]]>([
    [
      ['a', 'b'],
      ['a', 'b'],
    ],
    ['a', ['a']],
    ['a,b', ['a,b']],
    ['', []],
    [[], []],
    [[1, null, 'a', '', ['b'], { c: 1 }, true], ['a']],
    [{ a: 1 }, []],
    [7, []],
    [null, []],
    [undefined, []],
  ])('the groups claim %j gives %j', ([groups, expected], { expect }) => {
    expect(toIdentity({ ...claims, groups }, options).groups).toEqual(expected)
  })

  test('groups may lie deeper', () => {
    const deep = { ...claims, realm_access: { roles: ['r1'] } }
    const identity = toIdentity(deep, { ...options, groupsClaim: 'realm_access.roles' })
    expect(identity.groups).toEqual(['r1'])
  })

  test('claims of the wrong kind are as good as none', () => {
    const wrong = { iss: ISSUER, sub: 'u1', name: 7, preferred_username: ['x'], email: {} }
    expect(toIdentity({ ...wrong, email_verified: true }, options)).toEqual({
      issuer: ISSUER,
      subject: 'u1',
      groups: [],
      claims: {},
    })
  })

  test('further claims are kept where a header asks for them, and no others', () => {
    const extra = {
      ...claims,
      dept: 'R&D',
      roles: ['a', 7, 'b'],
      level: 3,
      staff: false,
      object: {},
      secret: 'not asked for',
    }
    const headers = ['dept', 'roles', 'level', 'staff', 'object', 'missing', 'sub', '__proto__']
    const identity = toIdentity(extra, withHeaders(...headers.map((c) => [`X-${c}`, c] as const)))
    expect(Object.entries(identity.claims)).toEqual([
      ['dept', 'R&D'],
      ['roles', ['a', 'b']],
      ['level', '3'],
      ['staff', 'false'],
      ['object', ''],
      ['missing', ''],
      ['__proto__', ''],
    ])
  })

  test('no claims make it throw, and an identity survives being stored', () => {
    const names = ['iss', 'sub', 'email', 'email_verified', 'name', 'groups', 'x', 'a', '__proto__']
    const any = fc.dictionary(fc.constantFrom(...names), fc.jsonValue())
    fc.assert(
      fc.property(any, fc.boolean(), (received, trustEmail) => {
        const all = {
          ...withHeaders(['X-A', 'x'], ['X-B', 'x.a'], ['X-C', '__proto__']),
          trustEmail,
        }
        const identity = toIdentity(received, all)
        const stored = JSON.parse(JSON.stringify(identity)) as Identity
        expect(stored).toEqual(identity)
        const headers = identityHeaders(stored, all.headers, 1e9)
        expect(Object.keys(headers)).toEqual(all.headers.map(({ name }) => name))
        expect(Object.values(headers).every((value) => typeof value === 'string')).toBe(true)
      }),
    )
  })
})

describe('asking UserInfo', () => {
  const { email_verified: _, ...unverified } = claims
  const { groups: __, ...groupless } = claims

  test.for<[string, Claims, IdentityOptions, boolean]>([
    ['all are there', claims, options, false],
    ['the verification lacks', unverified, options, true],
    [
      'the verification lacks and is not needed',
      unverified,
      { ...options, trustEmail: true },
      false,
    ],
    ['the groups lack', groupless, options, true],
    [
      'the groups are elsewhere',
      { ...groupless, roles: [] },
      { ...options, groupsClaim: 'roles' },
      false,
    ],
    ['a further claim lacks', claims, withHeaders(['X-Dept', 'dept']), true],
    [
      'a further claim is there',
      { ...claims, dept: 'R&D' },
      withHeaders(['X-Dept', 'dept']),
      false,
    ],
    ['a further claim is empty', { ...claims, dept: '' }, withHeaders(['X-Dept', 'dept']), true],
    ['the address is null', { ...claims, email: null }, options, true],
  ])('%s', ([, given, asked, expected], { expect }) => {
    expect(lacksClaims(given, asked)).toBe(expected)
  })
})

describe('identity headers', () => {
  const identity = toIdentity(claims, options)

  test('somebody', () => {
    expect(identityHeaders(identity, IDENTITY_HEADERS, 8192)).toEqual({
      'X-Auth-Request-User': 'u1',
      'X-Auth-Request-Email': 'alice@example.com',
      'X-Auth-Request-Preferred-Username': 'alice',
      'X-Auth-Request-Name': 'Alice',
      'X-Auth-Request-Groups': 'admins,ops',
    })
  })

  test('nobody: each header is there and empty', () => {
    const headers = identityHeaders(undefined, IDENTITY_HEADERS, 8192)
    expect(Object.keys(headers)).toEqual(IDENTITY_HEADERS.map(({ name }) => name))
    expect(new Set(Object.values(headers))).toEqual(new Set(['']))
  })

  test('somebody of whom only the subject is known has the same headers', () => {
    const headers = identityHeaders(
      toIdentity({ iss: ISSUER, sub: 'u1' }, options),
      IDENTITY_HEADERS,
      8192,
    )
    expect(headers).toEqual({
      'X-Auth-Request-User': 'u1',
      'X-Auth-Request-Email': '',
      'X-Auth-Request-Preferred-Username': '',
      'X-Auth-Request-Name': '',
      'X-Auth-Request-Groups': '',
    })
  })

  test('further headers, aliases of known claims among them', () => {
    const { headers } = withHeaders(
      ['Remote-User', 'sub'],
      ['Remote-Groups', 'groups'],
      ['X-D', 'd'],
    )
    const values = identityHeaders(
      toIdentity({ ...claims, d: ['x', 'y,z'] }, { ...options, headers }),
      headers,
      8192,
    )
    expect(values).toMatchObject({
      'Remote-User': 'u1',
      'Remote-Groups': 'admins,ops',
      'X-D': 'x,y%2Cz',
    })
  })

  test('a header whose claim an older session does not have is empty', () => {
    const later: IdentityHeader[] = ['dept', 'constructor', 'toString', '__proto__'].map(
      (claim) => ({
        name: `X-${claim}`,
        claim,
      }),
    )
    const values = identityHeaders(identity, later, 8192)
    expect(new Set(Object.values(values))).toEqual(new Set(['']))
  })

  test('what is too large is refused with the claim and the setting, and never cut', () => {
    const many = {
      ...identity,
      groups: Array.from({ length: 2000 }, (_, index) => `group-${index}`),
    }
    const refused = () => identityHeaders(many, IDENTITY_HEADERS, 8192)
    expect(refused).toThrow(expect.objectContaining({ code: 'claims_too_large', isPublic: true }))
    expect(refused).toThrow(/claim "groups".*IDENTITY_HEADERS_MAX_BYTES is 8192/)
  })

  test('the limit counts the bytes of names and values on the wire', () => {
    const headers = [{ name: 'X-N', claim: 'name' }]
    const named = { ...identity, name: 'é' }
    expect(identityHeaders(named, headers, 5)['X-N']).toBe('\u00c3\u00a9')
    expect(() => identityHeaders(named, headers, 4)).toThrow('take 5 bytes')
  })
})
