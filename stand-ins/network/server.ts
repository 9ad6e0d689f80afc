import type { Server as HttpServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import type { Duplex } from 'node:stream'

/** Listens, by default on a free loopback port, and resolves with the port; rejects when the port is taken. */
export async function listenOn(server: Server, port = 0, host = '127.0.0.1'): Promise<number> {
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject).listen(port, host, () => {
    server.off('error', listening.reject)
    listening.resolve()
  })
  await listening.promise
  return (server.address() as AddressInfo).port
}

/** Stops listening and drops every connection, upgraded ones included. */
export async function closeServer(server: HttpServer, upgraded: Iterable<Duplex> = []) {
  const closed = Promise.withResolvers<void>()
  server.close(() => closed.resolve())
  server.closeAllConnections()
  for (const socket of upgraded) socket.destroy()
  await closed.promise
}
