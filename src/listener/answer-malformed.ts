import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { addressOf } from '../http/trusted-proxies.ts'
import type { OnRefused, RefusalKind } from './refused-connection.ts'

/** Error of Node's parser, with what it had read. */
type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer }

/**
 * Creates the handler of what Node's parser refuses (RFC 9110 sections 15.5.1, 15.5.9; RFC 6585 section 5). It reports
 * clients that speak another protocol, and nothing else, because strangers could fill the log (threat A94).
 */
export function createMalformedAnswer(onRefused: OnRefused) {
  return (error: ParserError, socket: Duplex): void => {
    // After an earlier answer a second one would be taken for that of another request.
    const isAnswered = socket instanceof Socket && socket.bytesWritten > 0
    if (!socket.writable || isAnswered) {
      socket.destroy()
      return
    }
    const kind = protocolOf(error.rawPacket)
    if (kind && socket instanceof Socket) onRefused({ kind, peer: addressOf(socket) })
    socket.end(answerText(PARSER_STATUS[error.code ?? ''] ?? '400 Bad Request'))
  }
}

/** Returns an answer without a body, which closes its connection. */
export function answerText(status: string): string {
  return `HTTP/1.1 ${status}\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
}

const PARSER_STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

const TLS_HANDSHAKE = 0x16
const HTTP2_PREFACE = 'PRI * HTTP/2.0'

function protocolOf(packet: Buffer | undefined): RefusalKind | undefined {
  if (!packet) return undefined
  if (packet[0] === TLS_HANDSHAKE) return 'tls_to_plain'
  const beginning = packet.toString('latin1', 0, HTTP2_PREFACE.length)
  return beginning === HTTP2_PREFACE ? 'http2_to_plain' : undefined
}
