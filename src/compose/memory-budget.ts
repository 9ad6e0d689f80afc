import { getHeapStatistics } from 'node:v8'
import type { Config } from '../config/config.ts'
import type { MemoryNeed } from '../routes/memory-faults.ts'
import type { MemoryBounds } from '../store/memory/expiring-map.ts'

const MIB = 1024 * 1024

/** Heap of a service under load without sessions, and its memory outside of the heap (code, threads, buffers), as measured. */
const HEAP_WITHOUT_SESSIONS_BYTES = 64 * MIB
const OUTSIDE_HEAP_BYTES = 96 * MIB

/** Shares of the heap that is left for sessions; the rest is room for what a collection has not freed yet. */
const SHARES = {
  cache: 1 / 8,
  store: 1 / 6,
  index: 1 / 12,
  markers: 1 / 12,
  locks: 1 / 32,
  generations: 1 / 32,
} as const
/** Bounds of a roomy machine, beyond which more sessions in memory save little, and what a tiny heap still gets. */
const MAX_BYTES = {
  cache: 64 * MIB,
  store: 256 * MIB,
  index: 64 * MIB,
  markers: 64 * MIB,
  locks: 16 * MIB,
  generations: 16 * MIB,
} as const
const MAX_ENTRIES = {
  cache: 20_000,
  store: 100_000,
  index: 100_000,
  markers: 100_000,
  locks: 100_000,
  generations: 100_000,
} as const
const MIN_BYTES = 2 * MIB

/** Heap of a stream to an open page with its connection, and its memory outside of the heap, as measured with Node 26. */
const STREAM_HEAP_BYTES = 20 * 1024
const STREAM_OUTSIDE_BYTES = 8 * 1024
/** Share of the heap beyond sessions that streams may take. */
const STREAM_SHARE = 4 / 5
const MIN_STREAMS = 100
const MAX_STREAMS = 10_000

export type Purpose = keyof typeof SHARES
const PURPOSES = Object.keys(SHARES) as readonly Purpose[]

/** Returns the bounds of sessions in memory, which grow with the heap limit up to those of a roomy machine (C61). */
export function boundsWithin(purpose: Purpose, heapLimitBytes = heapLimit()): MemoryBounds {
  const spare = Math.max(0, heapLimitBytes - HEAP_WITHOUT_SESSIONS_BYTES)
  const bytes = Math.floor(spare * SHARES[purpose])
  return {
    maxEntries: MAX_ENTRIES[purpose],
    maxBytes: Math.min(MAX_BYTES[purpose], Math.max(MIN_BYTES, bytes)),
  }
}

/** Returns the bounds of L1: in hybrid mode those of the settings, otherwise what the heap has room for. */
export function cacheBounds({ mode, settings }: Pick<Config, 'mode' | 'settings'>): MemoryBounds {
  if (mode !== 'hybrid') return boundsWithin('cache')
  return {
    maxEntries: settings.REDIS_HYBRID_L1_SIZE,
    maxBytes: settings.REDIS_HYBRID_L1_MEMORY_MB * MIB,
  }
}

/** Returns the memory that sessions may take: L1, and in memory mode the store as well. */
export function sessionBytes(config: Pick<Config, 'mode' | 'settings'>): number {
  if (config.mode !== 'memory') return cacheBounds(config).maxBytes
  return PURPOSES.reduce((sum, purpose) => sum + boundsWithin(purpose).maxBytes, 0)
}

/** Returns how many streams fit into the heap beside the sessions in memory, 10,000 at most (C61). */
export function streamBound(besideBytes: number, heapLimitBytes = heapLimit()): number {
  const spare = heapLimitBytes - HEAP_WITHOUT_SESSIONS_BYTES - besideBytes
  const streams = Math.floor((spare * STREAM_SHARE) / STREAM_HEAP_BYTES)
  return Math.min(MAX_STREAMS, Math.max(MIN_STREAMS, streams))
}

/** Returns what the process may take by its settings. */
export function memoryNeed(
  cache: MemoryBounds,
  maxStreams: number,
  heapLimitBytes = heapLimit(),
): MemoryNeed {
  return {
    heapLimitBytes,
    outsideHeapBytes: OUTSIDE_HEAP_BYTES + maxStreams * STREAM_OUTSIDE_BYTES,
    heapNeededBytes: HEAP_WITHOUT_SESSIONS_BYTES + cache.maxBytes + maxStreams * STREAM_HEAP_BYTES,
  }
}

function heapLimit(): number {
  return getHeapStatistics().heap_size_limit
}
