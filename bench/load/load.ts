import { fork } from 'node:child_process'
import { once } from 'node:events'
import { processorMicros } from './processor-time.ts'

export interface Load {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly connections: number
  readonly seconds: number
  /** Requests per second; without it each connection sends the next request as soon as it has an answer. */
  readonly perSecond?: number
}

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failures: number
}

/** Result of one round of load. */
export interface Round {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time for a request of each process that was measured, in the order given. */
  readonly cpuMicros: readonly number[]
  readonly failures: number
}

export interface LoadGenerator extends Disposable {
  /** Sends load over keep-alive connections, as a proxy does, and counts the processor time of these processes. */
  readonly run: (load: Load, pids: readonly number[]) => Promise<Round>
}

/** Starts the process that generates load. */
export function startLoadGenerator(): LoadGenerator {
  const child = fork('bench/load/load-process.ts')
  return {
    async run(load, pids) {
      const before = pids.map((pid) => processorMicros([pid]))
      child.send(load)
      const [result] = (await once(child, 'message')) as [LoadResult]
      const { requests, seconds, p50Ms, p99Ms, failures } = result
      return {
        perSecond: requests / seconds,
        p50Ms,
        p99Ms,
        cpuMicros: pids.map((pid, at) => (processorMicros([pid]) - (before[at] ?? 0)) / requests),
        failures,
      }
    },
    [Symbol.dispose]: () => child.disconnect(),
  }
}

export function totalCpuMicros({ cpuMicros }: Round): number {
  return cpuMicros.reduce((sum, micros) => sum + micros, 0)
}
