import { AuthError, type FailureFacts, OutageError } from '../errors.ts'
import { describeFailure, type FailureReport } from './describe-failure.ts'
import { failureOf, type RedisFailure } from './failure.ts'

/** Failures that Redis reports about one command or the user's rights, and that are no outage. */
const NO_OUTAGE: ReadonlySet<RedisFailure> = new Set([
  'data',
  'database',
  'other',
  'permission',
  'unsupported',
])

/**
 * Translates a failure into what the ports of the store throw: `OutageError` for an outage, else `AuthError`, with server
 * and reason as facts for the log. Passes on an `AuthError` unchanged.
 */
export function unavailable(cause: unknown): AuthError {
  if (cause instanceof AuthError) return cause
  const failure = failureOf(cause)
  const message = `Redis: ${failure}`
  const facts = factsOfReport(describeFailure(cause))
  return NO_OUTAGE.has(failure)
    ? new AuthError('store_unavailable', message, { cause, facts })
    : new OutageError(message, cause, facts)
}

/** Returns what a log line of a refused request says of the failure. */
export function factsOfReport({ host, port, reason }: FailureReport): FailureFacts {
  return { ...(host !== undefined && { server: `${host}:${port}` }), explanation: reason }
}
