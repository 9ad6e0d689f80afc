import net from 'node:net'

/**
 * Loaded before the service (`node --import`): what its Redis client opens goes through the wire at `WIRE_PORT`, which is
 * told where to. Servers of a cluster and those that Sentinels name are reached like any other.
 */
const wirePort = Number(process.env['WIRE_PORT'])
type Connect = (options: net.TcpNetConnectOpts, onConnect?: () => void) => net.Socket
const connect = net.createConnection as Connect

const throughWire: Connect = (asked, onConnect) => {
  // Requests to the provider are not Redis's.
  if ('method' in asked) return connect(asked, onConnect)
  const { host = '127.0.0.1', port, ...options } = asked
  const socket = connect({ ...options, host: '127.0.0.1', port: wirePort })
  return socket.once('connect', () => socket.write(`${host}:${port}\n`))
}
Object.assign(net, { createConnection: throughWire })
