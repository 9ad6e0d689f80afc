/** Bounds the commands in flight of one order, because other requests use the same connection to the store. */
const AT_ONCE = 100

/** Runs `work` for all, 100 at a time, and resolves with the results in the order of `all`. */
export async function inPortions<T, R>(
  all: readonly T[],
  work: (one: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < all.length; at += AT_ONCE) {
    results.push(...(await Promise.all(all.slice(at, at + AT_ONCE).map(work))))
  }
  return results
}
