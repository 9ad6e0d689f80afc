import type { EndReason } from '../core/end-reason.ts'
import type { SessionCredential } from '../core/session.ts'
import type { Store } from '../store/store.ts'
import { sessionDigest } from './records.ts'
import type { Revocations } from './revocations.ts'

/**
 * Resolves with why the session of a cookie has ended, as far as this replica or the store remembers. Never rejects,
 * because it only adds to a refusal.
 */
export type EndReasonOf = (credential: SessionCredential) => Promise<EndReason | undefined>

export interface EndReasonOfOptions {
  readonly store: Pick<Store, 'readLives'>
  readonly revocations: Pick<Revocations, 'reasonOf'>
}

/** Creates a look-up that asks the memory of this replica first, and the tombstone where that does not know. */
export function createEndReasonOf({ store, revocations }: EndReasonOfOptions): EndReasonOf {
  return async (credential) => {
    const digest = sessionDigest(credential)
    const known = revocations.reasonOf(digest)
    if (known) return known
    const [life] = await store.readLives([digest]).catch(() => [])
    return life?.kind === 'ended' ? life.reason : undefined
  }
}
