import { describe, expect, test } from 'vitest'
import type { Condition } from '../../../src/core/access/condition.ts'
import { createDemandReader } from '../../../src/core/access/demand.ts'
import { AuthError } from '../../../src/errors.ts'

const admins: Condition = { kind: 'users', values: new Set(['ada']) }
const policies = new Map([['admins', admins]])
const ADMINS = { condition: admins, policy: 'admins' }
const LONG = 'a'.repeat(16_000)

function groups(...names: readonly string[]) {
  return { condition: { kind: 'groups', values: new Set(names) } }
}

/** Returns the conditions that an address demands, or the refusal of the address. */
function read(url: string | undefined) {
  try {
    return createDemandReader(policies)(url)?.conditions
  } catch (error) {
    if (!(error instanceof AuthError)) throw error
    return [error.code, error.facts.policy ?? error.message]
  }
}

describe('the address of a middleware', () => {
  test.for<[url: string | undefined, conditions: unknown]>([
    [undefined, undefined],
    ['/auth', undefined],
    ['/auth?', undefined],
    ['/auth?&', undefined],
    ['/auth?policy=admins', [ADMINS]],
    ['http://vestibule:4181/auth?policy=admins', [ADMINS]],
    ['/auth?%70olicy=%61dmins', [ADMINS]],
    ['/auth?&policy=admins&', [ADMINS]],
    ['/auth?groups=a', [groups('a')]],
    ['/auth?groups=a,b', [groups('a', 'b')]],
    ['/auth?groups=a%2Cb', [groups('a', 'b')]],
    ['/auth?groups=+a+,%20b%20', [groups('a', 'b')]],
    ['/auth?groups=a+b', [groups('a b')]],
    ['/auth?groups=a%2Bb', [groups('a+b')]],
    ['/auth?groups=%zz', [groups('%zz')]],
    ['/auth?groups=a%00', [groups('a\0')]],
    ['/auth?groups=__proto__', [groups('__proto__')]],
    ['/auth?groups=a=b', [groups('a=b')]],
    ['/auth?groups=a;policy=admins', [groups('a;policy=admins')]],
    ['/auth?policy=admins&groups=a,b', [groups('a', 'b'), ADMINS]],
    [`/auth?groups=${LONG}`, [groups(LONG)]],
  ])('%s demands', ([url, conditions]) => expect(read(url)).toEqual(conditions))

  test.for<[url: string, fault: string]>([
    ['/auth?x=1', 'has an unknown parameter: x'],
    ['/auth?Policy=admins', 'has an unknown parameter: Policy'],
    ['/auth?policy%00=admins', 'has an unknown parameter: policy'],
    ['/auth?policy+=admins', 'has an unknown parameter: policy'],
    ['/auth??policy=admins', 'has an unknown parameter: ?policy'],
    ['/auth?groups[]=a', 'has an unknown parameter: groups[]'],
    ['/auth?__proto__=a', 'has an unknown parameter: __proto__'],
    ['/auth?=admins', 'has an unknown parameter: one without a name'],
    ['/auth?policy=admins&x', 'has an unknown parameter: x'],
    ['/auth?policy=nope&x', 'has an unknown parameter: x'],
    ['/auth?policy=nope&groups=a,', 'has an empty name among its groups'],
    [`/auth?eve%40corp.example=1`, 'has an unknown parameter: …@…'],
    [`/auth?${'n'.repeat(200)}=1`, `has an unknown parameter: ${'n'.repeat(64)}…`],
    ['/auth?policy', 'has an empty parameter: policy'],
    ['/auth?policy=', 'has an empty parameter: policy'],
    ['/auth?groups=', 'has an empty parameter: groups'],
    ['/auth?groups=%20+', 'has an empty parameter: groups'],
    ['/auth?groups=a,', 'has an empty name among its groups'],
    ['/auth?groups=a,,b', 'has an empty name among its groups'],
    ['/auth?groups=,', 'has an empty name among its groups'],
    ['/auth?groups=a%2C+', 'has an empty name among its groups'],
    ['/auth?policy=admins&policy=admins', 'has the parameter policy more than once'],
    ['/auth?groups=a&groups=b', 'has the parameter groups more than once'],
    ['/auth?groups=a&%67roups=b', 'has the parameter groups more than once'],
    ['/auth#policy=admins', 'has a fragment'],
    ['/auth?policy=admins#', 'has a fragment'],
    ['/auth#?policy=admins', 'has a fragment'],
  ])('%s is refused', ([url, fault]) =>
    expect(read(url)).toEqual(['invalid_request', `The address of the middleware ${fault}.`]),
  )

  test.for<[policy: string, shown: string]>([
    ['nope', 'nope'],
    ['Admins', 'Admins'],
    ['admins+', 'admins'],
    ['admins%00', 'admins'],
    ['admins,nope', 'admins,nope'],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
    ['eve%40corp.example', '…@…'],
    ['a%0Ab', 'a b'],
    ['%ff', '\ufffd'],
    ['the-admins-of-building-2', 'the-admins-of-building-2'],
    ['a'.repeat(64), 'a'.repeat(64)],
    ['a'.repeat(500), `${'a'.repeat(64)}…`],
  ])('a policy that does not exist is refused by its name: %s', ([policy, shown]) =>
    expect(read(`/auth?policy=${policy}`)).toEqual(['unknown_policy', shown]),
  )
})

describe('the demands that are kept', () => {
  const url = (at: number) => `/auth?groups=g${at}`

  test('are the same for the same address, because access is kept by them', () => {
    const readDemand = createDemandReader(policies)
    expect(readDemand(url(1))).toBe(readDemand(url(1)))
    expect(readDemand(url(1))).not.toBe(readDemand(url(2)))
  })

  test('are bounded, and right when they were dropped', () => {
    const readDemand = createDemandReader(policies)
    const first = readDemand(url(0))
    for (let at = 1; at <= 200; at++) {
      expect(readDemand(url(at))).toEqual({ conditions: [groups(`g${at}`)] })
    }
    expect(readDemand(url(0))).toEqual(first)
    expect(readDemand(url(0))).not.toBe(first)
  })
})
