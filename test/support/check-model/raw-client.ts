import { connect, type Socket } from 'node:net'
import type { ReceivedAnswer } from './received-answer.ts'
import type { SentRequest } from './world.ts'

const PATIENCE_MS = 30_000

/** Creates a client that writes requests byte for byte, several at a time over one connection. */
export function createRawClient(port: number, depth = 8) {
  let kept: Connection | undefined
  const connection = () => (kept = kept?.isUsable() ? kept : openConnection(port))

  /** Sends what fits one connection; the request that ends it is the last one. */
  async function sendSome(requests: readonly SentRequest[]): Promise<readonly ReceivedAnswer[]> {
    const at = requests.findIndex(endsConnection)
    const some = requests.slice(0, Math.min(depth, at === -1 ? depth : at + 1))
    return connection().exchange(some)
  }
  return {
    /** Resolves to one answer for each request, in their order. */
    async ask(requests: readonly SentRequest[]): Promise<readonly ReceivedAnswer[]> {
      const answers: ReceivedAnswer[] = []
      while (answers.length < requests.length) {
        answers.push(...(await sendSome(requests.slice(answers.length))))
      }
      return answers
    },
    [Symbol.asyncDispose]: async () => kept?.close(),
  }
}

function endsConnection({ version, headers, body }: SentRequest): boolean {
  const isLong = body !== undefined && (body.framing === 'chunked' || body.bytes > 16_384)
  return isLong || version === '1.0' || headers.some(([name]) => name === 'Connection')
}

function bytesOf({ method, target, version, headers, body }: SentRequest): string {
  const text = 'b'.repeat(body?.bytes ?? 0)
  const framing =
    body?.framing === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${text.length}`
  return [
    `${method} ${target} HTTP/${version}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(body ? [framing] : []),
    '',
    body?.framing === 'chunked' ? `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n` : text,
  ].join('\r\n')
}

interface Connection {
  readonly isUsable: () => boolean
  readonly exchange: (requests: readonly SentRequest[]) => Promise<readonly ReceivedAnswer[]>
  readonly close: () => void
}

function openConnection(port: number): Connection {
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('latin1')
  let [received, wanted, isEnded, isClosed] = ['', [] as SentRequest[], false, false]
  let done = Promise.withResolvers<readonly ReceivedAnswer[]>()
  let answers: ReceivedAnswer[] = []
  const fail = (why: string) => {
    isEnded = true
    const next = wanted[answers.length]
    done.reject(new Error(`${why} instead of an answer to ${JSON.stringify(next)}`))
  }
  const settle = () => {
    if (answers.length < wanted.length || wanted.length === 0) return
    wanted = []
    done.resolve(answers)
  }
  const read = () => {
    for (;;) {
      const request = wanted[answers.length]
      const message = request && readAnswer(received, request.method === 'HEAD', isClosed)
      if (!message) return settle()
      answers.push(message.answer)
      received = received.slice(message.end)
      if (message.isLast) isEnded = true
    }
  }
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('silence')))
  socket.on('data', (chunk: string) => {
    received += chunk
    try {
      read()
    } catch (error) {
      fail((error as Error).message)
    }
  })
  socket.on('error', ({ message }) => wanted.length > 0 && fail(message))
  socket.on('close', () => {
    isEnded = true
    isClosed = true
    read()
    if (wanted.length > 0) fail('the end of the connection')
  })
  return {
    isUsable: () => !isEnded && !socket.destroyed,
    exchange(requests) {
      done = Promise.withResolvers()
      answers = []
      wanted = [...requests]
      socket.write(requests.map(bytesOf).join(''), 'latin1')
      return done.promise
    },
    close: () => socket.destroy(),
  }
}

/** Returns the first answer where all of it is there; throws where its length is not what its head says. */
function readAnswer(text: string, isHead: boolean, isClosed: boolean) {
  const head = text.indexOf('\r\n\r\n')
  if (head === -1) return undefined
  const [statusLine = '', ...lines] = text.slice(0, head).split('\r\n')
  const headers = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trimStart()] as const
  })
  const value = (name: string) => headers.find(([each]) => each.toLowerCase() === name)?.[1]
  const start = head + 4
  const isChunked = value('transfer-encoding') === 'chunked' && !isHead
  // A client of HTTP/1.0 reads up to the end of the connection.
  const rest = isClosed ? text.length - start : Number.POSITIVE_INFINITY
  const told = isHead ? 0 : Number(value('content-length') ?? rest)
  const length = isChunked ? text.indexOf('0\r\n\r\n', start) + 5 - start : told
  if (length < 0 || text.length < start + length) return undefined
  const sent = text.slice(start, start + length)
  const status = Number(statusLine.split(' ')[1])
  const body = isChunked ? withoutChunks(sent) : sent
  const answer: ReceivedAnswer = { status, headers, body }
  return { answer, end: start + length, isLast: value('connection') === 'close' }
}

/** Joins the chunks of a body. */
function withoutChunks(text: string): string {
  const [, size = '0'] = /^([\da-f]+)\r\n/i.exec(text) ?? []
  const length = Number.parseInt(size, 16)
  const start = size.length + 2
  return length === 0
    ? ''
    : text.slice(start, start + length) + withoutChunks(text.slice(start + length + 2))
}
