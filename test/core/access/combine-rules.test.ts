import { describe, expect, test } from 'vitest'
import type { AccessRule, SignedInRule } from '../../../src/core/access/access-rule.ts'
import { combineRules } from '../../../src/core/access/combine-rules.ts'
import type { Condition, RequiredCondition } from '../../../src/core/access/condition.ts'
import type { Demand } from '../../../src/core/access/demand.ts'
import type { Identity } from '../../../src/core/identity.ts'
import { signedIn } from '../../support/signed-in.ts'
import { words } from '../../support/words.ts'

const OPEN = { name: '1', passesPreflight: false }
const RULES = {
  public: { ...OPEN, access: 'public' },
  optional: { ...OPEN, access: 'optional' },
  strict: { ...OPEN, access: 'optional', deniesDegraded: true },
  deny: { ...OPEN, access: 'deny' },
  'signed-in': { ...OPEN, access: 'signed-in' },
  bearer: { ...OPEN, access: 'signed-in', bearer: { requirement: bearer(), isOneTime: false } },
  once: { ...OPEN, access: 'signed-in', bearer: { requirement: bearer(), isOneTime: true } },
  none: undefined,
} as const satisfies Record<string, AccessRule | undefined>

function bearer() {
  return {
    issuers: new Set(['https://id.example.com']),
    audiences: new Set(['here']),
    scopes: [],
    claims: new Map(),
    type: 'at+jwt',
  } as const
}

const inGroups = (...groups: readonly string[]): RequiredCondition => ({
  condition: { kind: 'groups', values: new Set(groups) },
})
const demandOf = (...conditions: readonly RequiredCondition[]) => ({ conditions }) as Demand

function person(...groups: readonly string[]): Identity {
  return { issuer: 'i', subject: 'alice', groups, areGroupsKnown: true, claims: {} }
}

describe('the access of the rules found together', () => {
  test.for<[found: string, alone: string, demanded: string]>([
    ['public', 'public', 'signed-in'],
    ['optional', 'optional', 'signed-in'],
    ['public optional', 'optional', 'signed-in'],
    ['public signed-in', 'signed-in', 'signed-in'],
    ['optional signed-in', 'signed-in', 'signed-in'],
    ['public optional signed-in', 'signed-in', 'signed-in'],
    ['deny', 'deny', 'deny'],
    ['public deny', 'deny', 'deny'],
    ['optional deny', 'deny', 'deny'],
    ['signed-in deny', 'deny', 'deny'],
    ['none', 'deny', 'deny'],
    ['public none', 'deny', 'deny'],
    ['optional none', 'deny', 'deny'],
    ['signed-in none', 'deny', 'deny'],
    ['once signed-in', 'deny', 'deny'],
    ['once public', 'deny', 'deny'],
    ['once optional', 'deny', 'deny'],
  ])('%s: %s, and %s where the middleware demands something', ([names, alone, demanded]) => {
    const found = words`${names}`.map((name) => RULES[name as keyof typeof RULES])
    expect(combineRules(found, undefined).kind).toBe(alone)
    expect(combineRules(found.toReversed(), undefined).kind).toBe(alone)
    expect(combineRules(found, demandOf(inGroups('a'))).kind).toBe(demanded)
  })

  test('no reading at all is denied', () =>
    expect([combineRules([], undefined), combineRules([], demandOf())]).toEqual([
      { kind: 'deny' },
      { kind: 'deny' },
    ]))

  test('one optional rule with degraded: deny counts for all', () => {
    const of = (...found: AccessRule[]) => combineRules(found, undefined)
    expect(of(RULES.optional)).toEqual({ kind: 'optional', deniesDegraded: false })
    expect(of(RULES.optional, RULES.strict)).toEqual({ kind: 'optional', deniesDegraded: true })
    expect(signedIn(of(RULES.strict, RULES['signed-in'])).deniesDegraded).toBe(true)
  })

  test.for<[found: string, isOneTime: boolean | undefined]>([
    ['bearer', false],
    ['once', true],
    ['bearer once', true],
    ['bearer signed-in', undefined],
    ['bearer public', undefined],
    ['public', undefined],
  ])('%s with a demand takes tokens as without one', ([names, isOneTime]) => {
    const found = words`${names}`.map((name) => RULES[name as keyof typeof RULES])
    expect(signedIn(combineRules(found, demandOf())).bearer?.isOneTime).toBe(isOneTime)
  })
})

describe('whom the rules found together permit', () => {
  const rule = (given: Partial<SignedInRule>): SignedInRule => ({ ...RULES['signed-in'], ...given })
  const listed = rule({
    allowed: { groups: new Set(['a']), emails: new Set(), emailDomains: new Set() },
  })

  test.for<[what: string, found: AccessRule[], demand: Demand | undefined, permitted: string]>([
    [
      'lists and conditions of a rule',
      [rule({ ...listed, conditions: [inGroups('b')] })],
      undefined,
      'a,b',
    ],
    [
      'conditions of one rule',
      [rule({ conditions: [inGroups('b'), inGroups('c', 'd')] })],
      undefined,
      'b,c',
    ],
    ['rules that differ', [listed, rule({ conditions: [inGroups('b')] })], undefined, 'a,b'],
    ['a demand', [RULES.public], demandOf(inGroups('b'), inGroups('c')), 'b,c'],
    ['a demand and a rule', [RULES.optional, listed], demandOf(inGroups('b')), 'a,b'],
  ])('%s: all of them are needed', ([, found, demand, permitted]) => {
    const access = signedIn(combineRules(found, demand))
    const groups = permitted.split(',')
    expect(access.permits({ identity: person(...groups) })).toBe(true)
    for (const group of groups) {
      const others = groups.filter((each) => each !== group)
      expect(access.permits({ identity: person(...others) }), `without ${group}`).toBe(false)
    }
  })

  test('what is unknown does not permit, nor does its contrary', () => {
    const banned: Condition = { kind: 'none', of: [inGroups('banned').condition] }
    const access = signedIn(
      combineRules([rule({ conditions: [{ condition: banned }] })], undefined),
    )
    const { areGroupsKnown: _, ...unknown } = person()
    expect([access.permits({ identity: person() }), access.permits({ identity: unknown })]).toEqual(
      [true, false],
    )
  })

  test('the address of the client is needed where a rule or a demand looks at it', () => {
    const networks = {
      sources: ['192.0.2.1'],
      contains: (address: string) => address === '192.0.2.1',
    }
    const office: RequiredCondition = { condition: { kind: 'networks', networks } }
    const nested = { condition: { kind: 'all', of: [office.condition] } } as const
    const needs = (found: readonly AccessRule[], demand?: Demand) =>
      signedIn(combineRules(found, demand)).needsAddress
    expect(needs([listed], demandOf(inGroups('a')))).toBe(false)
    expect(needs([listed, rule({ conditions: [nested] })])).toBe(true)
    expect(needs([RULES.public], demandOf(office))).toBe(true)
  })
})
