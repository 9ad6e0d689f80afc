import type { Broadcast } from '../core/broadcast.ts'
import { BEFORE_ALL, type EventId, isEventId, isLater } from '../core/event-id.ts'
import {
  type AppendedEvent,
  type EventLog,
  type LoggedEvent,
  MAX_LOGGED,
} from '../store/event-log.ts'
import { createEntryOpener, type EntryOpenerOptions } from './entry-opener.ts'
import { createMirror, type HeldBroadcast, type MirroredBroadcast } from './mirror.ts'

/** Broadcast as it was published, not opened yet. */
export type PublishedEvent = AppendedEvent & LoggedEvent

type WaitingBroadcast = MirroredBroadcast & AppendedEvent

/**
 * Broadcasts of the last hour, held in memory by every replica, so that a client that comes back is served without a
 * read. Delivered in the order of their identifiers, each once.
 */
export interface Broadcasts {
  /** Sends to all replicas and resolves with the identifier. Rejects with the store's errors. */
  send(broadcast: Broadcast): Promise<EventId>
  /** Takes a broadcast of another replica; reads the log first where one before it is missing. */
  receive(event: PublishedEvent): void
  /** Reads from the log what was missed; never rejects. */
  catchUp(): Promise<void>
  /** Reads the whole log, because Redis has lost its data and may number anew; never rejects. */
  readAnew(): Promise<void>
  /** Returns the held broadcasts after `id`, oldest first. */
  after(id: EventId): readonly HeldBroadcast[]
  /** Identifier of the latest one; `undefined` until the log has been read for the first time. */
  readonly latest: EventId | undefined
  /** Tells that a read has failed, so that broadcasts may wait for the next one. */
  readonly isBehind: boolean
}

export interface BroadcastsOptions extends Omit<EntryOpenerOptions, 'mirror'> {
  readonly log: EventLog
  /** Called for each new broadcast, in order. */
  readonly onBroadcast: (held: HeldBroadcast) => void
}

export function createBroadcasts(options: BroadcastsOptions): Broadcasts {
  const { log, codec, now, onUnreadable } = options
  const mirror = createMirror(now)
  const open = createEntryOpener({ codec, mirror, now, onUnreadable })
  /** Messages that cannot be delivered before the log has been read. */
  const waiting = new Map<EventId, WaitingBroadcast>()
  /** Identifier up to which all is delivered; `undefined` until the whole log has been read. */
  let position: EventId | undefined
  let reading: Promise<void> | undefined
  let [hasRead, isAskedAgain, isBehind] = [false, false, false]

  function deliver(broadcast: MirroredBroadcast): void {
    if (mirror.has(broadcast.name)) return
    mirror.add(broadcast)
    options.onBroadcast(broadcast)
  }

  /** Delivers a message whose predecessor is delivered, and those that waited for it. */
  function deliverChain(first: WaitingBroadcast): void {
    let next: WaitingBroadcast | undefined = first
    while (next) {
      waiting.delete(next.id)
      position = next.id
      deliver(next)
      next = waiting.values().find(({ previous }) => previous === position)
    }
  }

  /** Delivers what was read, and what has waited since before the read and is not in the log any more. */
  function takeRead(found: readonly LoggedEvent[], waited: readonly WaitingBroadcast[]): void {
    const last = [...found, ...waited].reduce((id, each) => later(id, each.id), BEFORE_ALL)
    const opened = found.flatMap((each) => open(each) ?? [])
    position = later(position ?? BEFORE_ALL, last)
    for (const { id } of waited) waiting.delete(id)
    const all = [...opened, ...waited].toSorted((a, b) => (isLater(a.id, b.id) ? 1 : -1))
    for (const each of all) deliver(each)
  }

  async function readMissed(): Promise<void> {
    try {
      do {
        isAskedAgain = false
        const waited = [...waiting.values()]
        const from = position
        const found = await log.readAfter(from ?? BEFORE_ALL)
        // Reads again where the numbering has begun anew meanwhile.
        if (from !== undefined && position === undefined) continue
        takeRead(found, waited)
        hasRead = true
      } while (isAskedAgain || waiting.size > 0 || position === undefined)
      isBehind = false
    } catch {
      isBehind = true
    } finally {
      reading = undefined
    }
  }

  function startReading(): Promise<void> {
    reading ??= readMissed()
    return reading
  }

  function catchUp(): Promise<void> {
    // Asks for a read that begins from now on.
    isAskedAgain = true
    return startReading()
  }

  function readAnew(): Promise<void> {
    position = undefined
    return catchUp()
  }

  function receive(event: PublishedEvent): void {
    if (!isEventId(event.id) || !isEventId(event.previous)) return
    const opened = open(event)
    if (!opened) return
    const arrived = { ...opened, previous: event.previous }
    if (event.previous === position) {
      deliverChain(arrived)
      return
    }
    keepWaiting(arrived)
    // An identifier of the past on a broadcast that is new tells that the log was lost.
    if (position !== undefined && !isLater(event.id, position)) position = undefined
    void startReading()
  }

  /** Keeps the latest ones only, because the log has the others. */
  function keepWaiting(arrived: WaitingBroadcast): void {
    waiting.set(arrived.id, arrived)
    const [first] = waiting.keys()
    if (waiting.size > MAX_LOGGED && first !== undefined) waiting.delete(first)
  }

  return {
    async send(broadcast) {
      const sealed = codec.seal({ broadcast, sentAt: now() })
      const appended = await log.append(sealed, mirror.latest).catch((cause: unknown) => {
        // Looks whether it was written although no answer came, because own messages are not heard.
        void catchUp()
        throw cause
      })
      receive({ ...appended, sealed })
      return appended.id
    },
    receive,
    catchUp,
    readAnew,
    after: (id) => mirror.after(id),
    get latest() {
      return hasRead ? mirror.latest : undefined
    },
    get isBehind() {
      return isBehind
    },
  }
}

function later(one: EventId, other: EventId): EventId {
  return isLater(other, one) ? other : one
}
