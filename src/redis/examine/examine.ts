import type { Primary, RedisClient } from '../client.ts'
import type { RedisConnection } from '../connection.ts'
import type { Finding } from './finding.ts'
import { type SelfTestNames, tryCommands } from './try-commands.ts'

/** Result of the self-test of a connected Redis. */
export interface Examination {
  readonly findings: readonly Finding[]
  readonly evictionPolicy?: string
  /** Wall clock of Redis minus that of this process; in a cluster, the largest difference. */
  readonly clockOffsetMs?: number
  /** Memory of Redis; in a cluster, of the fullest primary. */
  readonly memory?: RedisMemory
  /** Uptime of the Redis process that was started last. */
  readonly uptimeMs?: number
  /** True while some Redis process loads its data and refuses nearly all commands (fault F11). */
  readonly isLoading?: boolean
  /** `run_id` of each examined process; another process may have other data. */
  readonly runIds: readonly string[]
}

interface RedisMemory {
  readonly usedBytes: number
  /** `maxmemory`; infinite where none is set. */
  readonly maxBytes: number
}

const OLDEST_TESTED = '7.0'
const CLOCK_TOLERANCE_MS = 5000

/**
 * Tries each command that the service uses, on keys of its own, and reads INFO and TIME; in a cluster, at each primary.
 * Throws only when Redis does not answer.
 */
export async function examineRedis(
  connection: Pick<RedisConnection, 'runAtEach'>,
  names: SelfTestNames,
  now: () => number,
  timeoutMs: number,
): Promise<Examination> {
  const examine = async (primary: Primary) => {
    const examination = await examinePrimary(primary, names, now)
    return primary.isInCluster ? withAddress(examination, primary) : examination
  }
  const examinations = await connection.runAtEach(examine, timeoutMs)
  const policies = examinations.flatMap(({ evictionPolicy }) => evictionPolicy ?? [])
  const policy = policies.find(isHarmful) ?? policies[0]
  const offsets = examinations.flatMap(({ clockOffsetMs }) => clockOffsetMs ?? [])
  const memories = examinations.flatMap(({ memory }) => memory ?? [])
  const [memory] = memories.toSorted((one, other) => partUsed(other) - partUsed(one))
  const uptimes = examinations.flatMap(({ uptimeMs }) => uptimeMs ?? [])
  const [offset] = offsets.toSorted((one, other) => Math.abs(other) - Math.abs(one))
  return {
    findings: examinations.flatMap(({ findings }) => findings),
    runIds: examinations.flatMap(({ runIds }) => runIds).toSorted(),
    ...(policy !== undefined && { evictionPolicy: policy }),
    ...(offset !== undefined && { clockOffsetMs: offset }),
    ...(memory !== undefined && { memory }),
    ...(uptimes.length > 0 && { uptimeMs: Math.min(...uptimes) }),
    ...(examinations.some(({ isLoading }) => isLoading) && { isLoading: true }),
  }
}

function withAddress({ findings, ...rest }: Examination, { address }: Primary): Examination {
  const named = findings.map((each) => ({ ...each, message: `${address}: ${each.message}` }))
  return { ...rest, findings: named }
}

async function examinePrimary(
  primary: Primary,
  names: SelfTestNames,
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
  const cluster = primary.isInCluster ? undefined : clusterFinding(info)
  const findings = [
    // Leaves out redirections by a node of a cluster, which INFO shows by itself.
    ...refusals.filter(({ code }) => !cluster || code !== cluster.code),
    ...(info ? [versionFinding(info), evictionFinding(evictionPolicy)] : []),
    cluster,
    clockFinding(clockOffsetMs),
  ].filter((finding) => finding !== undefined)
  return {
    findings,
    runIds,
    ...(evictionPolicy !== undefined && { evictionPolicy }),
    ...(clockOffsetMs !== undefined && { clockOffsetMs }),
    ...processState(info),
  }
}

type Info = ReadonlyMap<string, string>

type ProcessState = Pick<Examination, 'uptimeMs' | 'isLoading' | 'memory'>

function processState(info: Info | undefined): ProcessState {
  const seconds = info?.get('uptime_in_seconds')
  const memory = info && memoryOf(info)
  return {
    ...(memory && { memory }),
    ...(seconds !== undefined && { uptimeMs: Number(seconds) * 1000 }),
    ...(info?.get('loading') === '1' && { isLoading: true }),
  }
}

function memoryOf(info: Info): RedisMemory | undefined {
  const [used, max] = [info.get('used_memory'), info.get('maxmemory')]
  if (used === undefined || max === undefined) return undefined
  return { usedBytes: Number(used), maxBytes: Number(max) || Number.POSITIVE_INFINITY }
}

function partUsed({ usedBytes, maxBytes }: RedisMemory): number {
  return usedBytes / maxBytes
}

async function readInfo(client: RedisClient): Promise<Info | undefined> {
  const text = await client.info().catch(() => undefined)
  if (text === undefined) return undefined
  const lines = text.split('\r\n')
  return new Map(lines.map((line) => line.split(/:(.*)/, 2) as [string, string]))
}

/** Reports a Sentinel or a replica, in which case no other finding matters. */
function roleFinding(info: Info): Finding | undefined {
  if (info.get('redis_mode') === 'sentinel') {
    const message =
      'this is a Sentinel, not a Redis server: put it into REDIS_SENTINEL_ADDRESSES, and the name of the primary into REDIS_SENTINEL_MASTER'
    return { code: 'sentinel', message, stopsSignIn: true }
  }
  if (info.get('role') !== 'slave') return undefined
  const primary = `${info.get('master_host')}:${info.get('master_port')}`
  return {
    code: 'replica',
    message: `this is a replica, which refuses writes: connect to its primary ${primary}`,
    stopsSignIn: true,
  }
}

function clusterFinding(info: Info | undefined): Finding | undefined {
  if (info?.get('cluster_enabled') !== '1') return undefined
  const message =
    'this is a node of a Redis Cluster, and most keys are on other nodes: set REDIS_CLUSTER=true'
  return { code: 'cluster', message, stopsSignIn: true }
}

function versionFinding(info: Info): Finding | undefined {
  const version = info.get('redis_version')
  if (Number.parseFloat(version ?? '') >= Number(OLDEST_TESTED)) return undefined
  const message =
    version === undefined
      ? `INFO names no version of Redis: the oldest tested version is ${OLDEST_TESTED}`
      : `Redis ${version} is older than the oldest tested version, ${OLDEST_TESTED}: upgrade it`
  return { code: 'version', message }
}

function evictionFinding(policy: string | undefined): Finding | undefined {
  if (policy === undefined || !isHarmful(policy)) return undefined
  const message = `maxmemory-policy is ${policy}, which evicts sessions and replay marks that are still needed: set noeviction`
  return { code: 'eviction', message }
}

function isHarmful(policy: string): boolean {
  return policy !== 'noeviction'
}

function clockFinding(offsetMs: number | undefined): Finding | undefined {
  if (offsetMs === undefined || Math.abs(offsetMs) <= CLOCK_TOLERANCE_MS) return undefined
  const seconds = (Math.abs(offsetMs) / 1000).toFixed(0)
  const direction = offsetMs > 0 ? 'ahead of' : 'behind'
  return {
    code: 'clock',
    message: `the clock of Redis is ${seconds} s ${direction} this machine’s: synchronise both`,
  }
}

/** Compares TIME with the middle between sending and receiving, so that half the round trip is accounted for. */
async function measureClock(client: RedisClient, now: () => number): Promise<number | undefined> {
  const sentAtMs = now()
  const reply = await client.sendCommand(['TIME']).catch(() => undefined)
  if (!Array.isArray(reply)) return undefined
  const [seconds, micros] = reply.map(Number)
  const redisMs = (seconds as number) * 1000 + (micros as number) / 1000
  return redisMs - (sentAtMs + now()) / 2
}
