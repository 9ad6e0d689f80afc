import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { steadyPort } from '../../stand-ins/steady-port.ts'
import { SUBSCRIBER } from './hybrid-replicas.ts'

export type WireKind = 'subscriber' | 'commands' | 'both'

/** Connections of one replica to Redis servers of any topology, which can be silenced and cut. */
export type Wire = Awaited<ReturnType<typeof startWire>>

interface Line {
  readonly client: Socket
  readonly target: Socket
  readonly isCounted: boolean
  sent: string
  held: (() => void)[]
}

const THROUGH_WIRE = pathToFileURL(join(import.meta.dirname, 'through-wire.ts')).href
/** Enough to tell by its greeting what a connection is for. */
const REMEMBERED_CHARACTERS = 2000

/** Connections to the ports that are left out are not counted. */
export async function startWire(leftOut: readonly number[] = []) {
  const lines = new Set<Line>()
  let opened = 0
  let silenced: WireKind | undefined
  let isCut = false

  const isSilent = ({ sent }: Line) =>
    silenced !== undefined &&
    (silenced === 'both' || (silenced === 'subscriber') === SUBSCRIBER.test(sent))
  const pass = (line: Line, act: () => void) => {
    if (isSilent(line)) line.held.push(act)
    else act()
  }
  const release = () => {
    for (const line of lines) for (const act of line.held.splice(0)) act()
  }
  const end = (line: Line) => {
    lines.delete(line)
    line.client.destroy()
    line.target.destroy()
  }
  const start = (client: Socket, address: string, first: Buffer) => {
    const [host, port] = address.split(':')
    const target = connect(Number(port), host)
    const isCounted = !leftOut.includes(Number(port))
    const line: Line = { client, target, isCounted, sent: '', held: [] }
    if (isCounted) opened += 1
    lines.add(line)
    const receive = (chunk: Buffer) => {
      if (line.sent.length < REMEMBERED_CHARACTERS) line.sent += chunk.toString('latin1')
      pass(line, () => target.write(chunk))
    }
    if (first.length > 0) receive(first)
    client.on('data', receive)
    target.on('data', (chunk) => pass(line, () => client.write(chunk)))
    target.setNoDelay(true).on('error', () => target.destroy())
    client.once('close', () => pass(line, () => end(line)))
    target.once('close', () => pass(line, () => end(line)))
  }
  const server = createServer((client) => {
    client.setNoDelay(true).on('error', () => client.destroy())
    if (isCut) return void client.destroy()
    client.once('data', (chunk: Buffer) => {
      const at = chunk.indexOf('\n')
      start(client, chunk.subarray(0, at).toString(), chunk.subarray(at + 1))
    })
  })
  const port = await steadyPort()
  await once(server.listen(port, '127.0.0.1'), 'listening')
  return {
    /** Settings with which a replica uses it. */
    settings: { NODE_OPTIONS: `--import ${THROUGH_WIRE}`, WIRE_PORT: `${port}` },
    /** How many connections were ever opened, and how many there are. */
    opened: () => opened,
    open: () => [...lines].filter((line) => line.isCounted && !line.client.destroyed).length,
    /**
     * Silences connections of this kind, new ones included, until the returned function is called; then everything
     * arrives.
     */
    silence: (kind: WireKind) => {
      silenced = kind
      return () => {
        silenced = undefined
        release()
      }
    },
    /** Ends all connections, and refuses new ones until the returned function is called. */
    cut: () => {
      isCut = true
      for (const line of lines) end(line)
      return () => {
        isCut = false
      }
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const line of lines) end(line)
      await closed
    },
  }
}
