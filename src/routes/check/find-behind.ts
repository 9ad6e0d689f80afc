import { parseSessionCookie, type Session } from '../../core/session.ts'
import type { Sessions } from '../../session/sessions.ts'
import type { CheckedRequest } from './checked-request.ts'

/**
 * Finds the session of a request that was answered without a look at it; `undefined` for a stranger. Rejects with the
 * store's errors.
 */
export type FindBehind = (checked: CheckedRequest) => Promise<Session | undefined>

export interface FindBehindOptions {
  readonly sessions: Pick<Sessions, 'find'>
  readonly realmOf: (host: string) => string
  readonly storeTimeoutMs: number
}

/** Creates the function, which leaves the idle timeout of the session as it is. */
export function createFindBehind(options: FindBehindOptions): FindBehind {
  const { sessions, realmOf, storeTimeoutMs: timeoutMs } = options
  return async ({ cookies, request }) => {
    const credential = cookies.session && parseSessionCookie(cookies.session)
    if (!credential) return undefined
    const standIn = { assertion: () => cookies.outage }
    const realm = realmOf(request.site.host)
    const found = await sessions.find(credential, realm, { timeoutMs, standIn, isUse: false })
    return found?.session
  }
}
