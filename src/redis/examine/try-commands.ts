import { randomUUID } from 'node:crypto'
import type { Command, Primary } from '../client.ts'
import { type Finding, refusalFinding } from './finding.ts'

/** Names that the service uses in Redis. */
export interface SelfTestNames {
  readonly prefix: string
  /** Name of a channel, and prefix of the channels that only the self-test uses. */
  readonly channel: string
  readonly fleetChannel: string
}

/**
 * Tries the commands in one pipeline, in this order, and names the right that each refused one lacks in the syntax of
 * ACL rules. Rejects when the connection ends before Redis has answered all.
 */
export async function tryCommands(primary: Primary, names: SelfTestNames): Promise<Finding[]> {
  const commands = commandsToTry(primary, names)
  const testChannel = `${names.channel}:self-test`
  const all: Command<Outcomes> = (client) =>
    Promise.allSettled(commands.map((command) => client.sendCommand(command)))
  // Leaves out SUBSCRIBE under RESP2, where a connection that has subscribed refuses all other commands.
  const mayNotSubscribe = await primary.run(async (client) => client.options.RESP === 2)
  // Subscribes last, because Redis disconnects subscribers whose replies are large, as those to the commands may be.
  const subscribe: Command<Outcomes> = (client) =>
    Promise.allSettled([client.subscribe(testChannel, ignore)])
  const unsubscribe: Command<Outcomes> = (client) =>
    Promise.allSettled([client.unsubscribe(testChannel, ignore)])
  const outcomes: PromiseSettledResult<unknown>[] = []
  // Runs each step as a command of its own, so that a slow Redis does not count as stalled.
  const steps = mayNotSubscribe ? [all] : [all, subscribe, unsubscribe]
  for (const step of steps) outcomes.push(...(await primary.run(step)))
  const tried = [...commands, ['SUBSCRIBE', testChannel], ['UNSUBSCRIBE', testChannel]]
  const refused = outcomes.flatMap((outcome, at) => {
    if (outcome.status === 'fulfilled') return []
    return [refusalFinding(tried[at] ?? [], outcome.reason, names)]
  })
  const isFirst = ({ message }: Finding, at: number) =>
    refused.findIndex((each) => each.message === message) === at
  return refused.filter(isFirst)
}

/** Lists every command that the service sends. */
function commandsToTry(primary: Primary, { prefix, channel, fleetChannel }: SelfTestNames) {
  const tag = findTagOwnedBy(primary, prefix)
  const key = `${prefix}${tag}`
  const record = `${key}:s`
  const index = `${key}:u`
  const stream = `${key}:e`
  // Names a key of each kind, because a user may have the right to some of them only.
  const kinds = KEY_KINDS.map((kind) => `${prefix}${kind}${tag}`)
  const message = JSON.stringify({ v: 1, type: 'self-test' })
  return [
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
    ['XADD', stream, 'MAXLEN', '1', '*', 'e', '1'],
    ['PEXPIRE', stream, '5000'],
    ['XRANGE', stream, '-', '+'],
    ['XREVRANGE', stream, '+', '-'],
    ['XDEL', stream, '0-1'],
    ['EVAL', 'return 1', `${1 + kinds.length}`, record, ...kinds],
    ['SCAN', '0', 'MATCH', record, 'COUNT', '1'],
    ['PUBLISH', channel, message],
    ['PUBLISH', fleetChannel, message],
    ['TIME'],
    ['INFO'],
    ['PING'],
    ...(primary.isInCluster ? [['ASKING'] as const] : []),
    ['DEL', record, index, stream],
  ] as const
}

/** Beginnings of the keys of indexes, generations and consumption marks, after the prefix. */
const KEY_KINDS = ['u:', 'p:', 'g:', 'j:self-test:']

type Outcomes = readonly PromiseSettledResult<unknown>[]

const ignore = () => undefined

/** Bounds the search for a key in a slot of the server; a server with one of 16,384 slots is missed once in 200,000. */
const MAX_TRIES = 200_000

/** Returns a hash tag; all keys with it are in one slot. */
function findTagOwnedBy({ owns }: Primary, prefix: string): string {
  const id = randomUUID()
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const tag = `{self-test-${id}-${attempt}}`
    if (owns(`${prefix}${tag}`)) return tag
  }
  return `{self-test-${id}}`
}
