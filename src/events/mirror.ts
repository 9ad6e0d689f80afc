import type { Broadcast } from '../core/broadcast.ts'
import type { EpochMs } from '../core/epoch-ms.ts'
import { BEFORE_ALL, type EventId, isLater } from '../core/event-id.ts'
import { LOGGED_MS, MAX_LOGGED } from '../store/event-log.ts'

/** Broadcast as streams write it. */
export interface HeldBroadcast {
  readonly id: EventId
  /** Name and audience, by which `isMeantFor` chooses the pages. */
  readonly broadcast: Omit<Broadcast, 'data'>
  /** Lines of the event as the client receives them, made once for all streams. */
  readonly bytes: Uint8Array
}

/** Broadcast, the time at which it was sent, and a name that no other has. */
export interface MirroredBroadcast extends HeldBroadcast {
  readonly sentAt: EpochMs
  readonly name: string
}

/** Broadcasts of the last hour in the order of delivery. */
export interface Mirror {
  has(name: string): boolean
  add(broadcast: MirroredBroadcast): void
  readonly after: (id: EventId) => readonly HeldBroadcast[]
  /** Identifier of the last one that was ever added. */
  readonly latest: EventId
}

/** Difference between the clocks of two replicas by which no broadcast is lost. */
export const MAX_SKEW_MS = 10 * 60 * 1000
/** Time for which a broadcast is held after it was sent. */
export const HELD_MS = LOGGED_MS + MAX_SKEW_MS
/** Bounds the memory of the mirror, as `MAX_LOGGED` bounds the number. */
const MAX_BYTES = 8 * 1024 * 1024

export function createMirror(now: () => EpochMs): Mirror {
  /** By name, in the order of delivery. */
  const held = new Map<string, MirroredBroadcast>()
  let bytes = 0
  let latest = BEFORE_ALL

  function isTooMuch(first: MirroredBroadcast): boolean {
    return held.size > MAX_LOGGED || bytes > MAX_BYTES || isOld(first.sentAt, now())
  }

  function forgetOld(): void {
    for (const first of held.values()) {
      if (!isTooMuch(first)) return
      held.delete(first.name)
      bytes -= first.bytes.length
    }
  }

  return {
    has: (name) => held.has(name),
    add(broadcast) {
      held.set(broadcast.name, broadcast)
      bytes += broadcast.bytes.length
      latest = broadcast.id
      forgetOld()
    },
    after(id) {
      forgetOld()
      const all = [...held.values()]
      // Searches by place first, because identifiers may begin anew when Redis has lost its data.
      const at = all.findLastIndex((each) => each.id === id)
      return at === -1 ? all.filter((each) => isLater(each.id, id)) : all.slice(at + 1)
    },
    get latest() {
      return latest
    },
  }
}

/** Returns whether a broadcast is too old to be delivered or replayed. */
export function isOld(sentAt: EpochMs, now: EpochMs): boolean {
  return sentAt <= now - HELD_MS
}
