import { randomUUID } from 'node:crypto'
import type { Command, Primary } from '../client.ts'
import { failureOf } from '../failure.ts'

/** Something about Redis that will hurt, and what to do about it. */
export interface Finding {
  readonly code:
    | 'access'
    | 'clock'
    | 'cluster'
    | 'eviction'
    | 'refused'
    | 'replica'
    | 'sentinel'
    | 'version'
  readonly message: string
}

/** The names that the service uses. */
export interface TriedNames {
  readonly prefix: string
  /** Channels that begin with it are used too. */
  readonly channel: string
  readonly fleetChannel: string
}

/**
 * Tries the commands in one pipeline, in this order, and names each refused one in the syntax of Redis's ACL rules.
 * Rejects when the connection ends before Redis has answered all.
 */
export async function tryCommands(primary: Primary, names: TriedNames): Promise<Finding[]> {
  const { prefix, channel, fleetChannel } = names
  const key = ownKey(prefix, primary)
  const record = `${key}:s`
  const index = `${key}:u`
  const message = JSON.stringify({ v: 1, type: 'self-test' })
  const commands = [
    ['SET', record, '1', 'PX', '5000'],
    ['SET', record, '1', 'NX', 'PX', '5000'],
    ['GET', record],
    ['MGET', record],
    ['EXISTS', record],
    ['TYPE', record],
    ['PEXPIRE', record, '5000'],
    ['ZADD', index, '1', '1'],
    ['PEXPIRE', index, '5000'],
    ['PTTL', index],
    ['ZRANGEBYSCORE', index, '-inf', '+inf'],
    ['ZREMRANGEBYSCORE', index, '-inf', '0'],
    ['ZREM', index, '1'],
    ['EVAL', 'return 1', '1', record],
    ['SCAN', '0', 'MATCH', record, 'COUNT', '1'],
    ['PUBLISH', channel, message],
    ['PUBLISH', fleetChannel, message],
    ['TIME'],
    ['INFO'],
    ['PING'],
    ...(primary.isInCluster ? [['ASKING'] as const] : []),
    ['DEL', record, index],
  ] as const
  const heard = `${channel}:self-test`
  const all: Command<Outcomes> = (client) =>
    Promise.allSettled(commands.map((command) => client.sendCommand(command)))
  // By themselves, since Redis cuts subscribers off whose answers are large, as those to commands may be.
  const subscribe: Command<Outcomes> = (client) =>
    Promise.allSettled([client.subscribe(heard, ignore)])
  const unsubscribe: Command<Outcomes> = (client) =>
    Promise.allSettled([client.unsubscribe(heard, ignore)])
  const outcomes: PromiseSettledResult<unknown>[] = []
  // Runs each step as a command of its own, so that a slow Redis is not taken for a stalled one.
  for (const step of [all, subscribe, unsubscribe]) outcomes.push(...(await primary.run(step)))
  const tried = [...commands, ['SUBSCRIBE', heard], ['UNSUBSCRIBE', heard]]
  const refused = outcomes.flatMap((outcome, at) => {
    if (outcome.status === 'fulfilled') return []
    // That it is a cluster behind a plain address is a finding by itself.
    if (!primary.isInCluster && failureOf(outcome.reason) === 'cluster') return []
    return [refusal(tried[at] ?? [], outcome.reason, names)]
  })
  return [...new Map(refused.map((finding) => [finding.message, finding])).values()]
}

type Outcomes = readonly PromiseSettledResult<unknown>[]

const ignore = () => undefined

/** Bounds the search for a key in a slot of the server; one of 16,384 slots is missed with a chance of 1 in 200,000. */
const MAX_TRIES = 200_000

function ownKey(prefix: string, { owns }: Primary): string {
  const id = randomUUID()
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const key = `${prefix}{self-test-${id}-${attempt}}`
    if (owns(key)) return key
  }
  return `${prefix}{self-test-${id}}`
}

function refusal(
  [command, name = '']: readonly string[],
  cause: unknown,
  { prefix, channel }: TriedNames,
): Finding {
  const failure = failureOf(cause)
  if (failure !== 'permission') {
    return { code: 'refused', message: `${command} is refused: ${failure}` }
  }
  const text = (cause as Error).message
  const missing = text.includes(' key')
    ? `~${prefix}*`
    : text.includes(' channel')
      ? `&${name.startsWith(channel) ? `${channel}*` : name}`
      : `+${command?.toLowerCase()}`
  return { code: 'access', message: `the Redis user lacks ${missing} (needed for ${command})` }
}
