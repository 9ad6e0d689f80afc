import type { Primary, RedisClient } from '../client.ts'
import type { RedisConnection } from '../connection.ts'
import { type Finding, type TriedNames, tryCommands } from './try-commands.ts'

/** What was found out about a Redis that was connected to. */
export interface Examination {
  readonly findings: readonly Finding[]
  readonly evictionPolicy?: string
  /** How far Redis's clock is ahead of ours. */
  readonly clockOffsetMs?: number
  /** Uptime of the process that was started last. */
  readonly uptimeMs?: number
  /** Some process has yet to read its data, and refuses nearly everything until then (fault F11). */
  readonly isLoading?: boolean
  /** Of the processes that were examined: others may have other data. */
  readonly runIds: readonly string[]
}

const OLDEST_TESTED = '7.0'
const CLOCK_TOLERANCE_MS = 5000

/**
 * Tries each command that the service uses, on names of its own, and reads what Redis says about itself; in a cluster
 * at every primary. Throws only when there is no answer.
 */
export async function examineRedis(
  connection: Pick<RedisConnection, 'runAtEach'>,
  names: TriedNames,
  now: () => number,
  timeoutMs: number,
): Promise<Examination> {
  const examine = async (primary: Primary) => {
    const made = await examinePrimary(primary, names, now)
    return primary.isInCluster ? nameIt(made, primary) : made
  }
  const made = await connection.runAtEach(examine, timeoutMs)
  const policies = made.flatMap(({ evictionPolicy }) => evictionPolicy ?? [])
  const policy = policies.find(isHarmful) ?? policies[0]
  const offsets = made.flatMap(({ clockOffsetMs }) => clockOffsetMs ?? [])
  const uptimes = made.flatMap(({ uptimeMs }) => uptimeMs ?? [])
  const [offset] = offsets.toSorted((one, other) => Math.abs(other) - Math.abs(one))
  return {
    findings: made.flatMap(({ findings }) => findings),
    runIds: made.flatMap(({ runIds }) => runIds).toSorted(),
    ...(policy !== undefined && { evictionPolicy: policy }),
    ...(offset !== undefined && { clockOffsetMs: offset }),
    ...(uptimes.length > 0 && { uptimeMs: Math.min(...uptimes) }),
    ...(made.some(({ isLoading }) => isLoading) && { isLoading: true }),
  }
}

function nameIt({ findings, ...rest }: Examination, { address }: Primary): Examination {
  const named = findings.map(({ code, message }) => ({ code, message: `${address}: ${message}` }))
  return { ...rest, findings: named }
}

async function examinePrimary(
  primary: Primary,
  names: TriedNames,
  now: () => number,
): Promise<Examination> {
  const [info, refusals, clockOffsetMs] = await Promise.all([
    primary.run(readInfo),
    tryCommands(primary, names),
    primary.run((client) => measureClock(client, now)),
  ])
  const runIds = [info?.get('run_id') ?? '']
  const role = info && roleFinding(info)
  if (role) return { findings: [role], runIds }
  const evictionPolicy = info?.get('maxmemory_policy')
  const findings = [
    ...refusals,
    ...(info ? [versionFinding(info), evictionFinding(evictionPolicy)] : []),
    primary.isInCluster ? undefined : clusterFinding(info),
    clockFinding(clockOffsetMs),
  ].filter((finding) => finding !== undefined)
  return {
    findings,
    runIds,
    ...(evictionPolicy !== undefined && { evictionPolicy }),
    ...(clockOffsetMs !== undefined && { clockOffsetMs }),
    ...processOf(info),
  }
}

type Info = ReadonlyMap<string, string>

function processOf(info: Info | undefined): Pick<Examination, 'uptimeMs' | 'isLoading'> {
  const seconds = info?.get('uptime_in_seconds')
  return {
    ...(seconds !== undefined && { uptimeMs: Number(seconds) * 1000 }),
    ...(info?.get('loading') === '1' && { isLoading: true }),
  }
}

async function readInfo(client: RedisClient): Promise<Info | undefined> {
  const text = await client.info().catch(() => undefined)
  if (text === undefined) return undefined
  const lines = text.split('\r\n')
  return new Map(lines.map((line) => line.split(/:(.*)/, 2) as [string, string]))
}

/** Another kind of server than a single primary; nothing else about it is worth saying then. */
function roleFinding(info: Info): Finding | undefined {
  if (info.get('redis_mode') === 'sentinel') {
    const message =
      'this is a Sentinel, not a Redis server: put it into REDIS_SENTINEL_ADDRESSES, and the name of the primary into REDIS_SENTINEL_MASTER'
    return { code: 'sentinel', message }
  }
  if (info.get('role') !== 'slave') return undefined
  const primary = `${info.get('master_host')}:${info.get('master_port')}`
  return {
    code: 'replica',
    message: `this is a replica, which refuses writes; its primary is ${primary}`,
  }
}

function clusterFinding(info: Info | undefined): Finding | undefined {
  if (info?.get('cluster_enabled') !== '1') return undefined
  const message =
    'this is a node of a Redis Cluster, and most keys live on other nodes: set REDIS_CLUSTER=true'
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
  if (policy === undefined || !isHarmful(policy)) return undefined
  const message = `maxmemory-policy is ${policy}, which removes sessions and replay markers that are still needed: set noeviction`
  return { code: 'eviction', message }
}

function isHarmful(policy: string): boolean {
  return policy !== 'noeviction'
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
