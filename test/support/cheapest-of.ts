const ROUNDS = 20

/** Milliseconds that each of two works takes when nothing comes in between, taken in turn. */
export const cheapestOf = async (
  one: () => Promise<unknown>,
  other: () => Promise<unknown>,
): Promise<readonly [oneMs: number, otherMs: number]> => {
  const least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY] as [number, number]
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [at, work] of [one, other].entries()) {
      const startedAtMs = performance.now()
      await work()
      least[at] = Math.min(least[at] as number, performance.now() - startedAtMs)
    }
  }
  return least
}
