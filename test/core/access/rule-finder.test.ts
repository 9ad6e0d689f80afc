import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRuleFinder, type ReadingMatch } from '../../../src/core/access/rule-finder.ts'
import type { RuleConditions } from '../../../src/core/access/rules-by-path.ts'
import {
  type ForwardedRequest,
  parseForwardedRequest,
} from '../../../src/core/forwarded-request.ts'
import { compilePathPattern } from '../../../src/core/path-pattern.ts'
import { AuthError } from '../../../src/errors.ts'
import { holds } from '../../support/holds.ts'
import { findPlainly, type PlainMatch } from '../../support/plain-rule-finder.ts'
import { hostPatterns, sitesOf } from '../../support/protected-sites.ts'
import { forwarded, sentHeaders } from '../../support/raw-request.ts'
import { words } from '../../support/words.ts'

const oneOf = (template: TemplateStringsArray) => fc.constantFrom(...words(template))
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { minLength: 1, maxLength: 3 })

const PROTECTED = words`
  a.test *.a.test x.a.test:8443 *.deep.a.test *.a.test:8443 http://b.localhost http://b.localhost:443 *.b.localhost:444
`
const sites = sitesOf(...PROTECTED)
const hosts = [
  ['https', 'a.test'],
  ['https', 'A.test:443'],
  ['https', 'x.a.test'],
  ['https', 'x.a.test:8443'],
  ['https', 'x.deep.a.test'],
  ['https', 'x.x.deep.a.test:443'],
  ['https', `${'x.'.repeat(110)}a.test:8443`],
  ['http', 'b.localhost'],
  ['http', 'b.localhost:80'],
  ['http', 'b.localhost:443'],
  ['https', 'x.b.localhost:444'],
] as const

const pattern = fc
  .tuple(
    fc.array(oneOf`a B docs é m² *`, { maxLength: 3 }),
    fc.boolean(),
    fc.array(oneOf`a b *`, { maxLength: 2 }),
    fc.constantFrom('', '/'),
  )
  .map(
    ([head, hasGap, tail, end]) =>
      `/${[...head, ...(hasGap ? ['**'] : []), ...tail].join('/')}${end}`,
  )
  .filter((source) => !source.endsWith('//'))
const rule: fc.Arbitrary<RuleConditions> = fc.record(
  {
    access: fc.constantFrom('public', 'optional', 'signed-in', 'deny'),
    isReport: fc.boolean(),
    paths: some(pattern).map((sources) => sources.map(compilePathPattern)),
    hosts: some(fc.constantFrom(...PROTECTED, 'a.test:444', '*.test', 'b.localhost')).map((names) =>
      hostPatterns(...names),
    ),
    methods: some(oneOf`GET POST LIST`).map((methods) => new Set(methods)),
  },
  { requiredKeys: ['access'] },
)
const uri = fc
  .array(oneOf`a b B docs DOCS %c3%a9 %C3%89 m2 m%c2%b2 %61 a;v a%2fb a%252fb x. \\`, {
    maxLength: 4,
  })
  .chain((segments) => fc.constantFrom('', '/').map((end) => `/${segments.join('/')}${end}`))

/** Parses a request; none where it is refused before any rule. */
function parse([[scheme, host], method, uri]: Asked): readonly ForwardedRequest[] {
  const parts = {
    'X-Forwarded-Proto': scheme,
    'X-Forwarded-Host': host,
    'X-Forwarded-Method': method,
    'X-Forwarded-Uri': uri,
  }
  try {
    return [parseForwardedRequest(sentHeaders(forwarded(parts)), sites)]
  } catch (error) {
    if (error instanceof AuthError) return []
    throw error
  }
}

type Asked = readonly [host: (typeof hosts)[number], method: string, uri: string]

/** Places of rules in their order; -1 for none. */
function placesOf(rules: readonly RuleConditions[], found: Iterable<RuleConditions | undefined>) {
  return Array.from(found, (each) => (each ? rules.indexOf(each) : -1)).toSorted((a, b) => a - b)
}

/** Distinct matches as texts that can be compared. */
function textsOf(
  rules: readonly RuleConditions[],
  matches: readonly (ReadingMatch<RuleConditions> | PlainMatch<RuleConditions>)[],
): ReadonlySet<string> {
  return new Set(
    matches.map(({ path, rule, reported }) =>
      JSON.stringify([path, placesOf(rules, [rule]), placesOf(rules, reported)]),
    ),
  )
}

test('rules are found as by a walk over all of them, for each reading and comparison', () => {
  let compared = 0
  const asked = fc.tuple(fc.constantFrom(...hosts), oneOf`GET HEAD POST PUT`, uri)
  holds(
    3000,
    [fc.array(rule, { maxLength: 8 }), fc.array(asked, { minLength: 4, maxLength: 4 })],
    (rules, requests) => {
      const { find, findReported, findPerReading } = createRuleFinder(rules)
      for (const request of requests.flatMap(parse)) {
        compared++
        const expected = findPlainly(rules, request)
        expect(textsOf(rules, findPerReading(request))).toEqual(textsOf(rules, expected))
        const deciding = new Set(expected.map(({ rule }) => rule))
        expect(placesOf(rules, find(request))).toEqual(placesOf(rules, deciding))
        const reported = new Set(expected.flatMap(({ reported }) => reported))
        expect(placesOf(rules, findReported?.(request) ?? [])).toEqual(placesOf(rules, reported))
      }
    },
  )
  expect(compared).toBeGreaterThan(10_000)
})

test('a set without report rules has nothing to look for behind an answer', () => {
  expect(createRuleFinder([{ access: 'deny' }]).findReported).toBeUndefined()
  expect(createRuleFinder([{ access: 'deny', isReport: true }]).findReported).toBeDefined()
})
