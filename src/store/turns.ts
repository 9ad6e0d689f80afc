/** Lets questions about one key go one after the other, so that many who ask at once do not make a queue of them. */
export interface Turns<T> {
  /**
   * Asks at once, or after the question under way together with all who come meanwhile: no answer is older than
   * the call.
   */
  share(key: string, ask: () => Promise<T>): Promise<T>
}

export function createTurns<T>(): Turns<T> {
  const underWay = new Map<string, Promise<T>>()
  const next = new Map<string, Promise<T>>()

  function start(key: string, ask: () => Promise<T>): Promise<T> {
    const answer = ask().finally(() => underWay.delete(key))
    underWay.set(key, answer)
    return answer
  }

  return {
    share(key, ask) {
      const before = underWay.get(key)
      if (!before) return start(key, ask)
      const startNext = () => {
        next.delete(key)
        return start(key, ask)
      }
      return next.getOrInsertComputed(key, () => before.then(startNext, startNext))
    },
  }
}
