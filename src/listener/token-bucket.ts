/** Creates a token bucket; the returned function takes one token and returns whether there was one. */
export function createTokenBucket(burst: number, perSecond: number): () => boolean {
  let tokens = burst
  let countedAtMs = performance.now()
  return () => {
    const nowMs = performance.now()
    tokens = Math.min(burst, tokens + ((nowMs - countedAtMs) * perSecond) / 1000) - 1
    countedAtMs = nowMs
    return tokens >= 0
  }
}
