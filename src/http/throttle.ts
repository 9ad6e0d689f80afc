/** One in each pause: the number of those left out since the last one, or nothing when this one is to be left out too. */
export function createThrottle(pauseMs: number): () => number | undefined {
  let saidAtMs = Number.NEGATIVE_INFINITY
  let suppressed = 0
  return () => {
    if (performance.now() - saidAtMs < pauseMs) {
      suppressed++
      return undefined
    }
    const count = suppressed
    saidAtMs = performance.now()
    suppressed = 0
    return count
  }
}
