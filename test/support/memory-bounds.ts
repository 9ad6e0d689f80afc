import type { MemoryBounds } from '../../src/store/memory/expiring-map.ts'

/** Bounds that no test reaches. */
export const ROOMY: MemoryBounds = { maxEntries: 100_000, maxBytes: 256 * 1024 * 1024 }
