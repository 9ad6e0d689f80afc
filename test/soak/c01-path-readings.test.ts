import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkInCore } from '../support/server-models/core-check.ts'
import { hostileRequests } from '../support/server-models/hostile-paths.ts'
import { findWrongAllows } from '../support/server-models/wrong-allows.ts'

// The seed is printed where it fails.
test('C1: 1,000,000 hostile paths, and no server behind us serves what the rules forbid', () => {
  fc.assert(
    fc.property(hostileRequests, ([rules, path]) => {
      expect(findWrongAllows(checkInCore, rules, path)).toEqual([])
    }),
    { numRuns: 1_000_000 },
  )
})
