import net from 'node:net'

/**
 * Loaded before the service (`node --import`): what its Redis client opens goes through the wire at `WIRE_PORT`, which is
 * told where to. Servers of a cluster and those that Sentinels name are reached like any other.
 */
const wirePort = Number(process.env['WIRE_PORT'])
const connect = net.createConnection as (options: net.TcpNetConnectOpts) => net.Socket

const throughWire = ({ host = '127.0.0.1', port, ...options }: net.TcpNetConnectOpts) => {
  const socket = connect({ ...options, host: '127.0.0.1', port: wirePort })
  return socket.once('connect', () => socket.write(`${host}:${port}\n`))
}
Object.assign(net, { createConnection: throughWire })
