import { z } from 'zod'
import type { Environment } from '../config/config.ts'
import { loadSettings } from '../config/load.ts'
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

/** Sends a request to the admin API of a running service. Throws `AdminError` for every status but 200. */
export type AskAdmin = (method: 'GET' | 'DELETE', path: string) => Promise<unknown>

/** Leaves time for ending the sessions of all users. */
const TIMEOUT_MS = 10 * 60 * 1000

/** Listener at another address, and files for its TLS. */
export interface AdminAddress extends GivenFiles {
  readonly url?: string | undefined
}

/**
 * Makes a client of the admin API at `url`, or at this machine's internal listener, with the token of the
 * environment.
 */
export function createAdminClient(environment: Environment, address: AdminAddress): AskAdmin {
  const token = readToken(environment)
  const base = address.url ?? internalListeners(environment)[0]
  const isTls = URL.parse(base)?.protocol === 'https:'
  const tls = isTls ? adminTls(internalTlsFiles(environment), address) : undefined
  return async function askAdmin(method, path) {
    const headers = { Authorization: `Bearer ${token}` }
    const request = { method, headers, timeoutMs: TIMEOUT_MS, tls }
    const answer = await askInternal(new URL(path, base), request).catch((error: unknown) => {
      throw new AdminError(`no answer from ${base}: ${reasonOf(error)}`)
    })
    if (answer.status >= 300 && answer.status < 400)
      throw new AdminError(`no answer from ${base}: it redirects elsewhere`)
    if (answer.status === 200) return parseJson(answer.body)
    throw new AdminError(describeRefusal(answer, base))
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function readToken(environment: Environment): string {
  const { ADMIN_TOKEN } = loadSettings(environment, 'ADMIN_TOKEN')
  if (ADMIN_TOKEN !== undefined && /^[\x20-\x7e]+$/.test(ADMIN_TOKEN)) return ADMIN_TOKEN
  throw new AdminError('set ADMIN_TOKEN or ADMIN_TOKEN_FILE to the token that the service has')
}

const ASK_BY_TLS = 'if it speaks TLS, set INTERNAL_TLS_CERT_FILE, or begin --url with https'
const refusal = z.object({ message: z.string() })

function describeRefusal({ status, headers, body }: InternalAnswer, base: string): string {
  const said = refusal.safeParse(parseJson(body)).data?.message
  switch (status) {
    case 400:
      return said ?? `${base} answered 400${base.startsWith('http:') ? `; ${ASK_BY_TLS}` : ''}`
    case 401:
      return `${base} does not accept this ADMIN_TOKEN`
    case 404:
      return said ?? `${base} has no /admin: is that the internal listener, with ADMIN_TOKEN set?`
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
