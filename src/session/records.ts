import { z } from 'zod'
import type { Identity } from '../core/identity.ts'
import type { EpochMs, Session, SessionCredential } from '../core/session.ts'
import { sha256 } from '../crypto/digest.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import type { Owners } from '../store/session-index.ts'
import { type RecordPart, recordKey } from '../store/store.ts'

/** What the provider gave beside the identity. */
export interface Tokens {
  readonly idToken: string
  readonly accessToken: string
  readonly refreshToken?: string
  readonly accessTokenExpiresAt?: EpochMs
  /** In which the sign-in began; what ended all sessions later has ended this one, too. */
  readonly generation?: number
}

/** What can be known of a session without its cookie. */
export interface SessionMetadata {
  readonly subject: string
  readonly displayName: string
  /** Digests of whose session it is. */
  readonly owners: Owners
  /** Generation in which the sign-in began, for ending the session without its cookie. */
  readonly generation?: number
  readonly createdAt: EpochMs
  readonly address?: string
  readonly userAgent?: string
}

const time = z.number()
const optionalText = z.exactOptional(z.string())

/** What a session is made of, but for the access token, which is kept apart. */
export const sessionRecord: z.ZodType<Session> = z.object({
  identity: z.object({
    issuer: z.string().min(1),
    subject: z.string().min(1),
    email: optionalText,
    preferredUsername: optionalText,
    name: optionalText,
    groups: z.array(z.string()),
    claims: z.custom<Identity['claims']>(isClaims),
  }),
  createdAt: time,
  expiresAt: time,
  providerSession: optionalText,
  generation: z.exactOptional(z.number()),
  renewal: z.exactOptional(z.object({ dueAt: time, endsAt: time })),
})

/** Any name may be a claim's, `__proto__` too, which a copy would lose (threat A35). */
function isClaims(value: unknown): boolean {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject && Object.values(value).every((claim) => claimValue.safeParse(claim).success)
}

const claimValue = z.union([z.string(), z.array(z.string())])

const tokens: z.ZodType<Tokens> = z.object({
  idToken: z.string(),
  accessToken: z.string(),
  refreshToken: optionalText,
  accessTokenExpiresAt: z.exactOptional(time),
  generation: z.exactOptional(z.number()),
})

const metadata: z.ZodType<SessionMetadata> = z.object({
  subject: z.string(),
  displayName: z.string(),
  owners: z.object({ user: z.string(), providerSession: optionalText }),
  generation: z.exactOptional(z.number()),
  createdAt: time,
  address: optionalText,
  userAgent: optionalText,
})

/** What each record holds; what a later version may have added is left out. */
const RECORDS = { identity: sessionRecord, tokens, metadata } as const satisfies Record<
  RecordPart,
  z.ZodType
>
type Records = { readonly [P in RecordPart]: z.output<(typeof RECORDS)[P]> }

/** What a record is bound to beside its place: the cookie's half of the key, and where the session counts. */
export interface RecordKey {
  readonly secret: string
  readonly realm: string
}

/** Seals the records of sessions, each for its own place in the store; a value at another place opens with no key. */
export interface SessionCodec {
  seal<P extends RecordPart>(digest: string, part: P, value: Records[P], key?: RecordKey): Buffer
  /** Nothing for a record that is not there, was changed, belongs elsewhere or to another key. */
  open<P extends RecordPart>(
    digest: string,
    part: P,
    sealed: Buffer | undefined,
    key?: RecordKey,
  ): Records[P] | undefined
}

export interface SessionCodecOptions {
  readonly ring: KeyRing
  readonly keyPrefix: string
  /** A cookie with a wrong secret looks the same as tampering. */
  readonly onIntegrityFailure: (key: string) => void
}

/** Without a holder the server key alone opens the record, so that sessions can be listed and ended without cookies. */
export function createSessionCodec(options: SessionCodecOptions): SessionCodec {
  const { ring, keyPrefix, onIntegrityFailure } = options
  const contextOf = (digest: string, part: RecordPart, key: Partial<RecordKey> = {}) => ({
    purpose: 'session',
    name: recordKey(keyPrefix, digest, part),
    realm: '',
    ...key,
  })
  return {
    seal: (digest, part, value, key) =>
      ring.seal(Buffer.from(JSON.stringify(value)), contextOf(digest, part, key)),
    open<P extends RecordPart>(
      digest: string,
      part: P,
      sealed: Buffer | undefined,
      key?: RecordKey,
    ) {
      if (!sealed) return undefined
      const context = contextOf(digest, part, key)
      const plaintext = ring.open(sealed, context)
      const value = plaintext && parse(part, plaintext)
      if (!value) onIntegrityFailure(context.name)
      return value
    },
  }
}

function parse<P extends RecordPart>(part: P, plaintext: Buffer): Records[P] | undefined {
  try {
    return RECORDS[part].parse(JSON.parse(plaintext.toString())) as Records[P]
  } catch {
    return undefined
  }
}

/** The store never sees a session id, only its digest. */
export function sessionDigest({ id }: SessionCredential): string {
  return sha256(id)
}
