import { setTimeout as pause } from 'node:timers/promises'
import { digestOfParts } from '../crypto/digest.ts'
import { AuthError } from '../errors.ts'
import { type DeniedToken, type DenyList, MAX_DENIED_TOKENS } from '../store/deny-list.ts'

/** Tokens of programs that operators have denied, as far as this replica knows: checks ask without I/O. */
export interface DeniedTokens {
  includes(issuer: string, jti: string): boolean
  /** Resolves when the list has been read for the first time, or cannot be just now. */
  readonly initialLoad: Promise<void>
  /** On every replica. Throws `AuthError` `store_unavailable` while the others cannot be told, or where there are too many. */
  deny(issuer: string, jti: string, ttlMs: number): Promise<void>
  /** Another replica has denied it. */
  receiveDenied(token: string, ttlMs: number): void
  /** Asks for what was not heard, and tells what is not there any more. Throws like `deny`. */
  reload(): Promise<void>
  list(): Promise<readonly DeniedToken[]>
  close(): void
}

export interface DeniedTokensOptions {
  readonly denyList: DenyList
  /** Whether any rule accepts tokens; without one nothing is ever asked for. */
  readonly isUsed: boolean
  /** When asking for the first time is of use. */
  readonly firstAttempt: Promise<void>
  /** Whether there is any use in asking. */
  readonly isAvailable: () => boolean
  /** The list could not be read at the start. */
  readonly onUnread: () => void
  /** A token passed although the list may have grown since it was read. */
  readonly onDoubt: () => void
}

const RELOAD_MS = 5000
const OLD_AFTER_MS = 2 * RELOAD_MS
/** No check at the start waits for longer. */
const FIRST_LOOK_MS = 1000

/** A denial is never taken back, so what was heard and what is read are put together. */
export function createDeniedTokens(options: DeniedTokensOptions): DeniedTokens {
  const { denyList, isUsed } = options
  const known = new Map<string, number>()
  let readAtMs = Number.NEGATIVE_INFINITY

  function keep(token: string, ttlMs: number): void {
    const endsAtMs = performance.now() + ttlMs
    if (known.size >= MAX_DENIED_TOKENS && !known.has(token)) return
    known.set(token, Math.max(endsAtMs, known.get(token) ?? 0))
  }

  function sweep(): void {
    const nowMs = performance.now()
    for (const [token, endsAtMs] of known) if (endsAtMs <= nowMs) known.delete(token)
  }

  async function reload(): Promise<void> {
    if (!isUsed) return
    const listed = await denyList.list()
    readAtMs = performance.now()
    sweep()
    for (const { token, leftMs } of listed) keep(token, leftMs)
    await repeat(new Set(listed.map(({ token }) => token)))
  }

  /** What was lost in a failover, or with all data, is denied again (fault F16); what is about to end is not worth it. */
  async function repeat(listed: ReadonlySet<string>): Promise<void> {
    for (const [token, endsAtMs] of known) {
      const leftMs = endsAtMs - performance.now()
      if (leftMs > RELOAD_MS && !listed.has(token)) await denyList.add(token, leftMs)
    }
  }

  async function lookFirst(): Promise<void> {
    await Promise.race([
      options.firstAttempt.then(reload),
      pause(FIRST_LOOK_MS, undefined, { ref: false }),
    ]).catch(() => undefined)
    if (readAtMs === Number.NEGATIVE_INFINITY) options.onUnread()
  }

  const timer = isUsed
    ? setInterval(() => {
        if (options.isAvailable()) reload().catch(() => undefined)
      }, RELOAD_MS).unref()
    : undefined

  return {
    includes(issuer, jti) {
      const nowMs = performance.now()
      const endsAtMs = known.size > 0 ? known.get(digestOfParts(issuer, jti)) : undefined
      if (endsAtMs !== undefined && endsAtMs > nowMs) return true
      if (nowMs - readAtMs > OLD_AFTER_MS) options.onDoubt()
      return false
    },
    initialLoad: isUsed ? lookFirst() : Promise.resolve(),
    async deny(issuer, jti, ttlMs) {
      sweep()
      if (known.size >= MAX_DENIED_TOKENS) {
        throw new AuthError('store_unavailable', 'too many tokens are denied already', {
          isPublic: true,
        })
      }
      const token = digestOfParts(issuer, jti)
      await denyList.add(token, ttlMs)
      keep(token, ttlMs)
    },
    receiveDenied: keep,
    reload,
    list: () => denyList.list(),
    close: () => clearInterval(timer),
  }
}
