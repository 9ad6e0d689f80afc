import { type ClientConnection, openClient, type RedisClient, runOrDrop } from '../client.ts'
import { TopologyError } from '../failure.ts'
import { readReplyError } from '../reply-errors.ts'
import { addressOf, type ClusterTarget, type ServerAddress } from '../target.ts'

/** Range of slots, both ends included, and the primary that owns them. */
export interface SlotRange {
  readonly from: number
  readonly to: number
  readonly primary: ServerAddress
}

/** Reads the slot map: asks the `first` servers, then those of the last topology, then the seed nodes. */
export type ReadTopology = (
  target: ClusterTarget,
  first: readonly ServerAddress[],
  signal: AbortSignal,
) => Promise<readonly SlotRange[]>

/** Name of the addresses that CLUSTER SLOTS reports, for log lines. */
export const NAMED_BY_CLUSTER = 'the address that the cluster reports'

/** Time limit for one server, after which the next is asked. */
const ASK_TIMEOUT_MS = 1000

/** Creates a reader that remembers the last topology for when all seed nodes are gone. */
export function createTopologyReader(connectTimeoutMs: number): ReadTopology {
  const timeoutMs = Math.min(ASK_TIMEOUT_MS, connectTimeoutMs)
  let known: readonly ServerAddress[] = []
  return async (target, first, signal) => {
    const candidates = [...shuffle(first), ...shuffle(known), ...shuffle(target.servers)]
    const servers = new Map(candidates.map((server) => [addressOf(server), server])).values()
    let failure: unknown
    for (const server of servers) {
      try {
        const slots = await readSlots(target, server, timeoutMs, signal)
        const reported = slots.flatMap(({ master, replicas }) => [master, ...replicas])
        known = reported.map((each) => locate(each, server))
        return slots.map(({ from, to, master }) => ({ from, to, primary: locate(master, server) }))
      } catch (cause) {
        if (!(failure instanceof TopologyError)) failure = cause
      }
    }
    throw failure
  }
}

/** Connects to a primary chosen at random. */
export async function openRandomPrimary(
  target: ClusterTarget,
  readTopology: ReadTopology,
  connectTimeoutMs: number,
  signal: AbortSignal,
): Promise<ClientConnection> {
  const [range] = shuffle(await readTopology(target, [], signal))
  const timeoutMs = Math.min(ASK_TIMEOUT_MS, connectTimeoutMs)
  const { primary } = range as SlotRange
  const server = { ...target, ...primary, database: 0, namedBy: NAMED_BY_CLUSTER }
  return openClient(server, timeoutMs, signal)
}

/** Completes a reported address: a server that does not know its own host name is where it was asked. */
export function locate(
  { host, port }: { readonly host: string | null; readonly port: number },
  asked: ServerAddress,
): ServerAddress {
  return { host: !host || host === '?' ? asked.host : host, port }
}

type Slots = Awaited<ReturnType<RedisClient['clusterSlots']>>

async function readSlots(
  target: ClusterTarget,
  server: ServerAddress,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Slots> {
  const opened = await openClient({ ...target, ...server, database: 0 }, timeoutMs, signal)
  try {
    const slots = await runOrDrop(opened, timeoutMs, (client) => client.clusterSlots())
    if (slots.length > 0) return slots
  } catch (cause) {
    throw explain(cause)
  } finally {
    opened.drop(new Error('asked'))
  }
  throw new Error('this server knows no slots')
}

/** Turns an error reply to CLUSTER SLOTS into a `TopologyError` that names what to change. */
function explain(cause: unknown): unknown {
  switch (readReplyError(cause)?.kind) {
    case 'cluster-disabled':
    case 'unknown-command': {
      const message =
        'REDIS_CLUSTER is true, but this is not a Redis Cluster: remove REDIS_CLUSTER, or name the servers of a cluster'
      return new TopologyError('cluster', message, cause)
    }
    case 'denied':
      return new TopologyError('permission', 'the Redis user lacks +cluster|slots', cause)
    case 'moved':
    case 'ask':
    case 'try-again':
    case 'unknown-primary':
    case 'syntax-error':
    case 'other':
    case undefined:
      return cause
  }
}

function shuffle<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, order: Math.random() }))
    .toSorted((one, other) => one.order - other.order)
    .map(({ value }) => value)
}
