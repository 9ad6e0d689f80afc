import { ErrorReply } from 'redis'
import {
  addressOf,
  answerOf,
  type ClientConnection,
  type ClusterTarget,
  openClient,
  type RedisClient,
  type ServerAddress,
} from '../client.ts'
import { failureOf, TopologyError } from '../failure.ts'

/** Which server has which keys. */
export interface SlotRange {
  readonly from: number
  readonly to: number
  readonly primary: ServerAddress
}

/** Asks the servers that are given first, then those of the last topology, then those of the settings. */
export type ReadTopology = (
  target: ClusterTarget,
  first: readonly ServerAddress[],
  signal: AbortSignal,
) => Promise<readonly SlotRange[]>

/** A server of a cluster that does not answer within this is passed over. */
const ASK_TIMEOUT_MS = 1000

export function createTopologyReader(connectTimeoutMs: number): ReadTopology {
  const timeoutMs = Math.min(ASK_TIMEOUT_MS, connectTimeoutMs)
  let known: readonly ServerAddress[] = []
  return async (target, first, signal) => {
    const candidates = [...shuffle(first), ...shuffle(known), ...shuffle(target.servers)]
    const servers = new Map(candidates.map((server) => [addressOf(server), server])).values()
    let failure: unknown
    for (const server of servers) {
      try {
        const slots = await askOnce(target, server, timeoutMs, signal)
        const servers = slots.flatMap(({ master, replicas }) => [master, ...replicas])
        known = servers.map((told) => locate(told, server))
        return slots.map(({ from, to, master }) => ({ from, to, primary: locate(master, server) }))
      } catch (cause) {
        if (!(failure instanceof TopologyError)) failure = cause
      }
    }
    throw failure
  }
}

/** One that any server of the cluster would do for, another one each time. */
export async function openSomeServer(
  target: ClusterTarget,
  readTopology: ReadTopology,
  connectTimeoutMs: number,
  signal: AbortSignal,
): Promise<ClientConnection> {
  const [some] = shuffle(await readTopology(target, [], signal))
  const timeoutMs = Math.min(ASK_TIMEOUT_MS, connectTimeoutMs)
  return openClient({ ...target, ...(some as SlotRange).primary, database: 0 }, timeoutMs, signal)
}

type Slots = Awaited<ReturnType<RedisClient['clusterSlots']>>

async function askOnce(
  target: ClusterTarget,
  server: ServerAddress,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Slots> {
  const opened = await openClient({ ...target, ...server, database: 0 }, timeoutMs, signal)
  try {
    const slots = await answerOf(opened, timeoutMs, (client) => client.clusterSlots())
    if (slots.length > 0) return slots
  } catch (cause) {
    throw explain(cause)
  } finally {
    opened.drop(new Error('asked'))
  }
  throw new Error('this server knows no slots')
}

/** A server that does not know its own name is where it was asked. */
function locate(
  { host, port }: { readonly host: string | null; readonly port: number },
  asked: ServerAddress,
): ServerAddress {
  return { host: !host || host === '?' ? asked.host : host, port }
}

function explain(cause: unknown): unknown {
  if (!(cause instanceof ErrorReply)) return cause
  if (/^ERR (?:This instance has cluster support disabled|unknown command)/.test(cause.message)) {
    const remedy =
      'REDIS_CLUSTER is true, but this is not a Redis Cluster: remove REDIS_CLUSTER, or name the servers of a cluster'
    return new TopologyError('cluster', remedy, cause)
  }
  if (failureOf(cause) !== 'permission') return cause
  return new TopologyError('permission', 'the Redis user lacks +cluster|slots', cause)
}

function shuffle<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, order: Math.random() }))
    .toSorted((one, other) => one.order - other.order)
    .map(({ value }) => value)
}
