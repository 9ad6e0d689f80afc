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
  /** Identifier up to which all is delivered; `undefined` until the log has been read, earlier again once it was lost. */
  let position: EventId | undefined
  let reading: Promise<void> | undefined
  let isBehind = false

  function openAll(entries: readonly LoggedEvent[]): MirroredBroadcast[] {
    return entries.flatMap((each) => open(each) ?? [])
  }

  function deliver(broadcast: MirroredBroadcast): void {
    if (mirror.has(broadcast.name)) return
    mirror.add(broadcast)
    options.onBroadcast(broadcast)
  }

  /** Delivers the messages that waited for the one at the present position, and for each other. */
  function deliverFollowing(): void {
    const next = waiting.values().find(({ previous }) => previous === position)
    if (!next) return
    waiting.delete(next.id)
    position = next.id
    deliver(next)
    deliverFollowing()
  }

  /** Delivers what was read, and what has waited since before the read and is not in the log any more. */
  function takeRead(found: readonly LoggedEvent[], waited: readonly WaitingBroadcast[]): void {
    const opened = openAll(found)
    const messages = new Set(waited.map(({ id }) => id))
    let end = position ?? BEFORE_ALL
    for (const { id } of [...found, ...waited]) {
      end = later(end, id)
      waiting.delete(id)
    }
    const all = [...opened, ...waited].toSorted((a, b) => (isLater(a.id, b.id) ? 1 : -1))
    for (const each of all) {
      // Ends the first read here, because pages that are open already are to receive what was sent since.
      if (messages.has(each.id)) position ??= BEFORE_ALL
      deliver(each)
    }
    position = end
    deliverFollowing()
  }

  async function readMissed(): Promise<void> {
    try {
      let isLost: boolean
      do {
        const waited = [...waiting.values()]
        const from = position ?? BEFORE_ALL
        const found = await log.readAfter(from)
        isLost = isLater(from, position ?? BEFORE_ALL)
        // Delivers what the lost log had, and reads the new one.
        if (isLost) for (const each of openAll(found)) deliver(each)
        else takeRead(found, waited)
      } while (isLost || waiting.size > 0)
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

  /** Waits for a read that begins from now on. */
  function catchUp(): Promise<void> {
    return reading ? reading.then(startReading) : startReading()
  }

  function readAnew(): Promise<void> {
    position &&= BEFORE_ALL
    return catchUp()
  }

  function receive(event: PublishedEvent): void {
    if (!isEventId(event.id) || !isEventId(event.previous)) return
    const opened = open(event)
    if (!opened) return
    addTo(waiting, { ...opened, previous: event.previous })
    if (event.previous === position) {
      deliverFollowing()
      return
    }
    // An identifier of the past on a broadcast that is new tells that the log was lost.
    if (position !== undefined && !isLater(event.id, position)) position = BEFORE_ALL
    void startReading()
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
      return position === undefined ? undefined : mirror.latest
    },
    get isBehind() {
      return isBehind
    },
  }
}

/** Keeps the latest messages only, because the log has the others. */
function addTo(waiting: Map<EventId, WaitingBroadcast>, arrived: WaitingBroadcast): void {
  waiting.set(arrived.id, arrived)
  const [first] = waiting.keys()
  if (waiting.size > MAX_LOGGED && first !== undefined) waiting.delete(first)
}

function later(one: EventId, other: EventId): EventId {
  return isLater(other, one) ? other : one
}
