import { randomUUID } from 'node:crypto'
import type { RedisClient } from './client.ts'
import { failureOf } from './redis-failure.ts'

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

/** What was found out about a Redis that was connected to. */
export interface Examination {
  readonly findings: readonly Finding[]
  readonly evictionPolicy?: string
  /** How far Redis's clock is ahead of ours. */
  readonly clockOffsetMs?: number
}

export interface ExaminedNames {
  readonly prefix: string
  readonly channel: string
}

const OLDEST_TESTED = '7.0'
const CLOCK_TOLERANCE_MS = 5000

/** Tries each command that the service uses, on names of its own, and reads what Redis says about itself. Never throws. */
export async function examineRedis(
  client: RedisClient,
  names: ExaminedNames,
  now: () => number,
): Promise<Examination> {
  const [info, refusals, clockOffsetMs] = await Promise.all([
    readInfo(client),
    tryCommands(client, names),
    measureClock(client, now),
  ])
  const role = info && roleFinding(info)
  if (role) return { findings: [role] }
  const evictionPolicy = info?.get('maxmemory_policy')
  const findings = [
    ...refusals,
    ...(info ? [versionFinding(info), evictionFinding(evictionPolicy), clusterFinding(info)] : []),
    clockFinding(clockOffsetMs),
  ].filter((finding) => finding !== undefined)
  return {
    findings,
    ...(evictionPolicy !== undefined && { evictionPolicy }),
    ...(clockOffsetMs !== undefined && { clockOffsetMs }),
  }
}

type Info = ReadonlyMap<string, string>

async function readInfo(client: RedisClient): Promise<Info | undefined> {
  const text = await client.info().catch(() => undefined)
  if (text === undefined) return undefined
  const lines = text.split('\r\n')
  return new Map(lines.map((line) => line.split(/:(.*)/, 2) as [string, string]))
}

/** Another kind of server than a single primary; nothing else about it is worth saying then. */
function roleFinding(info: Info): Finding | undefined {
  if (info.get('redis_mode') === 'sentinel') {
    const message = 'this is a Sentinel, not a Redis server: name the server that it watches'
    return { code: 'sentinel', message }
  }
  if (info.get('role') !== 'slave') return undefined
  const primary = `${info.get('master_host')}:${info.get('master_port')}`
  return {
    code: 'replica',
    message: `this is a replica, which refuses writes; its primary is ${primary}`,
  }
}

function clusterFinding(info: Info): Finding | undefined {
  if (info.get('cluster_enabled') !== '1') return undefined
  const message =
    'this is a node of a Redis Cluster behind a plain address: most keys live on other nodes'
  return { code: 'cluster', message }
}

function versionFinding(info: Info): Finding | undefined {
  const version = info.get('redis_version') ?? 'unknown'
  if (Number.parseFloat(version) >= Number(OLDEST_TESTED)) return undefined
  return {
    code: 'version',
    message: `Redis ${version} is older than the oldest tested, ${OLDEST_TESTED}`,
  }
}

function evictionFinding(policy: string | undefined): Finding | undefined {
  if (policy === undefined || policy === 'noeviction') return undefined
  const message = `maxmemory-policy is ${policy}, which removes sessions and replay markers that are still needed: set noeviction`
  return { code: 'eviction', message }
}

function clockFinding(offsetMs: number | undefined): Finding | undefined {
  if (offsetMs === undefined || Math.abs(offsetMs) <= CLOCK_TOLERANCE_MS) return undefined
  const seconds = (Math.abs(offsetMs) / 1000).toFixed(0)
  const side = offsetMs > 0 ? 'ahead of' : 'behind'
  return {
    code: 'clock',
    message: `the clock of Redis is ${seconds} s ${side} this machine’s: synchronise both`,
  }
}

async function measureClock(client: RedisClient, now: () => number): Promise<number | undefined> {
  const sentAtMs = now()
  const reply = await client.sendCommand(['TIME']).catch(() => undefined)
  if (!Array.isArray(reply)) return undefined
  const [seconds, micros] = reply.map(Number)
  const theirsMs = (seconds as number) * 1000 + (micros as number) / 1000
  return theirsMs - (sentAtMs + now()) / 2
}

/** Pipelined in this order; what the user may not do is named as Redis's own ACL rules are written. */
async function tryCommands(
  client: RedisClient,
  { prefix, channel }: ExaminedNames,
): Promise<Finding[]> {
  const key = `${prefix}{self-test-${randomUUID()}}`
  const record = `${key}:s`
  const index = `${key}:u`
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
    ['PUBLISH', channel, JSON.stringify({ v: 1, type: 'self-test' })],
    ['TIME'],
    ['INFO'],
    ['DEL', record, index],
  ] as const
  const outcomes = await Promise.allSettled(commands.map((command) => client.sendCommand(command)))
  const refused = outcomes.flatMap((outcome, index) => {
    const [name] = commands[index] as readonly [string]
    return outcome.status === 'rejected' ? [refusal(name, outcome.reason, { prefix, channel })] : []
  })
  return [...new Map(refused.map((finding) => [finding.message, finding])).values()]
}

function refusal(command: string, cause: unknown, { prefix, channel }: ExaminedNames): Finding {
  const failure = failureOf(cause)
  if (failure !== 'permission') {
    return { code: 'refused', message: `${command} is refused: ${failure}` }
  }
  const text = (cause as Error).message
  const missing = text.includes(' key')
    ? `~${prefix}*`
    : text.includes(' channel')
      ? `&${channel}`
      : `+${command.toLowerCase()}`
  return { code: 'access', message: `the Redis user lacks ${missing} (needed for ${command})` }
}
