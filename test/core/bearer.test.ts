import { describe, expect, test } from 'vitest'
import { type Bearer, type BearerRequirement, faultOf } from '../../src/core/bearer.ts'

const ISSUER = 'https://id.example.com'

function bearer(changes: Partial<Bearer> = {}): Bearer {
  return {
    identity: { issuer: ISSUER, subject: 'robot', groups: [], claims: {} },
    type: 'at+jwt',
    audiences: ['api'],
    scopes: new Set(['read', 'write']),
    claims: {},
    jti: 'j',
    lifeSeconds: 300,
    acceptedUntil: 0,
    ...changes,
  }
}

function requirement(changes: Partial<BearerRequirement> = {}): BearerRequirement {
  return {
    issuers: new Set([ISSUER]),
    audiences: new Set(['api', 'api2']),
    scopes: [],
    claims: new Map(),
    type: 'at+jwt',
    ...changes,
  }
}

function fault(
  token: Bearer,
  requirements: readonly BearerRequirement[] = [requirement()],
  isOneTime = false,
): ReturnType<typeof faultOf> {
  return faultOf(token, { requirements, isOneTime })
}

describe('a token and what a rule asks of it', () => {
  const otherIssuer = { ...bearer().identity, issuer: `${ISSUER}/` }
  test.for<[string, Partial<Bearer>, Partial<BearerRequirement>, string | undefined]>([
    ['as asked', {}, {}, undefined],
    ['one of the audiences', { audiences: ['else', 'api2'] }, {}, undefined],
    ['another audience', { audiences: ['API'] }, {}, 'invalid_token'],
    ['no audience', { audiences: [] }, {}, 'invalid_token'],
    ['another issuer', { identity: otherIssuer }, {}, 'invalid_token'],
    ['no access token', { type: 'jwt' }, {}, 'invalid_token'],
    ['no access token, where none is asked for', { type: 'jwt' }, { type: 'jwt' }, undefined],
    ['an access token, where none is asked for', {}, { type: 'jwt' }, undefined],
    ['all scopes', {}, { scopes: ['write', 'read'] }, undefined],
    ['one scope too few', {}, { scopes: ['read', 'admin'] }, 'insufficient_scope'],
  ])('%s', ([, changes, asked, error]) =>
    expect(fault(bearer(changes), [requirement(asked)])?.error).toBe(error),
  )

  test.for<[unknown, boolean]>([
    ['a', true],
    [['b', 'a'], true],
    [42, true],
    [['b', 42], true],
    [true, true],
    ['A', false],
    ['', false],
    [false, false],
    [{ a: 'a' }, false],
    [[['a']], false],
    [null, false],
    [undefined, false],
  ])('a claim of %j: %s', ([value, isEnough]) => {
    const asked = requirement({ claims: new Map([['tenant', new Set(['a', '42', 'true'])]]) })
    const expected = isEnough ? undefined : { error: 'forbidden' }
    expect(fault(bearer({ claims: { tenant: value } }), [asked])).toEqual(expected)
  })

  test('every claim is needed, and inherited ones are none', () => {
    const asked = requirement({
      claims: new Map([
        ['tenant', new Set(['a'])],
        ['realm.roles', new Set(['ops'])],
      ]),
    })
    const claims = { tenant: 'a', realm: { roles: ['ops'] } }
    expect(fault(bearer({ claims }), [asked])).toBeUndefined()
    expect(fault(bearer({ claims: { tenant: 'a' } }), [asked])).toEqual({ error: 'forbidden' })
    const inherited = requirement({ claims: new Map([['constructor.name', new Set(['Object'])]]) })
    expect(fault(bearer(), [inherited])).toEqual({ error: 'forbidden' })
  })

  test('what several rules ask must be met together, and all their scopes are named', () => {
    const both = [
      requirement({ scopes: ['read', 'admin'] }),
      requirement({ audiences: new Set(['api']), scopes: ['read', 'root'] }),
    ]
    const scopes = ['read', 'admin', 'root']
    expect(fault(bearer(), both)).toEqual({ error: 'insufficient_scope', scopes })
    expect(fault(bearer({ audiences: ['api2'] }), both)?.error).toBe('invalid_token')
    expect(fault(bearer({ scopes: new Set(scopes) }), both)).toBeUndefined()
  })
})

describe('a token for one use', () => {
  const once = (changes: Partial<Bearer>) => fault(bearer(changes), [requirement()], true)?.error

  test('lives for ten minutes at most and has a jti', () => {
    expect(once({ lifeSeconds: 600 })).toBeUndefined()
    expect(once({ lifeSeconds: 600.5 })).toBe('invalid_token')
    const { jti: _jti, ...nameless } = bearer()
    expect(fault(nameless, [requirement()], true)?.error).toBe('invalid_token')
    const { lifeSeconds: _life, ...ageless } = bearer()
    expect(fault(ageless, [requirement()], true)?.error).toBe('invalid_token')
    expect(fault(ageless)).toBeUndefined()
  })
})
