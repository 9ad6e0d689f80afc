import { hash } from 'node:crypto'
import { type DestinationStream, destination, type Logger, pino } from 'pino'

/** One JSON line per event. No field ever holds a token, a cookie, a secret or an e-mail address. */
export type Log = Logger

/** Logs to standard output unless told otherwise. */
export function createLog(level: string, output: DestinationStream = standardOutput()): Log {
  return pino(
    {
      level,
      base: null,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
    },
    output,
  )
}

/** A full disk or a closed pipe loses lines and changes no decision (fault F43). */
function standardOutput(): DestinationStream {
  const output = destination({ dest: 1, sync: true })
  output.on('error', () => undefined)
  return output
}

/** Tells users apart in the log without naming them; the same for the same `iss` and `sub`. */
export function userDigest(issuer: string, subject: string): string {
  return hash('sha256', JSON.stringify([issuer, subject]), 'base64url').slice(0, 16)
}
