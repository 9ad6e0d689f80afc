import { z } from 'zod'
import type { Environment } from '../config/config.ts'
import { loadSettings } from '../config/load.ts'
import { internalListeners } from './internal-listener.ts'

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

/**
 * Makes a client of the admin API at `url`, or at this machine's internal listener, with the token of the
 * environment.
 */
export function createAdminClient(environment: Environment, url: string | undefined): AskAdmin {
  const token = readToken(environment)
  const base = url ?? internalListeners(environment)[0]
  return async function askAdmin(method, path) {
    const response = await fetch(new URL(path, base), {
      method,
      headers: { Authorization: `Bearer ${token}` },
      // Follows no redirect because another server would receive the token.
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((error: unknown) => {
      throw new AdminError(`no answer from ${base}: ${reasonOf(error)}`)
    })
    const answer: unknown = await response.json().catch(() => undefined)
    if (response.status === 200) return answer
    throw new AdminError(describeRefusal(response, answer, base))
  }
}

function readToken(environment: Environment): string {
  const { ADMIN_TOKEN } = loadSettings(environment, 'ADMIN_TOKEN')
  if (ADMIN_TOKEN !== undefined && /^[\x20-\x7e]+$/.test(ADMIN_TOKEN)) return ADMIN_TOKEN
  throw new AdminError('set ADMIN_TOKEN or ADMIN_TOKEN_FILE to the token that the service has')
}

const refusal = z.object({ message: z.string() })

function describeRefusal({ status, headers }: Response, answer: unknown, base: string): string {
  const said = refusal.safeParse(answer).data?.message
  switch (status) {
    case 401:
      return `${base} does not accept this ADMIN_TOKEN`
    case 404:
      return said ?? `${base} has no /admin: is that the internal listener, with ADMIN_TOKEN set?`
    case 429:
      return `${base} was given too many wrong tokens; it listens again in ${headers.get('retry-after')} s`
    case 503:
      return `Redis is away${said === undefined ? '' : `: ${said}`}`
    default:
      return said ?? `${base} answered ${status}`
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (!(cause instanceof Error)) return 'unknown'
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name
}
