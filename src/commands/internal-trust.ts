import { X509Certificate } from 'node:crypto'
import { checkServerIdentity, getCACertificates, type PeerCertificate } from 'node:tls'
import { ConfigError } from '../config/config-error.ts'
import type { InternalTlsFiles } from '../config/internal-tls.ts'
import { tryReadText } from '../config/sources/read-text.ts'
import type { TlsOfClient } from './ask-internal.ts'

/** Files that an operator names for a listener on another machine. */
export interface GivenFiles {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/**
 * Returns the TLS of a request that carries the admin token, or throws `ConfigError`. Accepts the certificate in
 * `INTERNAL_TLS_CERT_FILE` at any address, because it may name the Service alone, its renewal by the same authority, and
 * otherwise what a browser accepts.
 */
export function adminTls(own: InternalTlsFiles | undefined, given: GivenFiles): TlsOfClient {
  const problems: string[] = []
  const read: Read = (path, name) =>
    path === undefined ? undefined : tryReadText(path, name, problems)
  const pinned = read(own?.certFile, 'INTERNAL_TLS_CERT_FILE')
  const certificate = parse(pinned, problems)
  const ca = read(given.ca, '--ca')
  const presented = readPresented(own, given, read)
  if (problems.length > 0) throw new ConfigError([...new Set(problems)])
  return {
    ca: [...getCACertificates('default'), ...[pinned, ca].filter((each) => each !== undefined)],
    ...(certificate && accepting(certificate)),
    ...presented,
  }
}

type Read = (path: string | undefined, name: string) => string | undefined

/**
 * Reads the client certificate and its key. Leaves those of the service alone where none is demanded, because the user
 * of this command may not read the key.
 */
function readPresented(
  own: InternalTlsFiles | undefined,
  { cert, key }: GivenFiles,
  read: Read,
): TlsOfClient {
  if (cert !== undefined) return { cert: read(cert, '--cert'), key: read(key, '--key') }
  if (own?.clientCaFile === undefined) return {}
  return {
    cert: read(own.certFile, 'INTERNAL_TLS_CERT_FILE'),
    key: read(own.keyFile, 'INTERNAL_TLS_KEY_FILE'),
  }
}

/** Accepts the first certificate of a text, and a certificate of the same names by an authority that is trusted. */
function accepting(own: X509Certificate): TlsOfClient {
  return {
    allowPartialTrustChain: true,
    checkServerIdentity(host: string, peer: PeerCertificate) {
      const hasOwnNames =
        peer.subjectaltname !== undefined && peer.subjectaltname === own.subjectAltName
      return own.raw.equals(peer.raw) || hasOwnNames ? undefined : checkServerIdentity(host, peer)
    },
  }
}

function parse(text: string | undefined, problems: string[]): X509Certificate | undefined {
  try {
    return text === undefined ? undefined : new X509Certificate(text)
  } catch {
    problems.push('INTERNAL_TLS_CERT_FILE: is not a certificate')
    return undefined
  }
}
