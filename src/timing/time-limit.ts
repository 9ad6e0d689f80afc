/**
 * Returns what `answer` resolves to. Throws what `late` makes when that takes longer than `limitMs`; the work behind
 * `answer` goes on.
 */
export async function within<T>(
  answer: Promise<T>,
  limitMs: number,
  late: () => Error,
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(late()), limitMs)
  return Promise.race([answer, promise]).finally(() => clearTimeout(timer))
}

/** Waits until `answer` settles, but no longer than `limitMs`. Throws what `answer` rejects with by then. */
export async function waitAtMost(answer: Promise<unknown>, limitMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, Math.max(0, limitMs))
  await Promise.race([answer, promise]).finally(() => clearTimeout(timer))
}
