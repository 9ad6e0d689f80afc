import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { failureOf } from './failure.ts'
import {
  type FailedServer,
  ServerFailure,
  serverFailureIn,
  TlsMismatchError,
} from './server-failure.ts'

/** Explains why an attempt to connect failed, in place of what was thrown. */
export type ExplainAttempt = (cause: unknown, signal: AbortSignal) => Promise<unknown>

/** Time limit for the one question to the server. */
const ASK_TIMEOUT_MS = 500
/** Time for which the answer of a server counts, so that an outage does not double its connections. */
const ASK_AGAIN_MS = 30_000

/**
 * Finds out whether TLS met plaintext, either way round, because the side that waits for the other's greeting sees no
 * more than silence or a closed connection (finding C54). Sends no credentials.
 */
export function createAttemptExplainer(): ExplainAttempt {
  let asked:
    | { readonly name: string; readonly atMs: number; readonly isMismatch: boolean }
    | undefined
  return async (cause, signal) => {
    const failure = serverFailureIn(cause)
    if (!failure || !isAmbiguous(failure)) return cause
    const { server } = failure
    const name = `${server.host}:${server.port} ${server.isTls}`
    const nowMs = performance.now()
    if (asked?.name !== name || nowMs - asked.atMs > ASK_AGAIN_MS) {
      const isMismatch = await (server.isTls ? answersPlainly : answersTls)(server, signal)
      asked = { name, atMs: nowMs, isMismatch }
    }
    return asked.isMismatch ? new ServerFailure(server, new TlsMismatchError()) : cause
  }
}

/** Returns whether the server took the connection, and then was silent, closed it, or sent no reply of Redis. */
function isAmbiguous({ server, cause }: ServerFailure): boolean {
  if (!server.isGreeting) return false
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const failure = failureOf(cause)
  const isClosed = failure === 'connection' && ['', 'ECONNRESET', 'EPIPE'].includes(code)
  return isClosed || failure === 'deadline' || failure === 'protocol'
}

/**
 * Beginning of a TLS record that holds a line end, after which Redis answers with an error. No command in clear, because
 * a connection with TLS never falls back to plaintext (F20).
 */
const RECORD_WITH_LINE_END = Buffer.of(0x16, 0x03, 0x01, 0x0d, 0x0a)

/** Returns whether the server answers without TLS. */
async function answersPlainly({ host, port }: FailedServer, signal: AbortSignal): Promise<boolean> {
  const socket = connectPlain({ host, port }, () => socket.write(RECORD_WITH_LINE_END))
  return askOnce(socket, signal, (answer) => {
    socket.once('data', (chunk: Buffer) => answer(chunk.toString('latin1').startsWith('-')))
    socket.once('error', () => answer(false))
  })
}

/** Returns whether the server takes part in a TLS handshake, refusals of the client included. */
async function answersTls({ host, port }: FailedServer, signal: AbortSignal): Promise<boolean> {
  const socket = connectTls({ host, port })
  return askOnce(socket, signal, (answer) => {
    socket.once('secureConnect', () => answer(true))
    socket.once('error', ({ code = '' }: NodeJS.ErrnoException) => {
      // Set where the server has presented a certificate, which is refused here.
      const hasCertificate = Boolean(socket.authorizationError)
      answer(hasCertificate || code.includes('ALERT'))
    })
  })
}

/** Resolves with the answer that `listen` finds, with false when the connection ends or time is up. */
function askOnce(
  socket: Socket,
  signal: AbortSignal,
  listen: (answer: (isMismatch: boolean) => void) => void,
): Promise<boolean> {
  return new Promise<boolean>((resolve) => {
    const end = () => answer(false)
    const timer = setTimeout(end, ASK_TIMEOUT_MS)
    signal.addEventListener('abort', end)
    const answer = (isMismatch: boolean) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      socket.on('error', () => undefined).destroy()
      resolve(isMismatch)
    }
    socket.once('close', end)
    listen(answer)
    if (signal.aborted) end()
  })
}
