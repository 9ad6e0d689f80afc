import type { SealedRecords } from '../store/store.ts'

/** Returns whether identity and tokens are the same bytes in both, or absent in both. */
export function areSame(known: SealedRecords, found: SealedRecords): boolean {
  return isEqual(known.identity, found.identity) && isEqual(known.tokens, found.tokens)
}

function isEqual(known: Buffer | undefined, found: Buffer | undefined): boolean {
  return known === undefined || found === undefined ? known === found : known.equals(found)
}

/** Returns the size of identity and tokens in bytes. */
export function bytesOf({ identity, tokens }: SealedRecords): number {
  return (identity?.length ?? 0) + (tokens?.length ?? 0)
}
