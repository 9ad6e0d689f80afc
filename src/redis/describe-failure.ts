import { type Place, tlsReason } from './describe-tls.ts'
import { failureOf, type RedisFailure, ServerLostError, TopologyError } from './failure.ts'
import { beginningOfReply, readReplyError } from './reply-errors.ts'
import {
  type FailedServer,
  NotConnectedError,
  ServerFailure,
  serverFailureIn,
  TlsMismatchError,
} from './server-failure.ts'
import { addressOf } from './target.ts'

/** Failure for a log line: class, server, code and a sentence with the remedy. Holds no secret (finding C54). */
export interface FailureReport {
  readonly failure: RedisFailure
  readonly host?: string
  readonly port?: number
  /** Code of the system or of the reply. */
  readonly cause?: string
  readonly reason: string
}

/** Returns the report of any failure of Redis. */
export function describeFailure(cause: unknown): FailureReport {
  const server = serverFailureIn(cause)?.server
  const code = codeOf(cause)
  return {
    failure: failureOf(cause),
    ...(server && { host: server.host, port: server.port }),
    ...(code !== undefined && { cause: code }),
    reason: reasonOf(cause),
  }
}

const PASSED_ON = [ServerFailure, NotConnectedError, ServerLostError, TopologyError]

/** Returns the failure that others have only passed on. */
function rootOf(cause: unknown): unknown {
  const isPassedOn = cause instanceof Error && PASSED_ON.some((each) => cause instanceof each)
  return isPassedOn && cause.cause !== undefined ? rootOf(cause.cause) : cause
}

function codeOf(cause: unknown): string | undefined {
  const root = rootOf(cause)
  const reply = beginningOfReply(root)
  if (reply !== undefined) return /^[A-Z]+\b/.exec(reply)?.[0]
  return root instanceof Error && 'code' in root ? String(root.code).slice(0, 60) : undefined
}

function reasonOf(cause: unknown): string {
  if (cause instanceof TopologyError) return cause.message
  const root = rootOf(cause)
  if (root instanceof NotConnectedError) return 'not connected yet'
  if (root instanceof TopologyError) return root.message
  const server = serverFailureIn(cause)?.server
  return server
    ? rootReason(root, { at: addressOf(server), ...server })
    : rootReason(root, UNKNOWN_SERVER)
}

type ServerPlace = Place & Pick<FailedServer, 'isTls' | 'isGreeting'>

const UNKNOWN_SERVER: ServerPlace = {
  at: 'Redis',
  namedBy: 'REDIS_ADDRESS',
  isTls: false,
  isGreeting: false,
}

function rootReason(root: unknown, place: ServerPlace): string {
  const failure = failureOf(root)
  // Quotes no words of a reply to HELLO or AUTH, which may repeat the password.
  if (failure === 'other' && place.isGreeting)
    return `${place.at} refuses the connection with the error ${codeOf(root) || 'without a code'}: ${LOOK}`
  if (failure !== 'tls') return otherReason(failure, root, place)
  const isMismatch = root instanceof TlsMismatchError
  return tlsReason(place, { code: codeOf(root) ?? '', isMismatch, isTls: place.isTls })
}

function otherReason(failure: Exclude<RedisFailure, 'tls'>, root: unknown, place: Place): string {
  const { at, namedBy } = place
  switch (failure) {
    case 'connection':
      return SYSTEM_REASONS[codeOf(root) ?? '']?.(place) ?? `${at} closed the connection: ${LOOK}`
    case 'unsupported':
      return unsupportedReason(root, at)
    case 'permission':
      return `${at} denies the user ${missingRight(root)} to its ACL`
    case 'protocol':
      return `${at} does not answer as Redis does: name the port of Redis in ${namedBy}`
    case 'readonly':
      return `${at} is a replica, which refuses writes: name the primary in ${namedBy}`
    case 'other':
      return `${at} answers with an unknown error: ${beginningOfReply(root) || 'no text'}`
    case 'auth':
    case 'breaker':
    case 'busy':
    case 'clients':
    case 'cluster':
    case 'data':
    case 'database':
    case 'deadline':
    case 'full':
    case 'loading':
    case 'misconf':
    case 'protected':
    case 'replication':
    case 'sentinel':
      return `${at} ${REASONS[failure]}`
  }
}

const LOOK = 'look into the log of Redis'

type Reason = (place: Place) => string

const noRoute: Reason = ({ at }) => `there is no route to ${at}: check the network and its policies`

/** Reasons by the code of the system error. */
const SYSTEM_REASONS: Readonly<Record<string, Reason>> = {
  EACCES: noRoute,
  EADDRNOTAVAIL: noRoute,
  EAI_AGAIN: ({ at }) => `the name server does not answer for the host in ${at}`,
  ECONNREFUSED: ({ at, namedBy }) =>
    `nothing listens at ${at} (connection refused): check that Redis runs, and ${namedBy}`,
  EHOSTDOWN: noRoute,
  EHOSTUNREACH: noRoute,
  ENETUNREACH: noRoute,
  ENOTFOUND: ({ at, namedBy }) =>
    `there is no host of the name in ${at}: correct ${namedBy}, or the name server`,
  EPERM: noRoute,
  ETIMEDOUT: ({ at }) =>
    `${at} does not take connections in time: check the network and its policies`,
}

/** Reasons by failure, without the address before them. */
const REASONS: Readonly<
  Record<
    Exclude<
      RedisFailure,
      'connection' | 'other' | 'permission' | 'protocol' | 'readonly' | 'tls' | 'unsupported'
    >,
    string
  >
> = {
  breaker: 'was not asked, because the circuit breaker is open',
  deadline: 'does not answer in time: it is frozen or busy, or a firewall drops what is sent',
  sentinel: 'is not what the settings for Sentinels say',
  auth: 'refuses user or password: correct REDIS_USERNAME and REDIS_PASSWORD',
  busy: 'runs a script for too long: SCRIPT KILL',
  clients: 'has too many clients: raise maxclients, or find in CLIENT LIST what holds connections',
  cluster:
    'is a node of a Redis Cluster, or its cluster is incomplete: set REDIS_CLUSTER=true, or see CLUSTER INFO',
  data: 'keeps a value of another kind under a key of ours: give each software its own REDIS_KEY_PREFIX',
  database: 'has no database of this number: correct REDIS_DB; a cluster has only 0',
  full: 'is full: raise maxmemory',
  loading: 'loads its data after a start: wait',
  misconf: 'cannot write its snapshot or log: free its disk',
  protected:
    'is in protected mode, which serves only its own machine: set a password, or protected-mode no',
  replication: 'has too few replicas, or has lost its primary: check INFO replication',
}

/** Remedy for a command that a server does not know. */
export const UNKNOWN_COMMAND_REMEDY =
  'use Redis 7 or later without renamed commands, not a proxy or service that leaves it out'

function unsupportedReason(root: unknown, at: string): string {
  const reply = readReplyError(root)
  const command = (reply?.kind === 'unknown-command' && reply.command) || 'a command'
  return `${at} does not know ${command}, which Vestibule needs: ${UNKNOWN_COMMAND_REMEDY}`
}

/** Names what the user lacks, and the rule to add. */
function missingRight(root: unknown): string {
  const reply = readReplyError(root)
  const denied = reply?.kind === 'denied' ? reply : undefined
  if (denied?.missing === 'key') return 'a key: add ~ with REDIS_KEY_PREFIX and *'
  if (denied?.missing === 'channel') return 'a channel: add those of docs/operations.md'
  const command = denied?.command
  return command === undefined
    ? 'a command, key or channel: add the right'
    : `${command.toUpperCase()}: add +${command}`
}
