import type { Identity } from './identity.ts'

/** Milliseconds since the Unix epoch; used only inside sealed statements. */
export type EpochMs = number

/** Somebody whom apps are told about. */
export interface Principal {
  readonly identity: Identity
  /** Only where apps are given it. */
  readonly accessToken?: { readonly value: string; readonly expiresAt?: EpochMs }
}

/** A signed-in user, as opened from the sealed record; the access token is kept apart in the store. */
export interface Session extends Principal {
  readonly createdAt: EpochMs
  /** The absolute end; a session never outlives it. */
  readonly expiresAt: EpochMs
  /** Digest of the provider's own session, where it has named one. */
  readonly providerSession?: string
  /** Generation in which the sign-in began, by which a later order to end all sessions includes this one. */
  readonly generation?: number
  /** Absent where the provider's tokens cannot be refreshed, or have no end. */
  readonly renewal?: Renewal
}

/** When the provider's tokens are to be refreshed, and when the access token ends. */
export interface Renewal {
  readonly dueAt: EpochMs
  readonly endsAt: EpochMs
}

/** `due`: refresh them, and go on meanwhile; `overdue`: there is no going on without. */
export type RenewalNeed = 'none' | 'due' | 'overdue'

/** `patienceMs`: for how long after the access token's end a session may go on without a new one. */
export function renewalNeed({ renewal }: Session, nowMs: EpochMs, patienceMs: number): RenewalNeed {
  if (!renewal || nowMs < renewal.dueAt) return 'none'
  return nowMs < renewal.endsAt + patienceMs ? 'due' : 'overdue'
}

/** What the session cookie carries: an id to find the record by and a secret to open it with. */
export interface SessionCredential {
  readonly id: string
  readonly secret: string
}

const COOKIE_VALUE = /^v1\.(?<id>[A-Za-z0-9_-]{43})\.(?<secret>[A-Za-z0-9_-]{43})$/

/** Parses `v1.<id>.<secret>`, 256 bits each; any other value, a newer version included, is no credential. */
export function parseSessionCookie(value: string): SessionCredential | undefined {
  const groups = COOKIE_VALUE.exec(value)?.groups
  return groups && { id: groups['id'] as string, secret: groups['secret'] as string }
}

/** The cookie's value for a credential. */
export function formatSessionCookie({ id, secret }: SessionCredential): string {
  return `v1.${id}.${secret}`
}

/** Whether the session may still be used at this moment. */
export function isAlive(session: Session, nowMs: EpochMs): boolean {
  return nowMs < session.expiresAt
}
