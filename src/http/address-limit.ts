import { LRUCache } from 'lru-cache'

export interface AddressLimitOptions {
  readonly max: number
  readonly periodMs: number
}

/** Bounds the memory: beyond this the least recently seen address is evicted. */
const MAX_ADDRESSES = 10_000

/** Creates a fixed-window rate limit: the function returns false when the address has reached `max` in its window. */
export function createAddressLimit({ max, periodMs }: AddressLimitOptions) {
  const counts = new LRUCache<string, number>({
    max: MAX_ADDRESSES,
    ttl: periodMs,
    noUpdateTTL: true,
  })
  return (address: string): boolean => {
    const count = counts.get(address) ?? 0
    if (count >= max) return false
    counts.set(address, count + 1)
    return true
  }
}
