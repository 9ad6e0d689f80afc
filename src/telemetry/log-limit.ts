import { LRUCache } from 'lru-cache'

/** Fields by which a log line is limited. */
export interface LimitedFields {
  readonly event?: unknown
  readonly code?: unknown
  /** False for a request that could not be verified, which anybody can send. */
  readonly verified?: unknown
}

/** Count of the lines of one kind suppressed within a second. */
export interface LeftOut {
  readonly suppressed: number
  readonly of: { readonly event: string; readonly code?: string }
}

export interface LogLimit {
  /** Returns whether a line may be written. */
  admits(fields: LimitedFields): boolean
  /** Reports suppressed lines now instead of at the end of their second. */
  tellNow(): void
}

/**
 * Events that are never suppressed: actions of operators, signed-in users and the provider, and the process's
 * lifecycle.
 */
const UNLIMITED: ReadonlySet<unknown> = new Set([
  'listening',
  'stopping',
  'stopped',
  'log_lines_dropped',
  'log_lines_left_out',
  'risk',
  'setting_not_needed',
  'setting_unknown',
  'sign_in',
  'sign_out',
  'session_not_refreshed',
  'backchannel_logout',
  'explained',
  'cache_shown',
  'cache_cleared',
  'cache_not_cleared',
  'sessions_listed',
  'sessions_ended',
  'sessions_ended_by_user',
  'sessions_not_ended',
  'denied_tokens_listed',
  'token_denied',
  'token_expired',
  'token_not_denied',
  'broadcast',
  'broadcast_failed',
])

const MAX_LINES = 10
const PERIOD_MS = 1000
/** Exceeds the number of pairs of event and code, all of which are defined in this code. */
const MAX_KINDS = 1000

interface Kind {
  /** Times of the last lines written, oldest first. */
  readonly writtenAtMs: number[]
  leftOut: LeftOut | undefined
}

/** Admits ten lines of each event and code in any second, because anybody can cause them (finding C50). */
export function createLogLimit(tell: (leftOut: LeftOut) => void): LogLimit {
  const kinds = new LRUCache<string, Kind>({ max: MAX_KINDS })

  function kindOf(key: string): Kind {
    const kind = kinds.get(key) ?? { writtenAtMs: [], leftOut: undefined }
    kinds.set(key, kind)
    return kind
  }

  function tellOf(kind: Kind): void {
    const { leftOut } = kind
    kind.leftOut = undefined
    if (leftOut) tell(leftOut)
  }

  function leaveOut(kind: Kind, of: LeftOut['of']): void {
    if (!kind.leftOut) setTimeout(tellOf, PERIOD_MS, kind).unref()
    kind.leftOut = { of, suppressed: (kind.leftOut?.suppressed ?? 0) + 1 }
  }

  return {
    admits({ event, code, verified }) {
      const isUnlimited = UNLIMITED.has(event) && verified !== false
      if (typeof event !== 'string' || isUnlimited) return true
      const of = { event, ...(typeof code === 'string' && { code }) }
      const kind = kindOf(JSON.stringify(of))
      if (hasRoom(kind.writtenAtMs, performance.now())) return true
      leaveOut(kind, of)
      return false
    },
    tellNow() {
      for (const kind of kinds.values()) tellOf(kind)
    },
  }
}

/** Returns whether fewer than ten lines were written within the last second, and records one more if so. */
function hasRoom(writtenAtMs: number[], nowMs: number): boolean {
  const [oldestMs = nowMs] = writtenAtMs
  if (writtenAtMs.length === MAX_LINES) {
    if (nowMs - oldestMs < PERIOD_MS) return false
    writtenAtMs.shift()
  }
  writtenAtMs.push(nowMs)
  return true
}
