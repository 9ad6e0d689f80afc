import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_READ_CHARACTERS, MAX_READINGS } from '../../src/core/path-readings.ts'
import { longPaths } from '../support/long-paths.ts'
import { createStepCounter } from '../support/path-steps.ts'

const patterns = Array.from({ length: 100 }, (_, index) => [
  `/a/b${index}/**/end${index}`,
  `/*/*/*/*/z${index}`,
]).flat()

/** Look-ups of one reading that goes as deep as the patterns go, however many there are. */
const LOOKUPS = 8

/** The longest path that may be read in several ways, and the longest of all. */
const [SHORT, LONG] = [2048, 16_384]

test.for([50, 200])(
  'C4: 10,000 paths of 8 KiB and %i rules cost at most five plain ones each',
  { timeout: 120_000 },
  (rules) => {
    const count = createStepCounter(patterns.slice(0, rules))
    const plain = count(`/a/b1${'/a'.repeat(LONG)}`.slice(0, LONG))
    expect(plain).toEqual({ characters: 2 * LONG, lookups: LOOKUPS })
    fc.assert(
      fc.property(longPaths(LONG), (path) => {
        const { characters, lookups } = count(path)
        expect(characters).toBeLessThanOrEqual(5 * plain.characters)
        expect(lookups).toBeLessThanOrEqual(5 * plain.lookups)
      }),
      { numRuns: 5000, seed: 4 },
    )
  },
)

test('C4: a shorter path with several readings has a bound of its own', () => {
  const count = createStepCounter(patterns)
  fc.assert(
    fc.property(fc.integer({ min: 10, max: SHORT }).chain(longPaths), (path) => {
      const { characters, lookups } = count(path)
      // Read as written and, where there are compatibility forms, once more; the last reading may overshoot.
      const readings = MAX_READ_CHARACTERS + 5 * MAX_READINGS * path.length
      expect(characters).toBeLessThanOrEqual(2 * readings)
      expect(lookups).toBeLessThanOrEqual(6 * MAX_READINGS * LOOKUPS)
    }),
    { numRuns: 2000, seed: 4 },
  )
}, 60_000)
