import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface RoundRobin extends AsyncDisposable {
  readonly port: number
}

/** Passes each connection on to the next ready port of 127.0.0.1 that takes it, as a Kubernetes Service does. */
export async function startRoundRobin(
  ports: readonly number[],
  isReady: (port: number) => boolean,
): Promise<RoundRobin> {
  const sockets = new Set<Socket>()
  let turn = 0
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.setNoDelay(true).once('close', () => sockets.delete(socket))
  }
  const connectToOne = async (): Promise<Socket | undefined> => {
    for (const _ of ports) {
      const port = Number(ports[turn++ % ports.length])
      if (!isReady(port)) continue
      const target = connect(port, '127.0.0.1')
      keep(target)
      const isConnected = await once(target, 'connect').then(
        () => true,
        () => false,
      )
      if (isConnected) return target
    }
    return undefined
  }
  const join = async (client: Socket): Promise<void> => {
    const target = await connectToOne()
    if (!target || client.destroyed) {
      client.destroy()
      target?.destroy()
      return
    }
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      from.on('error', () => to.destroy()).once('close', () => to.destroySoon())
      from.pipe(to)
    }
  }

  const server = createServer({ pauseOnConnect: true }, (client) => {
    keep(client)
    client.on('error', () => client.destroy())
    void join(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
