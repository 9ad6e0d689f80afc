import { isRecord, parseJson } from '../core/json.ts'
import { STATUS } from '../errors.ts'
import type { Answer } from './ask.ts'

/** Answer that Vestibule gives to a program. */
export interface OwnAnswer {
  readonly error: string
  readonly message: string
  readonly loginUrl: string
}

/** Errors of verdicts, beside those that are thrown. */
const OF_VERDICTS = ['login_required', 'token_required', 'forbidden', 'invalid_token']
const KNOWN: ReadonlySet<string> = new Set([...Object.keys(STATUS), ...OF_VERDICTS])

/** Returns what Vestibule answered; `undefined` for an answer of something else. */
export function ownAnswerOf({ body }: Answer): OwnAnswer | undefined {
  const value = parseJson(body)
  if (!isRecord(value)) return undefined
  const { error, message, login_url: loginUrl } = value
  if (typeof error !== 'string' || !KNOWN.has(error)) return undefined
  return { error, message: textOf(message), loginUrl: textOf(loginUrl) }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Returns whether Traefik answers itself that it has no router. */
export function isWithoutRouter({ status, body }: Answer): boolean {
  return status === 404 && body.trim() === '404 page not found'
}

/** Returns whether Traefik answers itself that nothing is behind a router. */
export function isWithoutServer({ status }: Answer): boolean {
  return status === 502 || status === 503 || status === 504
}
