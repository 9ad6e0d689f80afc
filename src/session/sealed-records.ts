import type { SealedRecords } from '../store/store.ts'

/**
 * Sealed identity and tokens as one text, a byte a character. A buffer of each record would take 300 bytes beside its
 * own, or keep alive the whole chunk that a client of Redis cut it from (finding C61).
 */
export interface PackedRecords {
  readonly text: string
  /** Size of the identity; `undefined` without one. */
  readonly identityBytes: number | undefined
  readonly tokensBytes: number | undefined
}

export function pack({ identity, tokens }: SealedRecords): PackedRecords {
  const records = [identity, tokens].filter((each) => each !== undefined)
  const [first] = records
  const whole = records.length === 1 && first ? first : Buffer.concat(records)
  return {
    text: whole.toString('latin1'),
    identityBytes: identity?.length,
    tokensBytes: tokens?.length,
  }
}

/** Returns whether identity and tokens are the same bytes in both, or absent in both. */
export function areSame(known: PackedRecords, { identity, tokens }: SealedRecords): boolean {
  const { text, identityBytes, tokensBytes } = known
  if (identity?.length !== identityBytes || tokens?.length !== tokensBytes) return false
  const bytes = unpacked(text)
  const begin = identityBytes ?? 0
  return (
    (identity === undefined || identity.compare(bytes, 0, begin) === 0) &&
    (tokens === undefined || tokens.compare(bytes, begin, text.length) === 0)
  )
}

/** Buffer that comparisons reuse; it fits every record but those of a provider with very large tokens. */
const reused = Buffer.alloc(16 * 1024)

function unpacked(text: string): Buffer {
  if (text.length > reused.length) return Buffer.from(text, 'latin1')
  reused.write(text, 'latin1')
  return reused
}
