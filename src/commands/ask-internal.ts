import { request as askPlainly, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as askSecurely } from 'node:https'
import { BlockList, isIPv6, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { type ConnectionOptions, TLSSocket } from 'node:tls'

/** Names the certificates that are accepted and the one that is presented. */
export type TlsOfClient = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'allowPartialTrustChain' | 'checkServerIdentity'
>

export interface InternalRequest {
  readonly method: 'GET' | 'DELETE' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly timeoutMs: number
  readonly tls?: TlsOfClient | undefined
  /** Accepts any certificate of a listener on this machine; only for requests without a secret. */
  readonly isThisMachineTrusted?: boolean
}

export interface InternalAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/**
 * Sends a request to an internal listener, through no proxy and without following a redirect, because another server
 * would receive the token.
 */
export async function askInternal(
  url: URL,
  { method, headers = {}, body, timeoutMs, tls, isThisMachineTrusted = false }: InternalRequest,
): Promise<InternalAnswer> {
  const signal = AbortSignal.timeout(timeoutMs)
  const options = { method, headers, signal, agent: false } as const
  const verified = { ...options, ...tls, rejectUnauthorized: !isThisMachineTrusted }
  const request = url.protocol === 'https:' ? askSecurely(url, verified) : askPlainly(url, options)
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve).once('error', reject).end(body)
  })
  const { statusCode: status = 0, socket } = answer
  const isAccepted = isThisMachineTrusted && isOnThisMachine(socket)
  if (socket instanceof TLSSocket && !socket.authorized && !isAccepted) {
    answer.destroy()
    throw socket.authorizationError
  }
  return { status, headers: answer.headers, body: await text(answer) }
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/** Tells whether both ends of a connection are on this machine, so that nobody is between them. */
function isOnThisMachine({ localAddress, remoteAddress }: Socket): boolean {
  if (remoteAddress === undefined) return false
  return (
    remoteAddress === localAddress ||
    loopback.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')
  )
}
