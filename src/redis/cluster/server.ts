import { type ClientConnection, type Command, openClient } from '../client.ts'
import { failureOf, ServerLostError, TopologyError } from '../failure.ts'
import { type KeepOpenOptions, type KeptConnection, keepOpen } from '../keep-open.ts'
import { asPromise } from '../reply-handler.ts'
import { NotConnectedError } from '../server-failure.ts'
import { addressOf, type ClusterTarget, type ServerAddress } from '../target.ts'
import { NAMED_BY_CLUSTER } from './topology.ts'

/** Primary of a cluster and the connection to it, which reconnects by itself. */
export interface ClusterServer {
  readonly address: ServerAddress
  readonly connection: KeptConnection
  /**
   * Sends a command, preceded by ASKING where `isAsking`. Waits for a connection only while one is expected. Throws
   * `ServerLostError` when the connection is lost before the reply.
   */
  send<T>(command: Command<T>, isAsking?: boolean): Promise<T>
  /** Drops the connection when its oldest command has waited longer than this. */
  dropStalled(stalledAfterMs: number): void
}

export interface ClusterServerOptions extends Pick<KeepOpenOptions, 'onOpen' | 'onEnded'> {
  readonly target: () => ClusterTarget
  readonly connectTimeoutMs: number
}

/** Connects to one primary until its connection is closed. */
export function keepServer(address: ServerAddress, options: ClusterServerOptions): ClusterServer {
  function explain(cause: unknown): TopologyError {
    const text = `the primary ${addressOf(address)} of the cluster cannot be reached`
    return new TopologyError(failureOf(cause), text, cause)
  }
  let latestLoss: unknown
  const connection = keepOpen({
    onOpen: options.onOpen,
    onEnded(cause) {
      latestLoss = cause
      options.onEnded(explain(cause))
    },
    open: async (signal) =>
      openClient(
        { ...options.target(), ...address, database: 0, namedBy: NAMED_BY_CLUSTER },
        options.connectTimeoutMs,
        signal,
      ),
  })

  async function whenConnected(): Promise<ClientConnection> {
    if (!connection.isExpected) throw new NotConnectedError(latestLoss)
    await connection.attempt
    if (!connection.current) throw new ServerLostError(new NotConnectedError(latestLoss))
    return connection.current
  }

  return {
    address,
    connection,
    async send(command, isAsking = false) {
      const withAsking: typeof command = (client, binary) => {
        // ASKING applies to the next command on this connection, whose outcome shows whether it failed.
        if (isAsking) client.sendCommand(['ASKING']).catch(() => undefined)
        return command(client, binary)
      }
      const used = connection.current ?? (await whenConnected())
      try {
        return await asPromise((handler) => used.send(undefined, withAsking, handler))
      } catch (cause) {
        throw used.hasEnded ? new ServerLostError(cause) : cause
      }
    },
    dropStalled: (stalledAfterMs) => connection.current?.dropStalled(stalledAfterMs),
  }
}
