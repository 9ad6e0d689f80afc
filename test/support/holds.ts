import fc from 'fast-check'

type Arbitraries<Samples> = { readonly [At in keyof Samples]: fc.Arbitrary<Samples[At]> }

/** Asserts that a check passes for this many samples of the arbitraries. */
export function holds<Samples extends [unknown, ...unknown[]]>(
  numRuns: number,
  arbitraries: Arbitraries<Samples>,
  check: (...samples: Samples) => void,
): void {
  const property = fc.property<Samples>(...arbitraries, (...samples) => {
    check(...samples)
  })
  fc.assert(property, { numRuns })
}
