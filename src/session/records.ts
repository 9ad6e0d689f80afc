import { z } from 'zod'
import type { EpochMs } from '../core/epoch-ms.ts'
import type { Identity } from '../core/identity.ts'
import { isRecord } from '../core/json.ts'
import type { Session, SessionCredential } from '../core/session.ts'
import { sha256 } from '../crypto/digest.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import type { Owners } from '../store/sessions-by-owner.ts'
import { type RecordPart, recordKey } from '../store/store.ts'

/** Tokens of the provider, as stored. */
export interface Tokens {
  readonly idToken: string
  readonly accessToken: string
  readonly refreshToken?: string
  readonly accessTokenExpiresAt?: EpochMs
  /** Generation in which the sign-in began; a later end of all sessions includes this one. */
  readonly generation?: number
}

/** Data of a session that the server key alone opens. */
export interface SessionMetadata {
  readonly subject: string
  readonly displayName: string
  readonly owners: Owners
  /** Generation in which the sign-in began, for ending the session without its cookie. */
  readonly generation?: number
  readonly createdAt: EpochMs
  readonly address?: string
  readonly userAgent?: string
}

const time = z.number()
const optionalText = z.exactOptional(z.string())

/** Schema of a session without its tokens, which are in a record of their own. */
export const sessionRecord: z.ZodType<Session> = z.object({
  identity: z.object({
    issuer: z.string().min(1),
    subject: z.string().min(1),
    email: optionalText,
    preferredUsername: optionalText,
    name: optionalText,
    groups: z.array(z.string()),
    areGroupsKnown: z.exactOptional(z.boolean()),
    incomparable: z.exactOptional(z.array(z.string())),
    claims: z.custom<Identity['claims']>(isClaims),
  }),
  createdAt: time,
  expiresAt: time,
  providerSession: optionalText,
  generation: z.exactOptional(z.number()),
  renewal: z.exactOptional(z.object({ dueAt: time, endsAt: time })),
})

/** Checks claims in place, because a copy by the schema would lose a claim named `__proto__` (threat A35). */
function isClaims(value: unknown): boolean {
  return (
    isRecord(value) && Object.values(value).every((claim) => claimValue.safeParse(claim).success)
  )
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

/** Schema of each record; fields of a later version are dropped. */
const RECORDS = { identity: sessionRecord, tokens, metadata } as const satisfies Record<
  RecordPart,
  z.ZodType
>
type Records = { readonly [P in RecordPart]: z.output<(typeof RECORDS)[P]> }

/** Session cookie's share of the key that seals a record, and the realm for which the session is valid. */
export interface RecordKey {
  readonly secret: string
  readonly realm: string
}

/** Seals records of sessions, each for its own key in the store, so that a moved value does not open (A73). */
export interface SessionCodec {
  seal<P extends RecordPart>(digest: string, part: P, value: Records[P], key?: RecordKey): Buffer
  /** Returns `undefined` for a record that is missing, changed, moved, or sealed with another key. */
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
  /** Called with the key of a record that does not open; a cookie with a wrong secret cannot be told from tampering. */
  readonly onIntegrityFailure: (key: string) => void
}

/** Creates the codec; without a `RecordKey` the server key alone opens a record, as it must for metadata. */
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

/** Returns the name of a session in the store, which never sees the id itself. */
export function sessionDigest({ id }: SessionCredential): string {
  return sha256(id)
}
