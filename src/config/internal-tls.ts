import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Settings } from './settings/settings.ts'
import { tryReadText } from './sources/read-text.ts'

/** Files of the internal listener's TLS (`INTERNAL_TLS_*`). */
export interface InternalTlsFiles {
  readonly certFile: string
  readonly keyFile: string
  /** Authority of client certificates; without it none is asked for. */
  readonly clientCaFile?: string
}

/** Contents of these files, which fit each other, and the life of the certificate. */
export interface InternalTls {
  readonly cert: string
  readonly key: string
  readonly clientCa?: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Returns the files of the internal listener's TLS, or `undefined` without TLS; adds what cannot be used to `problems`. */
export function checkInternalTls(
  settings: Settings,
  problems: string[],
): InternalTlsFiles | undefined {
  const {
    INTERNAL_TLS_CERT_FILE: certFile,
    INTERNAL_TLS_KEY_FILE: keyFile,
    INTERNAL_TLS_CLIENT_CA_FILE: clientCaFile,
  } = settings
  if (certFile === undefined && keyFile === undefined && clientCaFile === undefined) {
    return undefined
  }
  if (certFile === undefined || keyFile === undefined) {
    const missing = certFile === undefined ? CERT : KEY
    const given = certFile === undefined ? (keyFile === undefined ? CLIENT_CA : KEY) : CERT
    problems.push(`${missing}: is not set, but ${given} is; TLS needs a certificate and its key`)
    return undefined
  }
  const files = internalTlsFilesOf(settings)
  if (files) readInternalTls(files, problems)
  return files
}

/** Returns the files without a look into them, or `undefined` without certificate and key. */
export function internalTlsFilesOf({
  INTERNAL_TLS_CERT_FILE: certFile,
  INTERNAL_TLS_KEY_FILE: keyFile,
  INTERNAL_TLS_CLIENT_CA_FILE: clientCaFile,
}: InternalTlsSettings): InternalTlsFiles | undefined {
  if (certFile === undefined || keyFile === undefined) return undefined
  return { certFile, keyFile, ...(clientCaFile !== undefined && { clientCaFile }) }
}

type InternalTlsSettings = Pick<
  Settings,
  'INTERNAL_TLS_CERT_FILE' | 'INTERNAL_TLS_KEY_FILE' | 'INTERNAL_TLS_CLIENT_CA_FILE'
>

const CERT = 'INTERNAL_TLS_CERT_FILE'
const KEY = 'INTERNAL_TLS_KEY_FILE'
const CLIENT_CA = 'INTERNAL_TLS_CLIENT_CA_FILE'

/** Reads the files together; adds why they cannot be used to `problems` and returns `undefined` then. */
export function readInternalTls(
  files: InternalTlsFiles,
  problems: string[],
): InternalTls | undefined {
  const before = problems.length
  const cert = tryReadText(files.certFile, CERT, problems)
  const key = tryReadText(files.keyFile, KEY, problems)
  const clientCa = readAuthorities(files.clientCaFile, problems)
  const own = cert === undefined ? undefined : ownIn(cert, files.certFile, problems)
  if (own && key !== undefined) checkKey(own, key, files.keyFile, problems)
  if (problems.length > before || !own || cert === undefined || key === undefined) return undefined
  const read = { cert, key, ...(clientCa !== undefined && { clientCa }) }
  if (!isAccepted(read, files.certFile, problems)) return undefined
  const { validFromDate, validToDate } = own
  return { ...read, notBeforeMs: validFromDate.getTime(), notAfterMs: validToDate.getTime() }
}

/** Returns the server's own certificate, which comes first in its file. */
function ownIn(text: string, file: string, problems: string[]): X509Certificate | undefined {
  const [own] = certificatesIn(text, CERT, file, problems)
  if (own) {
    checkLife(own, CERT, file, problems)
    checkUsage(own, file, problems)
  }
  return own
}

/**
 * Reads the authorities of clients. One must be a root that has not expired, because OpenSSL follows each chain up to
 * one, so that all clients would be refused otherwise.
 */
function readAuthorities(file: string | undefined, problems: string[]): string | undefined {
  if (file === undefined) return undefined
  const text = tryReadText(file, CLIENT_CA, problems)
  const found = text === undefined ? [] : certificatesIn(text, CLIENT_CA, file, problems)
  const living = found.filter(({ validToDate }) => validToDate.getTime() > Date.now())
  if (found.length > 0 && living.length === 0) {
    problems.push(`${CLIENT_CA}: every certificate in ${file} has expired; renew it`)
  } else if (found.length > 0 && !living.some(({ subject, issuer }) => subject === issuer)) {
    problems.push(
      `${CLIENT_CA}: ${file} holds no root, which is signed by itself; add the root of this authority`,
    )
  }
  return text
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

function certificatesIn(
  text: string,
  name: string,
  file: string,
  problems: string[],
): readonly X509Certificate[] {
  try {
    const found = (text.match(PEM) ?? []).map((each) => new X509Certificate(each))
    if (found.length > 0) return found
  } catch {
    // Says the same of a block that cannot be read as of none.
  }
  problems.push(`${name}: ${file} holds no certificate that can be read; it must be PEM text`)
  return []
}

function checkLife(own: X509Certificate, name: string, file: string, problems: string[]): void {
  const { validFromDate, validToDate } = own
  const now = Date.now()
  if (validToDate.getTime() <= now) {
    problems.push(
      `${name}: the certificate in ${file} has expired at ${validToDate.toISOString()}; renew it`,
    )
  } else if (validFromDate.getTime() > now) {
    problems.push(
      `${name}: the certificate in ${file} is not valid before ${validFromDate.toISOString()}; compare the clocks`,
    )
  }
}

/** Serving, and anything (RFC 5280, section 4.2.1.12). */
const SERVER_USAGES = new Set(['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'])

/** Refuses a certificate for clients alone, such as one of `--client`, because every client would refuse it. */
function checkUsage({ keyUsage: usages }: X509Certificate, file: string, problems: string[]): void {
  if (usages === undefined || usages.some((usage) => SERVER_USAGES.has(usage))) return
  problems.push(
    `${CERT}: the certificate in ${file} is not for servers (extended key usage); use the one of the listener`,
  )
}

/** Compares the keys, because a context takes a certificate with the key of another without an error. */
function checkKey(own: X509Certificate, key: string, file: string, problems: string[]): void {
  try {
    if (own.checkPrivateKey(createPrivateKey(key))) return
    problems.push(
      `${KEY}: the key in ${file} is not that of the first certificate in ${CERT}; renew both together, the server's own certificate first`,
    )
  } catch {
    problems.push(
      `${KEY}: ${file} holds no private key that can be read; it must be PEM text without a passphrase`,
    )
  }
}

function isAccepted(
  { cert, key, clientCa }: Pick<InternalTls, 'cert' | 'key' | 'clientCa'>,
  file: string,
  problems: string[],
): boolean {
  try {
    createSecureContext({ cert, key, ...(clientCa !== undefined && { ca: clientCa }) })
    return true
  } catch (error) {
    const why = (error as Error).message.replace(/^.*:/, '').trim()
    problems.push(`${CERT}: ${file} is not accepted by OpenSSL: ${why}; make another certificate`)
    return false
  }
}
