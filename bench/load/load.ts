import { startAsked } from '../start-asked.ts'
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
  readonly requests: number
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
export async function startLoadGenerator(): Promise<LoadGenerator> {
  const generator = await startAsked('bench/load/load-process.ts', [])
  return {
    async run(load, pids) {
      const before = pids.map((pid) => processorMicros([pid]))
      const result = (await generator.ask(load)) as LoadResult
      const { requests, seconds, p50Ms, p99Ms, failures } = result
      return {
        requests,
        perSecond: requests / seconds,
        p50Ms,
        p99Ms,
        cpuMicros: pids.map((pid, at) => (processorMicros([pid]) - (before[at] ?? 0)) / requests),
        failures,
      }
    },
    [Symbol.dispose]: () => generator[Symbol.dispose](),
  }
}

export function totalCpuMicros({ cpuMicros }: Round): number {
  return cpuMicros.reduce((sum, micros) => sum + micros, 0)
}
