import { parseSessionCookie, type Session } from '../../core/session.ts'
import type { Sessions } from '../../session/sessions.ts'
import type { CheckedRequest } from './checked-request.ts'

/**
 * Finds the session of a request that was answered without a look at it; `undefined` for a stranger. Rejects with the
 * store's errors.
 */
export type FindBehind = (checked: CheckedRequest) => Promise<Session | undefined>

export interface FindBehindOptions {
  readonly sessions: Pick<Sessions, 'recall' | 'find'>
  readonly realmOf: (host: string) => string
  readonly storeTimeoutMs: number
}

/** Bounds the look-ups under way; a session beyond them counts as none, because strangers can cause any number. */
const MAX_UNDER_WAY = 100

/** Creates the function, which leaves the idle timeout of the session as it is. */
export function createFindBehind(options: FindBehindOptions): FindBehind {
  const { sessions, realmOf, storeTimeoutMs: timeoutMs } = options
  let underWay = 0
  return async ({ cookies, request }) => {
    const credential = cookies.session && parseSessionCookie(cookies.session)
    if (!credential) return undefined
    const realm = realmOf(request.site.host)
    const recalled = sessions.recall(credential, realm, false)
    if (recalled || underWay === MAX_UNDER_WAY) return recalled?.session
    const standIn = { assertion: () => cookies.outage }
    underWay++
    try {
      const found = await sessions.find(credential, realm, { timeoutMs, standIn, isUse: false })
      return found?.session
    } finally {
      underWay--
    }
  }
}
