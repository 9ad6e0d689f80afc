import type { DeniedTokens } from '../bearer/denied-tokens.ts'
import type { BackplaneMessage } from '../replicas/message.ts'
import type { AdminCacheOptions } from '../routes/admin/cache.ts'
import type { StateListeners } from '../store/shared-state.ts'
import type { ComposedSessions } from './sessions.ts'

/** In-memory caches of this replica, by the region under which operators clear each. */
export type Caches = AdminCacheOptions['caches']

export interface ListenerOptions {
  readonly sessions: Pick<ComposedSessions, 'sessions' | 'cache' | 'renewedRecords'>
  readonly deniedTokens: Pick<DeniedTokens, 'receiveDenied' | 'reload'>
  readonly caches: Caches
}

/** Reacts to changes of the shared state and to messages of other replicas. */
export function createListeners({
  sessions: { sessions, cache, renewedRecords },
  deniedTokens,
  caches,
}: ListenerOptions): StateListeners {
  function clearAll(): void {
    for (const each of Object.values(caches)) each.clear()
  }

  function receive(message: BackplaneMessage): void {
    switch (message.type) {
      case 'session-ended':
        sessions.receiveEnded(message.session)
        break
      case 'evict':
        if (message.forget) cache.evict(message.session)
        else cache.expire(message.session)
        break
      case 'token-denied':
        deniedTokens.receiveDenied(message.token, message.ttlMs)
        break
      case 'clear':
        caches[message.region].clear()
        break
      case 'clear-all':
        clearAll()
        break
      case 'self-test':
        break
    }
  }

  return {
    onReattached() {
      void sessions.revocations.flush()
      deniedTokens.reload().catch(() => undefined)
    },
    onDatasetChanged: () => cache.clear(),
    onAnotherServer() {
      void sessions.revocations.repeat()
      void renewedRecords.restore()
    },
    onMessage: receive,
    onUnknownMessage: clearAll,
  }
}
