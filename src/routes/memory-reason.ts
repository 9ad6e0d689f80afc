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
}

/** Returns why a full process would be killed at its container's limit, or would run out of heap (finding C61). */
export function ofMemory({ need, limitBytes }: MemoryState): HealthReason[] {
  const { heapLimitBytes, heapNeededBytes, outsideHeapBytes } = need
  const isHeapTooSmall = heapNeededBytes > heapLimitBytes
  const mostBytes = Math.max(heapLimitBytes, heapNeededBytes) + outsideHeapBytes
  const isOverLimit = limitBytes !== undefined && mostBytes > limitBytes
  const parts = [
    ...(isHeapTooSmall
      ? [
          `a full L1 needs a heap of ${mib(heapNeededBytes)} and the limit is ${mib(heapLimitBytes)}: lower REDIS_HYBRID_L1_MEMORY_MB or raise --max-old-space-size in NODE_OPTIONS`,
        ]
      : []),
    ...(isOverLimit
      ? [
          `the process may take ${mib(mostBytes)} (a heap of ${mib(mostBytes - outsideHeapBytes)} and ${mib(outsideHeapBytes)} beside it) and the container ${mib(limitBytes)}: raise the container's memory limit, or lower ${isHeapTooSmall ? 'REDIS_HYBRID_L1_MEMORY_MB' : '--max-old-space-size in NODE_OPTIONS'}`,
        ]
      : []),
  ]
  return parts.map((message) => ({ code: 'memory', message }))
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
