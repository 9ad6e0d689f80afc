import { UNKNOWN_COMMAND_REMEDY } from '../describe-failure.ts'
import { failureOf, type RedisFailure } from '../failure.ts'
import { beginningOfReply, readReplyError } from '../reply-errors.ts'
import type { SelfTestNames } from './try-commands.ts'

/** Problem of a Redis, with a message that says how to solve it. */
export interface Finding {
  readonly code: FindingCode
  readonly message: string
  /** Set where nobody can sign in because of it, since sessions cannot be written (finding C51). */
  readonly stopsSignIn?: true
  /** Set where messages of other replicas do not arrive because of it. */
  readonly stopsMessages?: true
}

export type FindingCode =
  | 'busy'
  | 'clock'
  | 'cluster'
  | 'eviction'
  | 'full'
  | 'loading'
  | 'misconf'
  | 'refused'
  | 'replica'
  | 'replication'
  | 'rights'
  | 'sentinel'
  | 'unsupported'
  | 'version'

/** Findings for the states in which a server refuses commands, whichever they are. */
const STATES: Partial<Record<RedisFailure, readonly [FindingCode, message: string]>> = {
  busy: ['busy', 'a script runs for too long, so nobody can sign in: SCRIPT KILL'],
  cluster: [
    'cluster',
    'a slot of the Redis Cluster is on another node or not served, so people cannot sign in: set REDIS_CLUSTER=true, or see CLUSTER INFO',
  ],
  full: ['full', 'Redis is full, so nobody can sign in: raise maxmemory'],
  loading: ['loading', 'Redis loads its data, so nobody can sign in: wait'],
  misconf: [
    'misconf',
    'Redis cannot write its snapshot or log, so nobody can sign in: free its disk',
  ],
  readonly: ['replica', 'this is a replica, which refuses writes: connect to its primary'],
  replication: [
    'replication',
    'too few replicas are connected, so Redis refuses writes and nobody can sign in: check INFO replication and min-replicas-to-write',
  ],
}

/** Returns the code under which a server that cannot even be connected to counts among the findings. */
export function codeOfLoss(failure: RedisFailure): FindingCode | undefined {
  return STATES[failure]?.[0] ?? CODES_OF_REFUSALS[failure]
}

const CODES_OF_REFUSALS: Partial<Record<RedisFailure, FindingCode>> = {
  permission: 'rights',
  sentinel: 'sentinel',
  unsupported: 'unsupported',
}

/** Commands of streams, which broadcasts alone need. */
const FOR_BROADCASTS = ['XADD', 'XDEL', 'XRANGE', 'XREVRANGE']

/** Commands that neither a sign-in nor a check needs. */
const NOT_FOR_SIGN_IN = new Set([
  'INFO',
  'PING',
  'SCAN',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  ...FOR_BROADCASTS,
])

/** Returns what the refusal of a command shows. */
export function refusalFinding(
  tried: readonly string[],
  cause: unknown,
  names: SelfTestNames,
): Finding {
  const state = STATES[failureOf(cause)]
  if (state) return { code: state[0], message: state[1], stopsSignIn: true }
  const [command = '', name = ''] = tried
  const isNeeded = !NOT_FOR_SIGN_IN.has(command) && name !== names.fleetChannel
  const { code, message } = ofCommand(command, name, cause, names)
  const isForBroadcasts = FOR_BROADCASTS.includes(command)
  return {
    code,
    message: isForBroadcasts ? `${message}; until then no broadcast can be sent` : message,
    ...(isNeeded && { stopsSignIn: true }),
    ...(command === 'SUBSCRIBE' && { stopsMessages: true }),
  }
}

/** Names what a single command lacks; a right, in the syntax of ACL rules. */
function ofCommand(
  command: string,
  name: string,
  cause: unknown,
  { prefix, channel }: SelfTestNames,
): Finding {
  const reply = readReplyError(cause)
  if (reply?.kind === 'denied') {
    const rules = {
      command: `+${command.toLowerCase()}`,
      key: `~${prefix}*`,
      channel: `&${name.startsWith(channel) ? `${channel}*` : name}`,
    }
    const message = `the Redis user lacks ${rules[reply.missing]} (needed for ${command})`
    return { code: 'rights', message }
  }
  if (reply?.kind === 'unknown-command') {
    const message = `this server does not know ${command}: ${UNKNOWN_COMMAND_REMEDY}`
    return { code: 'unsupported', message }
  }
  const text = beginningOfReply(cause)
  const message = `${command} is refused: ${failureOf(cause)}${text ? ` (${text})` : ''}`
  return { code: 'refused', message }
}
