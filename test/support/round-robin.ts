import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Passes each connection on to the next port of 127.0.0.1, as a Kubernetes Service does. */
export async function startRoundRobin(ports: readonly number[]) {
  const sockets = new Set<Socket>()
  let turn = 0
  let to = ports
  const server = createServer((client) => {
    const target = connect(Number(to[turn++ % to.length]), '127.0.0.1')
    const join = (from: Socket, to: Socket) => {
      sockets.add(from.setNoDelay(true))
      from.on('error', () => to.destroy()).once('close', () => to.destroySoon())
      from.once('close', () => sockets.delete(from)).pipe(to)
    }
    join(client, target)
    join(target, client)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    /** How many connections were accepted so far. */
    accepted: () => turn,
    /** Passes later connections on to these ports. */
    lead: (next: readonly number[]) => {
      to = next
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
