import type { DeniedTokens } from '../bearer/denied-tokens.ts'
import type { BearerVerifier } from '../bearer/verify-bearer.ts'
import type { BackplaneMessage, Region } from '../replicas/message.ts'
import type { SessionCache } from '../session/session-cache.ts'
import type { Sessions } from '../session/sessions.ts'

/** What this replica keeps in memory of what is true elsewhere. */
export interface Caches {
  clear(region: Region): void
  size(region: Region): number
}

/** Regions as operators clear them. */
export function createCaches(sessionCache: SessionCache, verifier: BearerVerifier): Caches {
  const regions = { sessions: sessionCache, tokens: verifier } as const satisfies Record<
    Region,
    unknown
  >
  return {
    clear: (region) => regions[region].clear(),
    size: (region) => regions[region].size,
  }
}

export function clearAll(caches: Caches): void {
  caches.clear('sessions')
  caches.clear('tokens')
}

/** Who has to know of it. */
interface Hearers {
  readonly sessions: Pick<Sessions, 'receiveEnded'>
  readonly deniedTokens: Pick<DeniedTokens, 'receiveDenied'>
  readonly sessionCache: SessionCache
  readonly caches: Caches
}

/** What another replica said. */
export function hear(
  message: BackplaneMessage,
  { sessions, deniedTokens, sessionCache, caches }: Hearers,
): void {
  switch (message.type) {
    case 'session-ended':
      sessions.receiveEnded(message.session)
      break
    case 'evict':
      sessionCache.expire(message.session)
      break
    case 'token-denied':
      deniedTokens.receiveDenied(message.token, message.ttlMs)
      break
    case 'clear':
      caches.clear(message.region)
      break
    case 'clear-all':
      clearAll(caches)
      break
    case 'self-test':
      break
  }
}
