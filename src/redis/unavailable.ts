import { AuthError, OutageError } from '../errors.ts'
import { describeFailure } from './describe-failure.ts'
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
  const { host, port, reason } = describeFailure(cause)
  const facts = { ...(host !== undefined && { server: `${host}:${port}` }), explanation: reason }
  return NO_OUTAGE.has(failure)
    ? new AuthError('store_unavailable', message, { cause, facts })
    : new OutageError(message, cause, facts)
}
