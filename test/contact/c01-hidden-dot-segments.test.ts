import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkInCore } from '../support/server-models/core-check.ts'
import { hostileRequests } from '../support/server-models/hostile-paths.ts'
import { serverModels } from '../support/server-models/models.ts'
import { findWrongAllows } from '../support/server-models/wrong-allows.ts'

test('C1: 20,000 hostile paths, and no server behind us serves what the rules forbid', () => {
  expect(Object.keys(serverModels).length).toBeGreaterThanOrEqual(18)
  const admitted = { disguised: 0, plain: 0 }
  fc.assert(
    fc.property(hostileRequests, ([rules, path]) => {
      expect(findWrongAllows(checkInCore, rules, path)).toEqual([])
      if (checkInCore(rules, path)('alice')) admitted[/[%;\\]/.test(path) ? 'disguised' : 'plain']++
    }),
    { numRuns: 20_000, seed: 11 },
  )
  // Refusing everything would be no proof.
  expect(admitted.disguised).toBeGreaterThan(2000)
  expect(admitted.plain).toBeGreaterThan(500)
}, 600_000)
