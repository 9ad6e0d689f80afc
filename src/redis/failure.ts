import { ErrorReply } from 'redis'
import { AuthError, OutageError } from '../errors.ts'

/** What kind of failure it was, as a metric's label. All but `data` mean that Redis cannot be used just now. */
export type RedisFailure =
  | 'auth'
  | 'breaker'
  | 'busy'
  | 'clients'
  | 'cluster'
  | 'connection'
  | 'data'
  | 'deadline'
  | 'full'
  | 'loading'
  | 'misconf'
  | 'other'
  | 'permission'
  | 'readonly'
  | 'replication'
  | 'sentinel'
  | 'tls'

/** No answer within the time that a caller gives. */
export class DeadlineError extends Error {
  constructor() {
    super('Redis did not answer in time')
    this.name = 'DeadlineError'
  }
}

/** Not asked, since the last answers were failures. */
export class BreakerOpenError extends Error {
  constructor() {
    super('the circuit breaker is open')
    this.name = 'BreakerOpenError'
  }
}

/** Of servers that belong together something is amiss; the message says what, and what to change. */
export class TopologyError extends Error {
  readonly failure: RedisFailure

  constructor(failure: RedisFailure, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'TopologyError'
    this.failure = failure
  }
}

/** The connection to one server of a cluster was lost before the answer came; another one follows. */
export class ServerLostError extends Error {
  constructor(cause: unknown) {
    super('the connection to a server of the cluster was lost', { cause })
    this.name = 'ServerLostError'
  }
}

/** Redis answered, and what it said concerns this one command or our right to give it. */
const ANSWERED: ReadonlySet<RedisFailure> = new Set(['data', 'other', 'permission'])

/** Error replies by their first word (Redis protocol: the word after `-` is the kind of error). */
const BY_CODE: Readonly<Record<string, RedisFailure>> = {
  ASK: 'cluster',
  BUSY: 'busy',
  CLUSTERDOWN: 'cluster',
  CROSSSLOT: 'cluster',
  LOADING: 'loading',
  MASTERDOWN: 'replication',
  MISCONF: 'misconf',
  MOVED: 'cluster',
  NOAUTH: 'auth',
  NOPERM: 'permission',
  NOREPLICAS: 'replication',
  OOM: 'full',
  READONLY: 'readonly',
  TRYAGAIN: 'cluster',
  WRONGPASS: 'auth',
  WRONGTYPE: 'data',
}

const TLS_CODE = /^(?:ERR_OSSL|ERR_SSL|ERR_TLS|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO)/

/** The one place that tells what went wrong, by code; the text of an error decides only where Redis gives no code. */
export function failureOf(cause: unknown): RedisFailure {
  if (cause instanceof ErrorReply) return replyFailure(cause.message)
  if (cause instanceof DeadlineError) return 'deadline'
  if (cause instanceof BreakerOpenError) return 'breaker'
  if (cause instanceof TopologyError) return cause.failure
  if (cause instanceof ServerLostError) return failureOf(cause.cause)
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return TLS_CODE.test(code) ? 'tls' : 'connection'
}

function replyFailure(text: string): RedisFailure {
  if (text.startsWith('ERR max number of clients')) return 'clients'
  if (text.startsWith("ERR The user executing the script can't")) return 'permission'
  // Before Redis 7 an error inside a script carries its code behind a dash.
  const code = /^(?:ERR .*-)?([A-Z]+)\b/.exec(text)?.[1] ?? ''
  return BY_CODE[code] ?? 'other'
}

/** What every port of the store throws when Redis cannot tell. */
export function unavailable(cause: unknown): AuthError {
  const failure = failureOf(cause)
  const message = `Redis: ${failure}`
  return ANSWERED.has(failure)
    ? new AuthError('store_unavailable', message, { cause })
    : new OutageError(message, cause)
}
