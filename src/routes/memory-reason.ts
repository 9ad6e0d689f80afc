import type { HealthReason } from './health-reasons.ts'

/** Memory that the process may take by its settings. */
export interface MemoryNeed {
  readonly heapLimitBytes: number
  readonly outsideHeapBytes: number
  /** Heap that a full L1 needs. */
  readonly heapNeededBytes: number
}

export interface MemoryState {
  readonly need: MemoryNeed
  /** Memory limit of the container; `undefined` without one. */
  readonly limitBytes: number | undefined
  /** Has a setting that bounds L1 in hybrid mode alone; elsewhere the heap bounds it. */
  readonly mode: 'memory' | 'redis' | 'hybrid'
}

const LOWER_L1 = 'lower REDIS_HYBRID_L1_MEMORY_MB'

/** Returns why a full process would be killed at its container's limit, or would run out of heap (finding C61). */
export function ofMemory({ need, limitBytes, mode }: MemoryState): HealthReason[] {
  const { heapLimitBytes, heapNeededBytes, outsideHeapBytes } = need
  const isHeapTooSmall = heapNeededBytes > heapLimitBytes
  const mostBytes = Math.max(heapLimitBytes, heapNeededBytes) + outsideHeapBytes
  const isOverLimit = limitBytes !== undefined && mostBytes > limitBytes
  const lowerL1 = mode === 'hybrid' ? `${LOWER_L1} or ` : ''
  const lowerHeap = isHeapTooSmall ? lowerL1 : 'lower --max-old-space-size in NODE_OPTIONS or '
  const parts = [
    ...(isHeapTooSmall
      ? [
          `a full L1 needs a heap of ${mib(heapNeededBytes)} and the limit is ${mib(heapLimitBytes)}: ${lowerL1}raise --max-old-space-size in NODE_OPTIONS`,
        ]
      : []),
    ...(isOverLimit
      ? [
          `the process may take ${mib(mostBytes)} (a heap of ${mib(mostBytes - outsideHeapBytes)} and ${mib(outsideHeapBytes)} beside it) and the container ${mib(limitBytes)}: ${lowerHeap}raise the container's memory limit`,
        ]
      : []),
  ]
  return parts.map((message) => ({ code: 'memory', message }))
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
