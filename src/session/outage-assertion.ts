import { z } from 'zod'
import { type EpochMs, isAlive, type Session } from '../core/session.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { sessionRecord } from './records.ts'
import type { CachedSession, PresentedSession } from './session-cache.ts'

/**
 * What a browser carries beside its session so that any replica can tell who it is while the store cannot: sealed like
 * the session itself, for its holder alone, with the last time the store confirmed it.
 */
export interface OutageAssertions {
  /** Nothing where it would be too large for a cookie. */
  issue(cached: CachedSession, presented: PresentedSession): string | undefined
  /** Nothing for one that is another session's, too old, or not ours. */
  open(text: string, presented: PresentedSession): Session | undefined
  /** Whether a browser that sent this one needs no new one yet. */
  isRecent(text: string): boolean
}

export interface OutageAssertionOptions {
  readonly ring: KeyRing
  /** From the last confirmation on. */
  readonly graceMs: number
  readonly now: () => EpochMs
}

/** Browsers take cookies of 4 KiB, and proxies limit them all together. */
const MAX_CHARACTERS = 3000
/** Clocks of replicas may differ by this much (fault F29). */
const CLOCK_TOLERANCE_MS = 30_000

const contents = z.object({ session: sessionRecord, confirmedAt: z.number() })

/** `v1.<when, in seconds, for the eyes of the next replica>.<sealed>`; what counts is inside the seal. */
const PREFIX = 'v1.'
const SEALED = /^[A-Za-z0-9_-]+$/

export function createOutageAssertions(options: OutageAssertionOptions): OutageAssertions {
  const { ring, graceMs, now } = options
  const renewAfterMs = graceMs / 5
  const issued = new WeakMap<Session, { readonly text: string | undefined; readonly at: EpochMs }>()

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
      const before = issued.get(session)
      if (before && now() - before.at < renewAfterMs) return before.text
      const at = now() - (performance.now() - confirmedAtMs)
      const text = seal(session, at, presented)
      issued.set(session, { text, at })
      return text
    },
    open(text, presented) {
      const plaintext = unseal(text, presented)
      if (!plaintext) return undefined
      const { data } = contents.safeParse(JSON.parse(plaintext.toString()))
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
