import type { LimitedOrigin } from '../core/limited-origin.ts'
import { AuthError } from '../errors.ts'

/** Bounds token requests in flight, altogether and for one address (fault F31, finding C11). */
export interface SignInSlots {
  /** Returns what gives the slot back. Throws `AuthError` `busy` when there is none. */
  take(origin: LimitedOrigin): () => void
}

/** Strangers with made-up codes leave the others to everybody else. */
const SHARE_OF_ADDRESS = 1 / 4
/** Fewer are not divided. */
const MIN_DIVIDED = 4

export function createSignInSlots(total: number): SignInSlots {
  const heldBy = new Map<string, number>()
  let held = 0

  /** Visitors whose proxy tells no address are not bounded as one, because a few would keep all others out. */
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
