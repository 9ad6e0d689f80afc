/** Bounds the entries of an `LRUCache`. Its own `max` reserves memory for all of them at the start (5 ms, 5 MB for 100,000). */
export function atMostEntries(count: number) {
  return { maxSize: count, sizeCalculation: () => 1 } as const
}
