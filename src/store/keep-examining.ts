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

const EXAMINE_AGAIN_MS = 10_000

/** Again and again as long as there is something to find: what is wrong may pass, as loading does. */
export function keepExamining(options: KeepExaminingOptions) {
  const { connection, names, readTimeoutMs, now, observer } = options
  let latest: Examination | undefined
  let timer: NodeJS.Timeout | undefined
  function start(): void {
    clearTimeout(timer)
    examineRedis(connection, names, now, readTimeoutMs)
      .then((made) => {
        const isAnother = latest !== undefined && String(made.runIds) !== String(latest.runIds)
        latest = made
        observer.onExamined(made)
        if (isAnother) observer.onAnotherServer()
        if (made.findings.length > 0) timer = setTimeout(start, EXAMINE_AGAIN_MS).unref()
      })
      // A connection that is lost again is examined when it is back.
      .catch(() => undefined)
  }
  return {
    start,
    stop: () => clearTimeout(timer),
    get latest() {
      return latest
    },
  }
}
