import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { EpochMs } from '../core/epoch-ms.ts'
import { parseJson } from '../core/json.ts'
import { isAlive, type Session } from '../core/session.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { sessionRecord } from './records.ts'
import type { CachedSession, PresentedSession } from './session-cache.ts'

/**
 * Statements that browsers carry so that any replica can identify the visitor during a store outage. Each is sealed for
 * one session cookie and holds the time of the store's last confirmation.
 */
export interface OutageAssertions {
  /**
   * Returns the same text for a fifth of the grace, as long as it is remembered; `undefined` where it would exceed 3000
   * characters.
   */
  issue(cached: CachedSession, presented: PresentedSession): string | undefined
  /** Returns `undefined` for another session's assertion, one older than the grace, or other text. */
  open(text: string, presented: PresentedSession): Session | undefined
  /** Returns whether the visible time is younger than a fifth of the grace, so that no new cookie is needed. */
  isRecent(text: string): boolean
}

export interface OutageAssertionOptions {
  readonly ring: KeyRing
  /** Validity after the last confirmation. */
  readonly graceMs: number
  readonly now: () => EpochMs
}

/** Bounds the cookie, because browsers accept 4 KiB per cookie and proxies bound the header. */
const MAX_CHARACTERS = 3000
/** Bounds the assertions that parallel requests share before one of them has brought it back (finding C61). */
const MAX_REMEMBERED = 500
/** Accepted clock skew between replicas (fault F29). */
const CLOCK_TOLERANCE_MS = 30_000

const contents = z.object({ session: sessionRecord, confirmedAt: z.number() })

/** Prefix of `v1.<seconds in base 36>.<sealed>`; the visible time only tells when to renew, the sealed time decides. */
const PREFIX = 'v1.'
const SEALED = /^[A-Za-z0-9_-]+$/

export function createOutageAssertions(options: OutageAssertionOptions): OutageAssertions {
  const { ring, graceMs, now } = options
  const renewAfterMs = graceMs / 5
  const issued = new LRUCache<Session, { readonly text: string; readonly at: EpochMs }>({
    max: MAX_REMEMBERED,
  })
  const tooLarge = new WeakSet<Session>()

  const contextOf = ({ digest, credential, realm }: PresentedSession) => ({
    purpose: 'outage',
    name: digest,
    realm,
    secret: credential.secret,
  })

  function seal(session: Session, at: EpochMs, presented: PresentedSession) {
    const { identity, createdAt, expiresAt, providerSession, generation } = session
    const carried = {
      identity,
      createdAt,
      expiresAt,
      ...(providerSession && { providerSession }),
      ...(generation !== undefined && { generation }),
    }
    const statement = { session: carried, confirmedAt: at }
    const plaintext = Buffer.from(JSON.stringify(statement))
    const sealed = ring.seal(plaintext, contextOf(presented)).toString('base64url')
    const text = `${PREFIX}${Math.floor(at / 1000).toString(36)}.${sealed}`
    return text.length > MAX_CHARACTERS ? undefined : text
  }

  function unseal(text: string, presented: PresentedSession): Buffer | undefined {
    const sealed = text.slice(text.indexOf('.', PREFIX.length) + 1)
    const isOurs = text.startsWith(PREFIX) && SEALED.test(sealed)
    return isOurs ? ring.open(Buffer.from(sealed, 'base64url'), contextOf(presented)) : undefined
  }

  return {
    issue({ session, confirmedAtMs }, presented) {
      if (tooLarge.has(session)) return undefined
      const before = issued.get(session)
      if (before && now() - before.at < renewAfterMs) return before.text
      const at = now() - (performance.now() - confirmedAtMs)
      const text = seal(session, at, presented)
      if (text === undefined) tooLarge.add(session)
      else issued.set(session, { text, at })
      return text
    },
    open(text, presented) {
      const plaintext = unseal(text, presented)
      if (!plaintext) return undefined
      const { data } = contents.safeParse(parseJson(plaintext.toString()))
      if (!data || !isAlive(data.session, now())) return undefined
      const ageMs = now() - data.confirmedAt
      return ageMs < graceMs && ageMs > -CLOCK_TOLERANCE_MS ? data.session : undefined
    },
    isRecent(text) {
      if (!text.startsWith(PREFIX)) return false
      const seconds = text.slice(PREFIX.length, text.indexOf('.', PREFIX.length))
      const ageMs = now() - Number.parseInt(seconds, 36) * 1000
      return ageMs < renewAfterMs && ageMs > -CLOCK_TOLERANCE_MS
    },
  }
}
