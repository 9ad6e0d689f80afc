import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { closeServer, listenOn } from './server.ts'

/** Request as the scripted server received it. */
export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

export interface ScriptedAnswer {
  readonly status?: number
  /** Flat list that keeps duplicates: `['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']`. */
  readonly headers?: readonly string[]
  readonly body?: string
}

export interface ScriptedServer extends AsyncDisposable {
  readonly url: string
  readonly seen: readonly SeenRequest[]
  /** Sets the answer to all further requests and forgets the requests seen. */
  readonly script: (answer?: ScriptedAnswer) => void
  readonly close: () => Promise<void>
}

/** Starts a server that answers as scripted and records requests. WebSocket handshakes get a bare 101. */
export const startScriptedServer = async (): Promise<ScriptedServer> => {
  let seen: SeenRequest[] = []
  let next: ScriptedAnswer = {}
  const upgraded = new Set<Duplex>()

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request).catch(() => '')
    seen.push(describe(request, body))
    const { status = 200, headers = [], body: answer = '' } = next
    response.writeHead(status, [...headers]).end(answer)
  }
  const server = createServer((request, response) => void serve(request, response))
  server.on('upgrade', (request, socket) => {
    upgraded.add(socket)
    socket.on('error', () => socket.destroy())
    seen.push(describe(request, ''))
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
    const { headers = [] } = next
    headers.forEach((name, at) => {
      if (at % 2 === 0) lines.push(`${name}: ${headers[at + 1]}`)
    })
    socket.write(`${lines.join('\r\n')}\r\n\r\nfrom the app`)
  })
  const port = await listenOn(server)
  const close = () => closeServer(server, upgraded)
  return {
    url: `http://127.0.0.1:${port}`,
    get seen() {
      return seen
    },
    script: (answer = {}) => {
      next = answer
      seen = []
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

const describe = (request: IncomingMessage, body: string): SeenRequest => ({
  method: request.method ?? '',
  url: request.url ?? '',
  headers: request.rawHeaders.flatMap((name, at) =>
    at % 2 === 0 ? [[name, request.rawHeaders[at + 1] ?? ''] as const] : [],
  ),
  body,
})

/** Returns every value of a header, in any spelling. */
export const valuesOf = (request: SeenRequest | undefined, name: string): readonly string[] =>
  (request?.headers ?? [])
    .filter(([header]) => header.toLowerCase() === name.toLowerCase())
    .map(([, value]) => value)
