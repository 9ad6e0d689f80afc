import {
  addressOf,
  type ClientConnection,
  type ClusterTarget,
  type Command,
  openClient,
  type ServerAddress,
} from '../client.ts'
import { failureOf, ServerLostError, TopologyError } from '../failure.ts'
import { type KeepOpenOptions, type KeptConnection, keepOpen } from '../keep-open.ts'

/** One primary of a cluster, and the connection to it, which comes back by itself. */
export interface ClusterServer {
  readonly address: ServerAddress
  readonly connection: KeptConnection
  /** Waits for a connection only where one is expected. Throws `ServerLostError` when it is lost under way. */
  send<T>(command: Command<T>, isAsking?: boolean): Promise<T>
  /** Drops the connection when a command sent over it has waited for longer. */
  dropStalled(stalledAfterMs: number): void
}

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

  async function whenConnected(): Promise<ClientConnection> {
    if (!connection.isExpected) throw new Error(`not connected to ${addressOf(address)}`)
    await connection.attempt
    if (!connection.current) throw new ServerLostError(new Error('not connected'))
    return connection.current
  }

  return {
    address,
    connection,
    async send(command, isAsking = false) {
      const used = connection.current ?? (await whenConnected())
      try {
        return await used.run(undefined, (client, binary) => {
          // ASKING applies to the next command on this connection, whose outcome shows whether it failed.
          if (isAsking) client.sendCommand(['ASKING']).catch(() => undefined)
          return command(client, binary)
        })
      } catch (cause) {
        throw used.isOver ? new ServerLostError(cause) : cause
      }
    },
    dropStalled: (stalledAfterMs) => connection.current?.dropStalled(stalledAfterMs),
  }
}
