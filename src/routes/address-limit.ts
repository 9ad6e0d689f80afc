import { LRUCache } from 'lru-cache'

export interface AddressLimitOptions {
  readonly max: number
  readonly periodMs: number
}

/** The least recently seen is forgotten beyond these, so that addresses cannot fill the memory. */
const MAX_ADDRESSES = 10_000

/** Counts what an address does in fixed periods from its first time on; false when that was too often. */
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
