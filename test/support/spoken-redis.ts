import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface SpokenConnection {
  readonly heard: readonly (readonly string[])[]
  readonly isOver: boolean
  readonly end: () => void
}

/** Returns the reply to a command; `undefined` means silence. */
export type Reply = (command: readonly string[], connection: SpokenConnection) => string | undefined

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`
}

/** Replies as a healthy Redis does to the commands that tests send. */
export const speakWell: Reply = ([name = '', ...args]) => {
  switch (name.toUpperCase()) {
    case 'HELLO':
      return '%1\r\n+proto\r\n:3\r\n'
    case 'ECHO':
      return bulk(args[0] ?? '')
    case 'GET':
      return '_\r\n'
    case 'SUBSCRIBE':
    case 'UNSUBSCRIBE':
      return `>3\r\n${bulk(name.toLowerCase())}${bulk(args[0] ?? '')}:1\r\n`
    default:
      return '+OK\r\n'
  }
}

/** Parses the complete commands at the beginning of the bytes received; `rest` is incomplete. */
function takeCommands(received: string): { commands: string[][]; rest: string } {
  const commands: string[][] = []
  let rest = received
  for (;;) {
    const count = Number(/^\*(\d+)\r\n/.exec(rest)?.[1])
    if (!(count > 0)) return { commands, rest }
    const parts = rest.split('\r\n')
    if (parts.length < 2 + 2 * count) return { commands, rest }
    commands.push(Array.from({ length: count }, (_, at) => parts[2 + 2 * at] ?? ''))
    rest = parts.slice(1 + 2 * count).join('\r\n')
  }
}

export async function startSpokenRedis(reply: Reply = speakWell) {
  const connections: SpokenConnection[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    const heard: string[][] = []
    const connection: SpokenConnection = {
      heard,
      get isOver() {
        return socket.destroyed
      },
      end: () => void socket.destroy(),
    }
    connections.push(connection)
    let received = ''
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      const { commands, rest } = takeCommands(received + chunk.toString())
      received = rest
      for (const command of commands) {
        heard.push(command)
        const text = reply(command, connection)
        if (text !== undefined && !socket.destroyed) socket.write(text)
      }
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    /** All connections accepted so far, open or not. */
    connections,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
