import { createSingleFlight } from '../../timing/single-flight.ts'
import { type ClientConnection, openClient, type RedisClient, runOrDrop } from '../client.ts'
import { TopologyError } from '../failure.ts'
import { readReplyError } from '../reply-errors.ts'
import type { SentinelTarget, ServerAccess, ServerAddress } from '../target.ts'

/** Address of the primary as one Sentinel reports it; of several reports, the highest epoch is the latest. */
export interface ReportedPrimary extends ServerAddress {
  /** `config-epoch`, which rises with each failover. */
  readonly epoch: number
}

export type AskSentinel = () => Promise<ReportedPrimary>

const SENTINEL_TIMEOUT_MS = 500

/** Returns a single flight that asks one Sentinel for the primary, over a connection that is kept for the next time. */
export function createSentinelAsker(
  target: () => SentinelTarget,
  address: ServerAddress,
  signal: AbortSignal,
): AskSentinel {
  const { primaryName } = target()
  const open = () =>
    openClient(
      {
        ...address,
        ...serverAccessOf(target()),
        database: 0,
        namedBy: 'REDIS_SENTINEL_ADDRESSES',
      },
      SENTINEL_TIMEOUT_MS,
      signal,
    )
  let current: ClientConnection | undefined
  async function ask(): Promise<ReportedPrimary> {
    try {
      if (!current || current.hasEnded) current = await open()
      return await runOrDrop(current, SENTINEL_TIMEOUT_MS, (client) =>
        askPrimary(client, primaryName),
      )
    } catch (cause) {
      throw explain(cause, primaryName)
    }
  }
  const flight = createSingleFlight(ask)
  return () => flight.run()
}

/** Returns the credentials for the Sentinels, which differ from those for Redis. */
function serverAccessOf({ sentinelUsername, sentinelPassword, tls }: SentinelTarget): ServerAccess {
  return {
    ...(tls && { tls }),
    ...(sentinelUsername !== undefined && { username: sentinelUsername }),
    ...(sentinelPassword !== undefined && { password: sentinelPassword }),
  }
}

/** Takes the address from the second command, because the one in SENTINEL MASTER is outdated during a failover. */
async function askPrimary(client: RedisClient, primaryName: string): Promise<ReportedPrimary> {
  const [state, address] = await Promise.all([
    client.sendCommand<unknown>(['SENTINEL', 'MASTER', primaryName]),
    client.sendCommand<unknown>(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', primaryName]),
  ])
  const epoch = readEpoch(state)
  if (epoch === undefined || !Array.isArray(address))
    throw new Error('unknown reply from a Sentinel')
  const [host, port] = address.map(String)
  if (host === undefined) throw new Error('unknown reply from a Sentinel')
  return { host, port: Number(port), epoch }
}

/** Reads `config-epoch` out of a map, which under RESP2 is a list of names and values in turn. */
function readEpoch(state: unknown): number | undefined {
  if (Array.isArray(state)) {
    const at = state.indexOf('config-epoch')
    return at < 0 ? undefined : Number(state[at + 1])
  }
  const isMap = typeof state === 'object' && state !== null && 'config-epoch' in state
  return isMap ? Number(state['config-epoch']) : undefined
}

/** Turns an error reply of a Sentinel into a `TopologyError` that names the setting to change. */
function explain(cause: unknown, primaryName: string): unknown {
  const reply = readReplyError(cause)
  if (!reply) return cause
  switch (reply.kind) {
    case 'unknown-primary': {
      const message = `the Sentinels monitor no primary called ${primaryName}: correct REDIS_SENTINEL_MASTER`
      return new TopologyError('sentinel', message, cause)
    }
    case 'unknown-command': {
      const message =
        'REDIS_SENTINEL_ADDRESSES leads to a server that is not a Sentinel: name the Sentinels, or put the server into REDIS_ADDRESS instead'
      return new TopologyError('sentinel', message, cause)
    }
    case 'moved':
    case 'ask':
    case 'try-again':
    case 'denied':
    case 'cluster-disabled':
    case 'syntax-error':
    case 'other': {
      const message = `a Sentinel refuses the query (${reply.failure}): check REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD; its user needs +sentinel|master and +sentinel|get-master-addr-by-name`
      return new TopologyError(reply.failure, message, cause)
    }
  }
}
