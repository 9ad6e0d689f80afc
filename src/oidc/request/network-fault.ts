import type { FailureFacts } from '../../errors.ts'
import { codeOf, ProviderFault } from './provider-errors.ts'

/** Server that was asked, and the proxy on the way to it. */
export interface AskedServer {
  readonly url: URL
  /** Origin of the proxy, without its credentials. */
  readonly proxy: string | undefined
}

interface Description {
  readonly text: string
  readonly setting?: string
}

const CA_FILE = 'OIDC_CA_FILE'

/** Failures before a connection exists, by Node's code; behind a proxy they are the proxy's. */
const CONNECTING: Readonly<Record<string, (peer: string) => string>> = {
  ENOTFOUND: (peer) => `there is no host of the name of ${peer}`,
  EAI_AGAIN: (peer) => `the name of ${peer} could not be resolved`,
  ECONNREFUSED: (peer) => `the connection to ${peer} was refused`,
  EHOSTUNREACH: (peer) => `${peer} cannot be reached from here`,
  ENETUNREACH: (peer) => `${peer} cannot be reached from here`,
  ETIMEDOUT: (peer) => `the connection to ${peer} timed out`,
}

const UNTRUSTED = 'is signed by an authority that is not trusted: name it in OIDC_CA_FILE'
const NO_TLS = 'does not speak TLS at this port: is it plain http?'
const NO_HTTP = 'does not answer in HTTP at this port: is it https?'
const CUT_OFF = 'closed the connection before the end of its answer'

/** Failures of a connection, by Node's code. */
const CONNECTED: Readonly<Record<string, string>> = {
  ECONNRESET: CUT_OFF,
  EPIPE: CUT_OFF,
  EPROTO: NO_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  ERR_SSL_HTTP_REQUEST: NO_TLS,
}

/** Failures of a server's certificate, by the code of OpenSSL or Node. */
const CERTIFICATE: Readonly<Record<string, string>> = {
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is self-signed: name it in OIDC_CA_FILE',
  CERT_HAS_EXPIRED: 'has expired',
  CERT_NOT_YET_VALID: 'is not valid yet: is the clock right?',
  CERT_REVOKED: 'was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'is for other names',
}

/** Returns whether a connection that failed with this code cannot have carried the request; a time-out may come later. */
export function isBeforeSending(code: string): boolean {
  if (code === 'ETIMEDOUT') return false
  const isHandshake = code === 'ERR_PROXY_TUNNEL' || code === 'ERR_SSL_WRONG_VERSION_NUMBER'
  return isHandshake || Object.hasOwn(CONNECTING, code) || Object.hasOwn(CERTIFICATE, code)
}

/** Returns the fault for a request that got no answer, with its cause in plain words (finding C53). */
export function networkFault(
  cause: unknown,
  server: AskedServer,
  facts: FailureFacts,
): ProviderFault {
  const code = codeOf(cause)
  const { text, setting } = describe(cause, code, server)
  const more = setting === undefined ? {} : { setting }
  return new ProviderFault(text, code || 'ERR_PROVIDER_NETWORK', { ...facts, ...more })
}

/** Returns the fault for an answer that was not complete within the time limit. */
export function slowFault(
  seconds: number,
  { url, proxy }: AskedServer,
  facts: FailureFacts,
): ProviderFault {
  const text = `${hostOf(url)}${through(proxy)} gave no complete answer within ${seconds} s`
  return new ProviderFault(text, 'ERR_PROVIDER_TIMEOUT', facts)
}

/** Returns the name of the setting of the proxy for an address. */
export function proxySettingOf({ protocol }: URL): string {
  return protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
}

function describe(cause: unknown, code: string, server: AskedServer): Description {
  const { url, proxy } = server
  if (proxy !== undefined && (code === 'ERR_PROXY_TUNNEL' || CONNECTING[code])) {
    return { text: describeProxy(cause, code, url, proxy), setting: proxySettingOf(url) }
  }
  const connecting = CONNECTING[code]
  if (connecting) return { text: connecting(hostOf(url)) }
  const certificate = CERTIFICATE[code]
  if (certificate !== undefined) {
    const text = `the certificate of ${hostOf(url)}${through(proxy)} ${certificate}`
    return certificate.includes(CA_FILE) ? { text, setting: CA_FILE } : { text }
  }
  const connected = CONNECTED[code] ?? (code.startsWith('HPE_') ? NO_HTTP : 'could not be asked')
  return { text: `${hostOf(url)}${through(proxy)} ${connected}` }
}

function describeProxy(cause: unknown, code: string, url: URL, proxy: string): string {
  const connecting = CONNECTING[code]
  if (connecting) return connecting(`the proxy ${proxy}`)
  const { statusCode, proxyTunnelTimeout } = cause as {
    readonly statusCode?: number
    readonly proxyTunnelTimeout?: number
  }
  if (statusCode !== undefined) return refusedByProxy(proxy, statusCode, hostOf(url))
  const what = proxyTunnelTimeout === undefined ? 'closed the connection' : 'did not answer'
  return `the proxy ${proxy} ${what} when it was asked for ${hostOf(url)}`
}

/** Returns the reason for a request that a proxy answered itself. */
export function refusedByProxy(proxy: string, status: number, host: string): string {
  const remedy = status === 407 ? ': it wants a user and password, which its address may hold' : ''
  return `the proxy ${proxy} answered ${status} when it was asked for ${host}${remedy}`
}

function through(proxy: string | undefined): string {
  return proxy === undefined ? '' : `, asked through the proxy ${proxy},`
}

/** Returns host and port, also where the port is the scheme's own. */
function hostOf({ host, port, protocol }: URL): string {
  return port === '' ? `${host}:${protocol === 'https:' ? 443 : 80}` : host
}
