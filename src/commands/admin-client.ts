import { z } from 'zod'
import type { Environment } from '../config/config.ts'
import { loadSettings } from '../config/load.ts'
import { parseJson } from '../core/json.ts'
import { askInternal, type InternalAnswer } from './ask-internal.ts'
import { internalListeners, internalTlsFiles } from './internal-listener.ts'
import { adminTls, type GivenFiles } from './internal-trust.ts'

/** Reports that the service refused or failed; the message is meant for the operator. */
export class AdminError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'AdminError'
  }
}

export interface AdminRequest {
  readonly method: 'GET' | 'DELETE' | 'POST'
  readonly path: string
  /** Value that is sent as JSON. */
  readonly body?: object
}

/** Sends a request to the admin API of a running service. Throws `AdminError` for every status but 200 and 202. */
export type AskAdmin = (request: AdminRequest) => Promise<unknown>

/** Settings that hold a token, the one to be preferred first. */
export type TokenNames = readonly ('ADMIN_TOKEN' | 'BROADCAST_TOKEN')[]

/** Leaves time for ending the sessions of all users. */
const TIMEOUT_MS = 10 * 60 * 1000

/** Listener at another address, and files for its TLS. */
export interface AdminAddress extends GivenFiles {
  readonly url?: string | undefined
}

/**
 * Makes a client of the admin API at `url`, or at this machine's internal listener, with the first of these tokens that
 * the environment has.
 */
export function createAdminClient(
  environment: Environment,
  address: AdminAddress,
  names: TokenNames,
): AskAdmin {
  const token = readToken(environment, names)
  const base = address.url ?? internalListeners(environment)[0]
  const isTls = URL.parse(base)?.protocol === 'https:'
  const tls = isTls ? adminTls(internalTlsFiles(environment), address) : undefined
  return async function askAdmin({ method, path, body }) {
    const headers = {
      Authorization: `Bearer ${token.value}`,
      ...(body && { 'Content-Type': 'application/json' }),
    }
    const text = body && JSON.stringify(body)
    const request = { method, headers, timeoutMs: TIMEOUT_MS, tls, body: text }
    const answer = await askInternal(new URL(path, base), request).catch((error: unknown) => {
      throw new AdminError(`no answer from ${base}: ${reasonOf(error)}`)
    })
    if (answer.status >= 300 && answer.status < 400)
      throw new AdminError(`no answer from ${base}: it redirects elsewhere`)
    if (answer.status === 200 || answer.status === 202) return parseJson(answer.body)
    throw new AdminError(describeRefusal(answer, base, token.name))
  }
}

interface NamedToken {
  readonly name: string
  readonly value: string
}

function readToken(environment: Environment, names: TokenNames): NamedToken {
  const settings = loadSettings(environment, ...names)
  for (const name of names) {
    const value = settings[name]
    if (value !== undefined && /^[\x20-\x7e]+$/.test(value)) return { name, value }
  }
  const places = names.flatMap((name) => [name, `${name}_FILE`])
  throw new AdminError(`set ${places.join(' or ')} to the token that the service has`)
}

const ASK_BY_TLS = 'if it speaks TLS, set INTERNAL_TLS_CERT_FILE, or begin --url with https'
const refusal = z.object({ message: z.string() })

function describeRefusal(
  { status, headers, body }: InternalAnswer,
  base: string,
  token: string,
): string {
  const said = refusal.safeParse(parseJson(body)).data?.message
  switch (status) {
    case 400:
      return said ?? `${base} answered 400${base.startsWith('http:') ? `; ${ASK_BY_TLS}` : ''}`
    case 401:
      return `${base} does not accept this ${token}`
    case 404:
      return said ?? `${base} has no /admin: is that the internal listener, with ${token} set?`
    case 429:
      return `${base} was given too many wrong tokens; it listens again in ${headers['retry-after']} s`
    case 503:
      return `Redis is away${said === undefined ? '' : `: ${said}`}`
    default:
      return said ?? `${base} answered ${status}`
  }
}

const UNTRUSTED =
  'its certificate is neither that of INTERNAL_TLS_CERT_FILE nor by an authority that is trusted here; name the authority with --ca, and after a renewal repeat the command in 30 s'
const NO_TLS = 'it does not speak TLS; does the service run with INTERNAL_TLS_CERT_FILE?'

/** Hints by the code of Node or OpenSSL. */
const HINTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired; renew the one in INTERNAL_TLS_CERT_FILE',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  EPROTO: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_TLS_CERT_ALTNAME_INVALID: `${UNTRUSTED}. It names others than this address`,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (!(cause instanceof Error)) return 'unknown'
  if (!('code' in cause) || typeof cause.code !== 'string') return cause.name
  const hint = HINTS[cause.code]
  return hint === undefined ? cause.code : `${cause.code}, ${hint}`
}
