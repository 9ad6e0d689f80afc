import type { LimitedOrigin } from '../../core/limited-origin.ts'
import { AuthError } from '../../errors.ts'

/** Bounds token requests in flight, in total and per address (fault F31, finding C11). */
export interface SignInSlots {
  /** Takes a slot and returns a function that gives it back. Throws `AuthError` `busy` when there is none. */
  take(origin: LimitedOrigin): () => void
}

/** Share of one address, because made-up codes from it must not take all slots. */
const SHARE_OF_ADDRESS = 1 / 4
/** Total below which the share does not apply. */
const MIN_DIVIDED = 4

export function createSignInSlots(total: number): SignInSlots {
  const heldBy = new Map<string, number>()
  let held = 0

  /** Returns the bound of an address; no share applies without a visitor's address, because all share the proxy's. */
  const shareOf = ({ isTold }: LimitedOrigin) =>
    isTold && total >= MIN_DIVIDED ? Math.floor(total * SHARE_OF_ADDRESS) : total

  return {
    take(origin) {
      const { address } = origin
      const own = heldBy.get(address) ?? 0
      if (held >= total) throw new AuthError('busy', 'too many sign-ins at once')
      if (own >= shareOf(origin)) {
        throw new AuthError('busy', 'too many sign-ins from one address at once')
      }
      held++
      heldBy.set(address, own + 1)
      return () => {
        held--
        const left = (heldBy.get(address) ?? 0) - 1
        if (left > 0) heldBy.set(address, left)
        else heldBy.delete(address)
      }
    },
  }
}
