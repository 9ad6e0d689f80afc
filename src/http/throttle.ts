/** Lets one call per pause through: returns the number suppressed since the last one, or `undefined` to suppress this one. */
export function createThrottle(pauseMs: number): () => number | undefined {
  let admittedAtMs = Number.NEGATIVE_INFINITY
  let suppressed = 0
  return () => {
    if (performance.now() - admittedAtMs < pauseMs) {
      suppressed++
      return undefined
    }
    const count = suppressed
    admittedAtMs = performance.now()
    suppressed = 0
    return count
  }
}
