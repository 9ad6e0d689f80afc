import { cleanText } from '../core/clean-text.ts'
import { HOST_CODES } from './codes/host-codes.ts'
import { SERVICE_CODES } from './codes/service-codes.ts'
import { TRAEFIK_CODES } from './codes/traefik-codes.ts'

/** Fault of an installation as somebody outside sees it. */
export interface Finding {
  /** Stable name, in snake case: docs/doctor.md lists all. */
  readonly code: FindingCode
  /** The request and its answer; no secret, and no text of others that is not cleaned and bounded. */
  readonly seen: string
  readonly why: string
  /** The change that mends it: setting, option or command. */
  readonly remedy: string
}

/** Every code with the reason why it matters and the usual remedy. */
export const CODES = { ...HOST_CODES, ...TRAEFIK_CODES, ...SERVICE_CODES } as const

export type FindingCode = keyof typeof CODES

const MAX_SEEN_CHARS = 400

/** Makes a finding; `remedy` replaces the usual one where more is known. */
export function finding(code: FindingCode, seen: string, remedy?: string): Finding {
  const { why, remedy: usual } = CODES[code]
  return { code, seen: bounded(seen), why, remedy: remedy === undefined ? usual : bounded(remedy) }
}

/** Returns a text of another party, to be put into `seen`. */
export function quoted(text: string): string {
  return `"${cleanText(text, 120)}"`
}

function bounded(text: string): string {
  return text.length > MAX_SEEN_CHARS ? `${text.slice(0, MAX_SEEN_CHARS)}…` : text
}
