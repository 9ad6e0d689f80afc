import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createPatternTree } from '../../../src/core/access/pattern-tree.ts'
import { compilePathPattern } from '../../../src/core/path-pattern.ts'
import { holds } from '../../support/holds.ts'
import { matchesPlainly } from '../../support/plain-rule-finder.ts'

const segment = fc.constantFrom('a', 'b', 'long-one', '*')
const pattern = fc
  .tuple(fc.array(segment, { maxLength: 4 }), fc.boolean(), fc.array(segment, { maxLength: 3 }))
  .map(([head, hasGap, tail]) => `/${[...head, ...(hasGap ? ['**'] : []), ...tail].join('/')}`)
const path = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.constantFrom('a', 'b', 'long-one', 'longer-than-all', '')) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom('a', '/', ''), { maxLength: 6 }) },
)

test('a tree of patterns finds those that match a path segment by segment, each once', () =>
  holds(
    20_000,
    [fc.array(pattern, { maxLength: 12 }), fc.boolean(), path],
    (sources, countsFinalSlash, segments) => {
      const asked = segments.length === 0 ? '' : `/${segments.join('/')}`
      const patterns = sources.map((each) =>
        compilePathPattern(each).fold('exact', countsFinalSlash),
      )
      const tree = createPatternTree((): number[] => [])
      for (const [index, each] of patterns.entries()) tree.at(each).push(index)
      const expected = patterns.flatMap((each, index) =>
        matchesPlainly(each, asked) ? [index] : [],
      )
      expect(
        tree
          .match(asked)
          .flat()
          .toSorted((a, b) => a - b),
      ).toEqual(expected)
    },
  ))

test('the value of a pattern is made once', () => {
  const tree = createPatternTree(() => ({}))
  const at = (source: string) => tree.at(compilePathPattern(source).fold('exact', true))
  expect(at('/a/**/b')).toBe(at('/a/**/b'))
  expect(at('/a/**')).not.toBe(at('/a'))
})
