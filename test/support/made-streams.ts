import { setImmediate as nextRound } from 'node:timers/promises'
import { type Broadcast, isMeantFor } from '../../src/core/broadcast.ts'
import { type EventId, isLater } from '../../src/core/event-id.ts'
import type { HeldBroadcast } from '../../src/events/mirror.ts'
import { eventBytes } from '../../src/events/sse-text.ts'
import type { StreamOutput } from '../../src/events/stream.ts'
import { createStreams, type StreamsOptions } from '../../src/events/streams.ts'
import type { SessionLife } from '../../src/store/store.ts'

const HOUR_MS = 60 * 60 * 1000

export interface ClientOptions {
  readonly session?: string
  readonly subject?: string
  readonly host?: string
  readonly lastEventId?: EventId
  /** False for a client that reads nothing until it is told to. */
  readonly isReading?: boolean
  readonly reasonFor?: Parameters<ReturnType<typeof createStreams>['open']>[0]['reasonFor']
}

export interface MadeClient extends ReturnType<typeof makeClient> {
  readonly isOpen: boolean
  readonly subject: string
  readonly host: string
}

/** Streams over a store, a log and a clock of the test; nothing moves unless it is told to. */
export function makeStreams(changes: Partial<StreamsOptions> = {}) {
  const lives = new Map<string, SessionLife>()
  const asked: (readonly string[])[] = []
  const closed: string[] = []
  const sent = { 'session-ended': 0, 'session-renewed': 0, broadcast: 0 }
  const mirror = { held: [] as HeldBroadcast[], isRead: true, isBehind: false, reads: 0 }
  let [nowMs, isAway, isHearing, refused, number] = [HOUR_MS, false, true, 0, 0]
  let tick: (() => void) | undefined
  const streams = createStreams({
    store: {
      async readLives(digests) {
        asked.push(digests)
        if (isAway) throw new Error('the store is away')
        return digests.map((digest) => lives.get(digest) ?? { kind: 'alive', leftMs: HOUR_MS })
      },
    },
    broadcasts: {
      after: (id) => mirror.held.filter((each) => isLater(each.id, id)),
      get latest() {
        return mirror.isRead ? (mirror.held.at(-1)?.id ?? '0-0') : undefined
      },
      get isBehind() {
        return mirror.isBehind
      },
      async catchUp() {
        mirror.reads++
      },
    },
    maxStreams: 1000,
    idleTimeoutMs: 0,
    isHearing: () => isHearing,
    now: () => nowMs,
    every(_, act) {
      tick = act
      return () => {
        tick = undefined
      }
    },
    onRefused: () => void refused++,
    onClosed: (reason) => void closed.push(reason),
    onSent(kind, count) {
      sent[kind] += count
    },
    ...changes,
  })

  function connect(options: ClientOptions = {}): MadeClient {
    const { session = 'a', subject = 'alice', host = 'app.example.com' } = options
    const client = makeClient(options.isReading ?? true)
    const isOpen = streams.open({
      digest: session,
      session: {
        identity: { issuer: 'https://id.example.com', subject, groups: [], claims: { a: 'b' } },
        createdAt: nowMs,
        expiresAt: nowMs + HOUR_MS,
      },
      host,
      lastEventId: options.lastEventId,
      reasonFor: options.reasonFor ?? (() => undefined),
      output: client.output,
    })
    return { ...client, isOpen, subject, host }
  }

  /** Adds to the log, as `catchUp` would, and tells the streams unless it is from before. */
  function hold(broadcast: Partial<Broadcast> = {}, size = 1): HeldBroadcast {
    const id = `5-${++number}`
    const { event = 'notice', data = 'x'.repeat(size), ...audience } = broadcast
    const held = { id, broadcast: { event, ...audience }, bytes: eventBytes(event, data, id) }
    mirror.held.push(held)
    return held
  }

  return {
    streams,
    lives,
    asked,
    closed,
    sent,
    mirror,
    connect,
    hold,
    broadcast(broadcast: Partial<Broadcast> = {}, size = 1) {
      const held = hold(broadcast, size)
      streams.deliver(held)
      return held
    },
    /** Lets so many seconds pass. */
    async pass(seconds: number) {
      for (let second = 0; second < seconds; second++) {
        nowMs += 1000
        tick?.()
        await settle()
      }
    },
    leave({ output, leave }: Pick<MadeClient, 'output' | 'leave'>) {
      leave()
      streams.forget(output)
    },
    set(state: { isAway?: boolean; isHearing?: boolean }) {
      ;({ isAway = isAway, isHearing = isHearing } = state)
    },
    isTicking: () => tick !== undefined,
    refused: () => refused,
  }
}

/** Lets all that waits for a round of the event loop go on. */
export async function settle(rounds = 4): Promise<void> {
  for (let round = 0; round < rounds; round++) await nextRound()
}

/** Returns whether a client is meant by a broadcast. */
export function isAddressed(client: Pick<MadeClient, 'subject' | 'host'>, held: HeldBroadcast) {
  return isMeantFor(held.broadcast, client)
}

function makeClient(isReadingAtFirst: boolean) {
  const decoder = new TextDecoder()
  let [text, unreadBytes, isReading] = ['', 0, isReadingAtFirst]
  let state: 'open' | 'left' | 'ended' | 'destroyed' = 'open'
  const waiting: (() => void)[] = []
  const output: StreamOutput = {
    write(bytes) {
      if (state !== 'open') throw new Error(`written after it was ${state}`)
      text += decoder.decode(bytes)
      if (!isReading) unreadBytes += bytes.length
    },
    get unreadBytes() {
      return unreadBytes
    },
    whenRead: () =>
      unreadBytes === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.push(resolve)
          }),
    end() {
      state = 'ended'
    },
    destroy() {
      state = 'destroyed'
    },
  }
  return {
    output,
    state: () => state,
    text: () => text,
    /** Names of the events so far, with the reason or the time in them. */
    told: () =>
      [...text.matchAll(/event: (session-\S+)\ndata: (.*)\n\n/g)].map(([, name, data]) =>
        [name, data?.replace(/^.*?:"?|"?\}$/g, '')].join(' '),
      ),
    ids: () => [...text.matchAll(/id: (\S+)\nevent: /g)].map(([, id]) => id),
    retriesMs: () => [...text.matchAll(/retry: (\d+)/g)].map(([, ms]) => Number(ms)),
    comments: () => text.split(':\n\n').length - 1,
    unreadBytes: () => unreadBytes,
    leave() {
      if (state === 'open') state = 'left'
    },
    stop() {
      isReading = false
    },
    /** Takes all that is unread; `andOn` goes on reading. */
    read(andOn = false) {
      unreadBytes = 0
      isReading = andOn
      for (const resolve of waiting.splice(0)) resolve()
    },
  }
}
