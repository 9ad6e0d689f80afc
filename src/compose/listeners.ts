import type { DeniedTokens } from '../bearer/denied-tokens.ts'
import { readEndReason } from '../core/end-reason.ts'
import type { Broadcasts } from '../events/broadcasts.ts'
import type { Streams } from '../events/streams.ts'
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
  readonly events: {
    readonly streams: Pick<Streams, 'renew' | 'look'>
    readonly broadcasts: Pick<Broadcasts, 'receive' | 'catchUp' | 'readAnew'>
  }
}

/** Reacts to changes of the shared state and to messages of other replicas. */
export function createListeners({
  sessions: { sessions, cache, renewedRecords },
  deniedTokens,
  caches,
  events: { streams, broadcasts },
}: ListenerOptions): StateListeners {
  function clearAll(): void {
    for (const each of Object.values(caches)) each.clear()
  }

  function receive(message: BackplaneMessage): void {
    switch (message.type) {
      case 'session-ended':
        sessions.receiveEnded(message.session, readEndReason(message.reason))
        break
      case 'evict':
        if (message.forget) cache.evict(message.session)
        else cache.expire(message.session)
        if (message.renewed) streams.renew(message.session)
        break
      case 'broadcast':
        broadcasts.receive({ ...message, sealed: Buffer.from(message.sealed, 'base64url') })
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
    onDatasetChanged() {
      cache.clear()
      void broadcasts.readAnew()
    },
    onAnotherServer() {
      void sessions.revocations.repeat()
      void renewedRecords.restore()
    },
    onMessage: receive,
    onSubscribed() {
      void broadcasts.catchUp()
      void streams.look()
    },
    onUnknownMessage: clearAll,
  }
}
