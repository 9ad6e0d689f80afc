import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { AuthError } from '../errors.ts'
import { connectionOf, socketOf } from './connection.ts'
import { peerAddress } from './trusted-proxies.ts'

/** Throws for a request whose connection has no client certificate that counts. */
export type RequireCertificate = (raw: IncomingMessage) => void

/** What is known of a connection: the reason for which it is refused, and the time until which it is not. */
interface Presented {
  readonly fault: string | undefined
  readonly endsAtMs: number
}

/** Creates the demand for client certificates where an authority for them is configured, else one that demands nothing. */
export function createCertificateDemand(isDemanded: boolean): RequireCertificate {
  if (!isDemanded) return () => undefined
  const known = new WeakMap<object, Presented>()
  return (raw) => {
    const presented = known.getOrInsertComputed(connectionOf(raw), () => examine(socketOf(raw)))
    const hasExpired = performance.now() >= presented.endsAtMs
    const fault = presented.fault ?? (hasExpired ? 'it has expired' : undefined)
    if (fault === undefined) return
    throw new AuthError('client_certificate', `the client certificate is refused: ${fault}`, {
      isPublic: true,
      facts: { peer: peerAddress(raw), setting: 'INTERNAL_TLS_CLIENT_CA_FILE' },
    })
  }
}

/** Looks at the certificate once for each connection, which keeps it; a resumed one has shown none and is refused. */
function examine(socket: object): Presented {
  if (!isTls(socket)) return refused('the connection is not TLS')
  const certificate = socket.getPeerX509Certificate()
  if (!certificate) return refused('none was presented')
  const { authorizationError } = socket
  if (!socket.authorized) return refused(CAUSE[String(authorizationError)] ?? UNKNOWN)
  if (socket.isSessionReused()) return refused('the session was resumed')
  const remainingMs = certificate.validToDate.getTime() - Date.now()
  return { fault: undefined, endsAtMs: performance.now() + remainingMs }
}

function refused(fault: string): Presented {
  return { fault, endsAtMs: 0 }
}

/** Returns whether a socket is one of TLS; over HTTP/2 a proxy of Node stands for it, whose prototype is the socket's. */
function isTls(socket: object): socket is TLSSocket {
  return socket instanceof TLSSocket
}

const UNKNOWN = 'it is not signed by an authority of INTERNAL_TLS_CLIENT_CA_FILE'
const CAUSE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  INVALID_PURPOSE: 'it is not for clients (extended key usage)',
}
