import { setImmediate as nextTurn } from 'node:timers/promises'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { OutageError } from '../../src/errors.ts'
import { createBroadcastCodec } from '../../src/events/broadcast-codec.ts'
import { createBroadcasts, type PublishedEvent } from '../../src/events/broadcasts.ts'
import type { HeldBroadcast } from '../../src/events/mirror.ts'
import type { EventLog } from '../../src/store/event-log.ts'
import { createMemoryEventLog } from '../../src/store/memory/event-log.ts'

export const NOW_MS = 1_800_000_000_000
export const KEY_PREFIX = 'vestibule:'
const RING = createKeyRing([Buffer.alloc(32, 1)])

export type BroadcastReplica = ReturnType<BroadcastWorld['addReplica']>
export type BroadcastWorld = ReturnType<typeof startBroadcastWorld>

/** Returns the data of what a page has received. */
export function dataOf(held: readonly HeldBroadcast[]): unknown[] {
  return held.map(({ bytes }) => {
    const [, json = 'null'] = /^data: (.*)$/m.exec(Buffer.from(bytes).toString()) ?? []
    return JSON.parse(json) as unknown
  })
}

/** Lets everything go on that waits for nothing but promises. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn++) await nextTurn()
}

/** Replicas over one log, whose messages to each other arrive when a test says so. */
export const startBroadcastWorld = () => {
  let nowMs = NOW_MS
  const now = () => nowMs
  let log = createMemoryEventLog(now)
  const inboxes: PublishedEvent[][] = []

  /** Adds a replica, whose clock may be ahead of the others'. */
  const addReplica = (aheadMs = 0) => {
    const inbox: PublishedEvent[] = []
    inboxes.push(inbox)
    const delivered: HeldBroadcast[] = []
    /** Those that also reach streams that were opened before the first read. */
    const live: HeldBroadcast[] = []
    const state = { isReadable: true, losesAnswers: false, reads: 0, unreadable: 0 }
    let gate: PromiseWithResolvers<void> | undefined
    const port: EventLog = {
      async append(sealed, floor) {
        const appended = await log.append(sealed, floor)
        for (const each of inboxes) if (each !== inbox) each.push({ ...appended, sealed })
        if (state.losesAnswers) throw new OutageError('Redis: deadline', undefined)
        return appended
      },
      async readAfter(id) {
        state.reads++
        // Waits after the look, so that messages may be published between look and answer.
        const found = await log.readAfter(id)
        await gate?.promise
        if (!state.isReadable) throw new OutageError('Redis: connection', undefined)
        return found
      },
    }
    const broadcasts = createBroadcasts({
      log: port,
      codec: createBroadcastCodec(RING, KEY_PREFIX),
      now: () => nowMs + aheadMs,
      onBroadcast(held) {
        delivered.push(held)
        if (broadcasts.latest !== undefined) live.push(held)
      },
      onUnreadable: () => void state.unreadable++,
    })
    return {
      broadcasts,
      delivered,
      live,
      inbox,
      state,
      data: () => dataOf(delivered),
      send: (data: unknown) => broadcasts.send({ event: 'notice', data }),
      /** Delivers the message at this place of the inbox, the first of all by default. */
      hear(at = 0) {
        const [event] = inbox.splice(at, 1)
        if (event) broadcasts.receive(event)
      },
      lose: (count = inbox.length) => void inbox.splice(0, count),
      holdReads: () => void (gate ??= Promise.withResolvers()),
      releaseReads() {
        gate?.resolve()
        gate = undefined
      },
    }
  }

  return {
    now,
    addReplica,
    /** Adds replicas that have read the log. */
    async addReplicas<const Names extends readonly unknown[]>(...names: Names) {
      const added = names.map(() => addReplica())
      for (const { broadcasts } of added) await broadcasts.catchUp()
      for (const { state } of added) state.reads = 0
      return added as { [Name in keyof Names]: ReturnType<typeof addReplica> }
    },
    elapse: (ms: number) => void (nowMs += ms),
    /** Begins with an empty log, by a clock that may be set back. */
    loseLog(byMs = 0) {
      log = createMemoryEventLog(() => nowMs - byMs)
    },
    readLog: () => log.readAfter('0-0'),
    write: (sealed: Buffer) => log.append(sealed, '0-0'),
  }
}
