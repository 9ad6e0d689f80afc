/** Memory that the process may take by its settings. */
export interface MemoryNeed {
  readonly heapLimitBytes: number
  readonly outsideHeapBytes: number
  /** Heap that a full L1 and as many streams as there may be need. */
  readonly heapNeededBytes: number
}

export interface MemoryState {
  readonly need: MemoryNeed
  /** Memory limit of the container; `undefined` without one. */
  readonly limitBytes: number | undefined
  /** Decides what bounds L1: a setting in hybrid mode, the heap elsewhere. */
  readonly mode: 'memory' | 'redis' | 'hybrid'
}

/** Returns why a full process would run out of heap, or be killed at its container's limit (finding C61). */
export function memoryFaults({ need, limitBytes, mode }: MemoryState): string[] {
  const { heapLimitBytes, heapNeededBytes, outsideHeapBytes } = need
  const faults: string[] = []
  const isHeapTooSmall = heapNeededBytes > heapLimitBytes
  const lowerL1 = mode === 'hybrid' ? 'lower REDIS_HYBRID_L1_MEMORY_MB or ' : ''
  if (isHeapTooSmall) {
    faults.push(
      `a full L1 and streams to open pages need a heap of ${mib(heapNeededBytes)} and the limit is ${mib(heapLimitBytes)}: ${lowerL1}raise --max-old-space-size in NODE_OPTIONS`,
    )
  }
  const heapBytes = Math.max(heapLimitBytes, heapNeededBytes)
  const mostBytes = heapBytes + outsideHeapBytes
  if (limitBytes !== undefined && mostBytes > limitBytes) {
    const lowerHeap = isHeapTooSmall ? lowerL1 : 'lower --max-old-space-size in NODE_OPTIONS or '
    faults.push(
      `the process may take ${mib(mostBytes)} (a heap of ${mib(heapBytes)} and ${mib(outsideHeapBytes)} beside it), and the container is limited to ${mib(limitBytes)}: ${lowerHeap}raise the container's memory limit`,
    )
  }
  return faults
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
