import { once } from 'node:events'
import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'

/** Answer of a stream in the shape of one over HTTP/1.1, with its body unread. */
export interface StreamAnswer extends Readable {
  readonly statusCode: number
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
}

export interface StreamRequest {
  readonly method?: string
  readonly path: string
  /** Names and values in turn; `Host` becomes `:authority`. */
  readonly headers?: readonly string[]
  readonly body?: string | undefined
}

/** Sends one request as a stream of an open connection. */
export async function sendStream(
  session: ClientHttp2Session,
  { method = 'GET', path, headers = [], body }: StreamRequest,
): Promise<StreamAnswer> {
  const pairs = headers.flatMap((name, at) => (at % 2 ? [] : [[name, headers[at + 1] ?? '']]))
  const isHost = ([name = '']: readonly string[]) => name.toLowerCase() === 'host'
  const pseudo = {
    ':method': method,
    ':path': path,
    ':scheme': 'https',
    ':authority': pairs.find(isHost)?.[1] ?? 'vestibule',
  }
  const sent = [...Object.entries(pseudo), ...pairs.filter((pair) => !isHost(pair))].flat()
  const stream = session.request(sent, { endStream: body === undefined })
  stream.on('error', () => undefined)
  if (body !== undefined) stream.end(body)
  const failed = once(stream, 'close').then(() => {
    throw new Error(`the stream was closed without an answer (${stream.rstCode})`)
  })
  const answered = once(stream, 'response') as Promise<[IncomingHttpHeaders, number, string[]]>
  failed.catch(() => undefined)
  const [answer, , rawHeaders] = await Promise.race([answered, failed])
  const described = { statusCode: Number(answer[':status']), headers: answer, rawHeaders }
  return Object.assign(stream, described)
}

/** Connection over HTTP/2 to a port of 127.0.0.1 whose certificate is not looked at. */
export async function openHttp2(port: number, options: SecureClientSessionOptions = {}) {
  // Sends what a hostile client would, twofold headers included.
  const lenient = { rejectUnauthorized: false, strictSingleValueFields: false }
  const session = connect(`https://127.0.0.1:${port}`, { ...lenient, ...options })
  session.on('error', () => undefined)
  await once(session, 'connect')
  return {
    session,
    send: (request: StreamRequest) => sendStream(session, request),
    /** Sends a request and reads its answer to the end. */
    ask: async (path: string, headers: readonly string[] = []) => {
      const answer = await sendStream(session, { path, headers })
      const body = (await buffer(answer)).toString()
      return { status: answer.statusCode, headers: answer.headers, body }
    },
    [Symbol.asyncDispose]: async () => {
      const closed = session.destroyed ? undefined : once(session, 'close')
      session.destroy()
      await closed
    },
  }
}
