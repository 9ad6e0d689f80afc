import { setTimeout as wait } from 'node:timers/promises'
import { type EventClientOptions, openEvents, type SeenEvent } from './event-client.ts'

/** Return of a page whose stream ended: when that was, how long it was told to wait, and when it was back. */
export interface Return {
  readonly endedAtMs: number
  readonly retryMs: number
  readonly backAtMs: number
}

/** Page that comes back as the browsers' `EventSource` does. */
export type FollowedEvents = Awaited<ReturnType<typeof followEvents>>

/** Browsers wait some seconds where no `retry` came. */
const USUAL_RETRY_MS = 3000

/**
 * Follows events over streams that end: comes back after `retry` with the last identifier, also where nobody answered.
 * Another answer than a stream ends it for good.
 */
export async function followEvents(options: EventClientOptions) {
  const ended: SeenEvent[][] = []
  const returns: Return[] = []
  const statuses: number[] = []
  let [retryMs, id] = [USUAL_RETRY_MS, '']
  let hasLeft = false
  let client = await open()

  async function open() {
    const headers = { ...options.headers, ...(id !== '' && { 'Last-Event-ID': id }) }
    const opened = await openEvents({ ...options, headers })
    statuses.push(opened.status)
    if (opened.status !== 200) hasLeft = true
    return opened
  }

  async function follow(): Promise<void> {
    for (;;) {
      await client.ended
      if (hasLeft) return
      const endedAtMs = performance.now()
      retryMs = client.retriesMs.at(-1) ?? retryMs
      id = client.lastEventId() || id
      ended.push([...client.events])
      client = await comeBack()
      returns.push({ endedAtMs, retryMs, backAtMs: performance.now() })
    }
  }

  async function comeBack(): Promise<typeof client> {
    await wait(retryMs)
    return open().catch(comeBack)
  }

  void follow()
  return {
    /** Statuses of all answers, and returns to all streams but the first. */
    statuses: statuses as readonly number[],
    returns: returns as readonly Return[],
    /** All that has arrived over all streams, in order. */
    events: () => [...ended.flat(), ...(ended.length === returns.length ? client.events : [])],
    isOpen: () => !hasLeft && client.isOpen(),
    leave: () => {
      hasLeft = true
      client.close()
    },
  }
}
