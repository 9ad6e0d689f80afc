import { digestOfParts } from '../crypto/digest.ts'
import { AuthError } from '../errors.ts'
import { type DeniedToken, type DenyList, MAX_DENIED_TOKENS } from '../store/deny-list.ts'
import { waitAtMost } from '../timing/time-limit.ts'

/** Bearer tokens that operators have denied, in a copy on this replica so that checks need no I/O. */
export interface DeniedTokens {
  includes(issuer: string, jti: string): boolean
  /** Whether the copy is up to date; false while the store is away, because a denial may be unknown here. */
  readonly isCurrent: boolean
  /**
   * Resolves when the list has been read for the first time, or could not be read within a second; at once while no rule
   * accepts tokens.
   */
  readonly initialLoad: Promise<void>
  /**
   * Denies a token on every replica. Throws `AuthError` `store_unavailable` while the store is away, or when
   * `MAX_DENIED_TOKENS` are denied already.
   */
  deny(issuer: string, jti: string, ttlMs: number): Promise<void>
  /** Adds the digest of a token that another replica has denied. */
  receiveDenied(token: string, ttlMs: number): void
  /** Reads the list, and adds what is known here and missing there. Throws like `deny`. */
  reload(): Promise<void>
  list(): Promise<readonly DeniedToken[]>
  close(): void
}

export interface DeniedTokensOptions {
  readonly denyList: DenyList
  /** Returns whether a rule accepts tokens now; the list is read from the first time on that one does. */
  readonly isUsed: () => boolean
  /** Resolves when the store may be read for the first time. */
  readonly firstAttempt: Promise<void>
  /** Returns whether reading the list is expected to succeed. */
  readonly isAvailable: () => boolean
  /** Reports that the list could not be read at the start. */
  readonly onUnread: () => void
  /** Reports that a token passed although the copy of the list is out of date. */
  readonly onDoubt: () => void
}

const RELOAD_MS = 5000
const OLD_AFTER_MS = 2 * RELOAD_MS
/** Longest time that a check at the start waits for the list. */
const INITIAL_LOAD_MS = 1000

/** Merges what was received with what is read, because a denial is never taken back. */
export function createDeniedTokens(options: DeniedTokensOptions): DeniedTokens {
  const { denyList } = options
  const known = createKnownTokens()
  let readAtMs = Number.NEGATIVE_INFINITY
  let hasBeenUsed = false
  let initialLoad: Promise<void> | undefined

  function isRead(): boolean {
    hasBeenUsed ||= options.isUsed()
    return hasBeenUsed
  }

  async function reload(): Promise<void> {
    if (!isRead()) return
    const listed = await denyList.list()
    readAtMs = performance.now()
    known.sweep()
    for (const { token, leftMs } of listed) known.keep(token, leftMs)
    // Denies again what was lost in a failover or with all data (fault F16).
    for (const [token, leftMs] of known.missingFrom(listed)) await denyList.add(token, leftMs)
  }

  function loadOnce(): Promise<void> {
    if (!isRead()) return Promise.resolve()
    initialLoad ??= loadFirst()
    return initialLoad
  }

  async function loadFirst(): Promise<void> {
    await waitAtMost(options.firstAttempt.then(reload), INITIAL_LOAD_MS).catch(() => undefined)
    if (readAtMs === Number.NEGATIVE_INFINITY) options.onUnread()
  }

  const isOld = () => performance.now() - readAtMs > OLD_AFTER_MS
  const timer = setInterval(() => {
    if (options.isAvailable()) reload().catch(() => undefined)
  }, RELOAD_MS).unref()
  void loadOnce()

  return {
    includes(issuer, jti) {
      if (known.includes(issuer, jti)) return true
      if (isOld()) options.onDoubt()
      return false
    },
    get isCurrent() {
      return options.isAvailable() && !isOld()
    },
    get initialLoad() {
      return loadOnce()
    },
    async deny(issuer, jti, ttlMs) {
      known.sweep()
      if (known.isFull()) {
        throw new AuthError('store_unavailable', 'too many tokens are denied already', {
          isPublic: true,
        })
      }
      const token = digestOfParts(issuer, jti)
      await denyList.add(token, ttlMs)
      known.keep(token, ttlMs)
    },
    receiveDenied: (token, ttlMs) => known.keep(token, ttlMs),
    reload,
    list: () => denyList.list(),
    close: () => clearInterval(timer),
  }
}

/** Digests of denied tokens with the time at which each ends. */
function createKnownTokens() {
  const endsAtMs = new Map<string, number>()
  const isFull = () => endsAtMs.size >= MAX_DENIED_TOKENS
  return {
    isFull,
    includes(issuer: string, jti: string): boolean {
      const end = endsAtMs.size > 0 ? endsAtMs.get(digestOfParts(issuer, jti)) : undefined
      return end !== undefined && end > performance.now()
    },
    keep(token: string, ttlMs: number): void {
      if (isFull() && !endsAtMs.has(token)) return
      endsAtMs.set(token, Math.max(performance.now() + ttlMs, endsAtMs.get(token) ?? 0))
    },
    sweep(): void {
      const nowMs = performance.now()
      for (const [token, end] of endsAtMs) if (end <= nowMs) endsAtMs.delete(token)
    },
    /**
     * Returns tokens that the list lacks, each with its remaining time, except those that end before the next reload.
     */
    missingFrom(listed: readonly DeniedToken[]): [token: string, leftMs: number][] {
      const names = new Set(listed.map(({ token }) => token))
      const nowMs = performance.now()
      return [...endsAtMs]
        .map(([token, end]): [string, number] => [token, end - nowMs])
        .filter(([token, leftMs]) => leftMs > RELOAD_MS && !names.has(token))
    },
  }
}
