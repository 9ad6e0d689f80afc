import type { EpochMs, Session } from '../core/session.ts'
import type { KeyRing } from '../seal.ts'
import type { Owners } from '../store/session-index.ts'
import { type RecordPart, recordKey } from '../store/store.ts'

/** What the provider gave beside the identity. */
export interface Tokens {
  readonly idToken: string
  readonly accessToken: string
  readonly refreshToken?: string
  readonly accessTokenExpiresAt?: EpochMs
}

/** What can be known of a session without its cookie. */
export interface SessionMetadata {
  readonly subject: string
  readonly displayName: string
  /** Digests of whose session it is. */
  readonly owners: Owners
  readonly createdAt: EpochMs
  readonly address?: string
  readonly userAgent?: string
}

/** What each record holds. */
interface Records {
  readonly s: Session
  readonly t: Tokens
  readonly m: SessionMetadata
}

/** What a record is bound to beside its place: the cookie's half of the key, and where the session counts. */
export interface Holder {
  readonly secret: string
  readonly realm: string
}

/** Seals the records of sessions, each for its own place in the store; a value at another place opens with no key. */
export interface SessionCodec {
  seal<P extends RecordPart>(digest: string, part: P, value: Records[P], holder?: Holder): Buffer
  /** Nothing for a record that is not there, was changed, belongs elsewhere or to another holder. */
  open<P extends RecordPart>(
    digest: string,
    part: P,
    sealed: Buffer | undefined,
    holder?: Holder,
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
  const contextOf = (digest: string, part: RecordPart, holder: Partial<Holder> = {}) => ({
    purpose: 'session',
    name: recordKey(keyPrefix, digest, part),
    realm: '',
    ...holder,
  })
  return {
    seal: (digest, part, value, holder) =>
      ring.seal(Buffer.from(JSON.stringify(value)), contextOf(digest, part, holder)),
    open<P extends RecordPart>(
      digest: string,
      part: P,
      sealed: Buffer | undefined,
      holder?: Holder,
    ) {
      if (!sealed) return undefined
      const context = contextOf(digest, part, holder)
      const plaintext = ring.open(sealed, context)
      if (plaintext) return JSON.parse(plaintext.toString()) as Records[P]
      onIntegrityFailure(context.name)
      return undefined
    },
  }
}
