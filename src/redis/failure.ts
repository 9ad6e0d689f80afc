import { ConnectionTimeoutError } from 'redis'
import { AuthError } from '../errors.ts'
import { type ReplyFailure, readReplyError } from './reply-errors.ts'
import { ProtocolError, ServerFailure, TlsMismatchError } from './server-failure.ts'

/** Kind of a failure, as a label for metrics. Those in `NO_OUTAGE` are answers; the rest are outages. */
export type RedisFailure =
  | ReplyFailure
  | 'breaker'
  | 'connection'
  | 'deadline'
  | 'protocol'
  | 'sentinel'
  | 'tls'

/** Thrown when Redis does not reply within the time limit of the caller. */
export class DeadlineError extends Error {
  constructor() {
    super('Redis did not answer in time')
    this.name = 'DeadlineError'
  }
}

/** Thrown without asking Redis while the circuit breaker is open. */
export class BreakerOpenError extends Error {
  constructor() {
    super('the circuit breaker is open')
    this.name = 'BreakerOpenError'
  }
}

/** Fault in a Sentinel or Cluster deployment; the message says what is wrong and which setting to change. */
export class TopologyError extends Error {
  readonly failure: RedisFailure

  constructor(failure: RedisFailure, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'TopologyError'
    this.failure = failure
  }
}

/** Thrown when the connection to one server of a cluster is lost before the reply; a reconnect follows. */
export class ServerLostError extends Error {
  constructor(cause: unknown) {
    super('the connection to a server of the cluster was lost', { cause })
    this.name = 'ServerLostError'
  }
}

const TLS_CODE = /^(?:ERR_OSSL|ERR_SSL|ERR_TLS|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO)/

/**
 * Classifies whatever was thrown, by its class or its code. A fault of the code or a reply that a port has refused is
 * `other`, because it shows nothing about Redis and must fail closed.
 */
export function failureOf(cause: unknown): RedisFailure {
  if (cause instanceof ServerFailure) return failureOf(cause.cause)
  if (cause instanceof AuthError || isFault(cause)) return 'other'
  return readReplyError(cause)?.failure ?? failureByClass(cause)
}

function failureByClass(cause: unknown): RedisFailure {
  if (cause instanceof TopologyError) return cause.failure
  if (cause instanceof ServerLostError) return failureOf(cause.cause)
  const known = FAILURE_BY_CLASS.find(([kind]) => cause instanceof kind)
  if (known) return known[1]
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return TLS_CODE.test(code) ? 'tls' : 'connection'
}

const FAILURE_BY_CLASS: readonly (readonly [new (...given: never[]) => Error, RedisFailure])[] = [
  [DeadlineError, 'deadline'],
  [ConnectionTimeoutError, 'deadline'],
  [BreakerOpenError, 'breaker'],
  [TlsMismatchError, 'tls'],
  [ProtocolError, 'protocol'],
]

/** Errors that JavaScript throws for a mistake in the code; those of Node.js and TLS have a code. */
const FAULTS = [TypeError, RangeError, ReferenceError, SyntaxError, URIError]

function isFault(cause: unknown): boolean {
  if (!(cause instanceof Error)) return true
  return !('code' in cause) && FAULTS.some((fault) => cause instanceof fault)
}

/** Returns the error for a reply or a value that no version of the service writes; it fails closed (A91). */
export function unusableReply(problem: string): AuthError {
  return new AuthError('store_unavailable', `Redis: ${problem}`)
}
