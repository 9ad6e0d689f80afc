import type { EpochMs } from './epoch-ms.ts'
import type { Identity } from './identity.ts'

/** Authenticated user or program that identity headers describe. */
export interface Principal {
  readonly identity: Identity
  /** Tokens of the provider, where apps receive them; a program has no ID token. */
  readonly accessToken?: PassedToken
  readonly idToken?: PassedToken
}

/** Tokens that apps may be given, by the words of `PASS_AUTHORIZATION`. */
export type TokenKind = 'access-token' | 'id-token'

/** Token as it is given to apps until it expires; without an expiry, always. */
export interface PassedToken {
  readonly value: string
  readonly expiresAt?: EpochMs
}

/** Signed-in user, as opened from the sealed record; the store keeps the tokens separately. */
export interface Session extends Principal {
  readonly createdAt: EpochMs
  /** Absolute end of the session. */
  readonly expiresAt: EpochMs
  /** Digest of the provider's session id (`sid`), where it sent one. */
  readonly providerSession?: string
  /** Generation in which the sign-in began, which ending all sessions compares with its own. */
  readonly generation?: number
  /** Absent where the provider's tokens cannot be refreshed or do not expire. */
  readonly renewal?: Renewal
}

/** Time at which a refresh is due, and end of the token before which it must come. */
export interface Renewal {
  readonly dueAt: EpochMs
  readonly endsAt: EpochMs
}

/** Need for a refresh: `due` passes the request meanwhile, `overdue` makes it wait for the refresh. */
export type RenewalNeed = 'none' | 'due' | 'overdue'

/** Returns the need for a refresh; a session stays usable for `patienceMs` after the access token's end. */
export function renewalNeed({ renewal }: Session, nowMs: EpochMs, patienceMs: number): RenewalNeed {
  if (!renewal || nowMs < renewal.dueAt) return 'none'
  return nowMs < renewal.endsAt + patienceMs ? 'due' : 'overdue'
}

/** Content of the session cookie: the id of the record, and the secret that opens it. */
export interface SessionCredential {
  readonly id: string
  readonly secret: string
}

/** Characters of an id and of a secret: 256 bits in base64url. */
const PART_LENGTH = 43
const PREFIX = 'v1.'
const ID_END = PREFIX.length + PART_LENGTH
const COOKIE_LENGTH = ID_END + 1 + PART_LENGTH
/** Matches a character that is neither of base64url nor a dot. */
const NO_PART = /[^A-Za-z0-9_.-]/

/** Parses `v1.<id>.<secret>`, 256 bits each; `undefined` for any other value, newer versions included. */
export function parseSessionCookie(value: string): SessionCredential | undefined {
  // Looks for the two dots first, because an expression with groups takes longer than the rest of the cookie (C64).
  const hasForm =
    value.length === COOKIE_LENGTH &&
    value.startsWith(PREFIX) &&
    value.indexOf('.', PREFIX.length) === ID_END &&
    !value.includes('.', ID_END + 1) &&
    !NO_PART.test(value)
  return hasForm
    ? { id: value.slice(PREFIX.length, ID_END), secret: value.slice(ID_END + 1) }
    : undefined
}

export function formatSessionCookie({ id, secret }: SessionCredential): string {
  return `v1.${id}.${secret}`
}

export function isAlive(session: Session, nowMs: EpochMs): boolean {
  return nowMs < session.expiresAt
}
