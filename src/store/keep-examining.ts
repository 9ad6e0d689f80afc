import type { RedisConnection } from './connect.ts'
import { type Examination, examineRedis } from './self-test.ts'
import type { TriedNames } from './tried-commands.ts'

export interface KeepExaminingOptions {
  readonly connection: RedisConnection
  readonly names: TriedNames
  readonly readTimeoutMs: number
  readonly now: () => number
  readonly observer: {
    readonly onExamined: (examination: Examination) => void
    readonly onAnotherServer: () => void
  }
}

/** While something is found: what is wrong may pass, as loading does. */
const SOON_MS = 10_000
/** Settings, rights and clocks change without a new connection, and some twenty small commands cost Redis nothing. */
const LATER_MS = 60_000

/** For every new connection, and then again and again. */
export function keepExamining(options: KeepExaminingOptions) {
  const { connection, names, readTimeoutMs, now, observer } = options
  let latest: Examination | undefined
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  async function examine(): Promise<void> {
    const made = await examineRedis(connection, names, now, readTimeoutMs)
    const isAnother = latest !== undefined && String(made.runIds) !== String(latest.runIds)
    latest = made
    observer.onExamined(made)
    if (isAnother) observer.onAnotherServer()
  }

  /** What cannot be examined leaves what was found before. */
  async function keep(): Promise<void> {
    if (connection.isConnected) await examine().catch(() => undefined)
    if (isStopped) return
    clearTimeout(timer)
    timer = setTimeout(start, latest?.findings.length === 0 ? jitter(LATER_MS) : SOON_MS).unref()
  }
  const start = () => void keep()

  return {
    start,
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
    get latest() {
      return latest
    },
  }
}

/** So that replicas that connected together do not ask together. */
function jitter(ms: number): number {
  return ms * (0.75 + Math.random() / 2)
}
