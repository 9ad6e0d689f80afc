import {
  addressOf,
  type ClientConnection,
  type ClusterTarget,
  openClient,
  type ServerAddress,
} from './client.ts'
import { type KeepOpenOptions, type KeptConnection, keepOpen } from './keep-open.ts'
import { DeadlineError, failureOf, ServerLostError, TopologyError } from './redis-failure.ts'

/** One primary of a cluster, and the connection to it, which comes back by itself. */
export interface ClusterServer {
  readonly address: ServerAddress
  readonly connection: KeptConnection
  /** Waits for a connection only where one is expected. Throws `ServerLostError` when it is lost under way. */
  send<T>(call: Call<T>, isAsking?: boolean): Promise<T>
  /** Drops the connection when something sent has waited for longer. */
  dropStalled(stalledAfterMs: number): void
}

export type Call<T> = (connection: ClientConnection) => Promise<T>

export interface ClusterServerOptions extends Pick<KeepOpenOptions, 'onOpen' | 'onOver'> {
  readonly target: () => ClusterTarget
  readonly connectTimeoutMs: number
}

export function keepServer(address: ServerAddress, options: ClusterServerOptions): ClusterServer {
  const explain = (cause: unknown) => {
    const text = `the primary ${addressOf(address)} of the cluster cannot be reached`
    return new TopologyError(failureOf(cause), text, cause)
  }
  const connection = keepOpen({
    onOpen: options.onOpen,
    onOver: (cause) => options.onOver(explain(cause)),
    open: async (signal) =>
      openClient(
        { ...options.target(), ...address, database: 0 },
        options.connectTimeoutMs,
        signal,
      ),
  })
  const waiting = new Set<{ readonly sinceMs: number }>()

  async function whenConnected(): Promise<ClientConnection> {
    if (!connection.isExpected) throw new Error(`not connected to ${addressOf(address)}`)
    await connection.attempt
    if (!connection.current) throw new ServerLostError(new Error('not connected'))
    return connection.current
  }

  return {
    address,
    connection,
    async send(call, isAsking = false) {
      const used = connection.current ?? (await whenConnected())
      const sent = { sinceMs: performance.now() }
      waiting.add(sent)
      try {
        // Counts for the command that is sent next on this connection; what becomes of it shows there.
        if (isAsking) used.client.sendCommand(['ASKING']).catch(() => undefined)
        return await call(used)
      } catch (cause) {
        throw used.isOver ? new ServerLostError(cause) : cause
      } finally {
        waiting.delete(sent)
      }
    },
    dropStalled(stalledAfterMs) {
      const [oldest] = waiting
      if (!oldest || performance.now() - oldest.sinceMs <= stalledAfterMs) return
      connection.current?.drop(new DeadlineError())
    },
  }
}
