import type { DeniedTokens } from '../bearer/denied-tokens.ts'
import type { BearerVerifier } from '../bearer/verify-bearer.ts'
import type { BackplaneMessage, Region } from '../replicas/message.ts'
import type { OpenedSessions } from '../session/session-cache.ts'
import type { Sessions } from '../session/sessions.ts'

/** What this replica keeps in memory of what is true elsewhere. */
export interface Caches {
  clear(region: Region): void
  size(region: Region): number
}

/** Regions as operators clear them. */
export function createCaches(opened: OpenedSessions, verifier: BearerVerifier): Caches {
  const regions = { sessions: opened, tokens: verifier } as const satisfies Record<Region, unknown>
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
  readonly sessions: Pick<Sessions, 'hearEnded'>
  readonly deniedTokens: Pick<DeniedTokens, 'hearDenied'>
  readonly opened: OpenedSessions
  readonly caches: Caches
}

/** What another replica said. */
export function hear(
  message: BackplaneMessage,
  { sessions, deniedTokens, opened, caches }: Hearers,
): void {
  switch (message.type) {
    case 'session-ended':
      sessions.hearEnded(message.session)
      break
    case 'evict':
      opened.expire(message.session)
      break
    case 'token-denied':
      deniedTokens.hearDenied(message.token, message.ttlMs)
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
