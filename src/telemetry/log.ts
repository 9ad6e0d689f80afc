import { type DestinationStream, type Logger, pino } from 'pino'
import { sha256 } from '../crypto/digest.ts'
import { createLogLimit, type LimitedFields } from './log-limit.ts'
import { type LogOutput, openStandardOutput } from './log-output.ts'

/** Log of one JSON line per event. No field holds a token, a cookie, a secret or an e-mail address. */
export type Log = Logger & {
  /** Returns the number of dropped lines; absent in a log that drops none. */
  readonly droppedLines?: () => number
}

/** Log that can be flushed before the process exits. */
export interface EndingLog {
  readonly droppedLines: () => number
  /** Resolves when all lines are written, or after `withinMs`. */
  readonly finish: (withinMs: number) => Promise<void>
}

/** Creates a log, by default to standard output, that never blocks on its reader (finding C50). */
export function createLog(
  level: string,
  output: DestinationStream & Partial<LogOutput> = openStandardOutput(),
): Logger & EndingLog {
  const limit = createLogLimit((leftOut) => {
    log.warn({ event: 'log_lines_left_out', ...leftOut }, 'repeated log lines were suppressed')
  })
  const log = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      hooks: {
        logMethod(args, method) {
          const [fields] = args as readonly unknown[]
          if (limit.admits(fields as LimitedFields)) method.apply(this, args)
        },
      },
    },
    output,
  )
  output.onDropped?.((count) =>
    log.warn(
      { event: 'log_lines_dropped', count },
      'log lines were dropped: they were not read in time or could not be written',
    ),
  )
  return Object.assign(log, {
    droppedLines: () => output.droppedLines?.() ?? 0,
    async finish(withinMs: number) {
      limit.tellNow()
      await output.finish?.(withinMs)
    },
  })
}

/** Returns a digest of `iss` and `sub`, by which the log distinguishes users without naming them. */
export function userDigest(issuer: string, subject: string): string {
  return sha256(JSON.stringify([issuer, subject])).slice(0, 16)
}
