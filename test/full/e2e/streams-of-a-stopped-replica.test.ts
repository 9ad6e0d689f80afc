import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type FollowedEvents, followEvents } from '../../support/followed-events.ts'
import { makeSessions } from '../../support/made-sessions.ts'
import { ADMIN_TOKEN, askAdmin } from '../../support/operator.ts'
import { countEvents, readMetric } from '../../support/outage.ts'
import { BUSY_MS, print, until } from '../../support/own-lag.ts'
import {
  describeWithRedis,
  HYBRID,
  PATIENT,
  type ReplicaProcesses,
  startReplicas,
} from '../../support/replicas.ts'
import { startRoundRobin } from '../../support/round-robin.ts'

const PAGES = 1200
const TOGETHER = 50
const DRAIN_SECONDS = 6
const OPEN = 'vestibule_event_streams'
/** A tenth of the promised time in which returns are spread evenly has a tenth of them, give or take chance. */
const MAX_SHARE_OF_A_TENTH = 0.2
const BROADCAST_EVERY_MS = 100

describeWithRedis('SIGTERM of one of three replicas with open streams', () => {
  test.for([
    ['at once', 0],
    ['late, so that pages return to it', 2500],
  ] as const)(
    'all pages go on elsewhere, and miss nothing, behind a gateway that leaves it %s',
    async ([, leavesAfterMs]) => {
      const settings = { ...HYBRID, ...PATIENT, DRAIN_SECONDS: `${DRAIN_SECONDS}`, ADMIN_TOKEN }
      await using replicas = await startReplicas({ count: 3, settings })
      const [doomed, ...others] = replicas.all
      if (!doomed) throw new Error('no replica')
      const portsOf = (all: ReplicaProcesses['all']) => all.map(({ publicPort }) => publicPort)
      await using gateway = await startRoundRobin(portsOf(replicas.all))
      const pages = await openAll(`http://127.0.0.1:${gateway.port}`, replicas)
      const onDoomed = await readMetric(doomed, OPEN)
      expect(onDoomed).toBe(PAGES / 3)

      const broadcasts = startBroadcasts(replicas)
      await until('some broadcasts', () => broadcasts.ids.length > 5)
      const sinceMs = performance.now()
      const stopped = doomed.stop('SIGTERM').then((code) => ({ code, atMs: performance.now() }))
      await until('no more', async () => (await doomed.internal('/readyz')).status === 503, 1000)
      void wait(leavesAfterMs).then(() => gateway.lead(portsOf(others)))
      const { code, atMs } = await stopped
      const moved = () => pages.filter(({ returns }) => returns.length > 0)
      await until('all returns', () => moved().length === onDoomed && pages.every(isOpen))
      const ids = await broadcasts.stop()
      await until('all broadcasts', () => pages.every((page) => page.events().length >= ids.length))

      expect(code).toBe(0)
      expect(atMs - sinceMs).toBeLessThan(DRAIN_SECONDS * 1000 + 2 * BUSY_MS)
      expect(countEvents(doomed, 'unhandled_rejection')).toBe(0)
      expect(new Set(pages.flatMap(({ statuses }) => statuses))).toEqual(new Set([200]))
      const held = await Promise.all(others.map((replica) => readMetric(replica, OPEN)))
      expect(held.reduce((sum, each) => sum + each)).toBe(PAGES)
      for (const page of pages) expect(page.events().map(({ id }) => id)).toEqual(ids)
      expectSpread(moved(), leavesAfterMs === 0)
      for (const page of pages) page.leave()
    },
  )
})

async function openAll(origin: string, { redis }: ReplicaProcesses) {
  const people = await makeSessions(redis, PAGES)
  const pages: FollowedEvents[] = []
  for (let at = 0; at < PAGES; at += TOGETHER) {
    const next = people.slice(at, at + TOGETHER)
    pages.push(...(await Promise.all(next.map(({ cookie }) => followEvents({ origin, cookie })))))
  }
  return pages
}

function isOpen(page: FollowedEvents): boolean {
  return page.isOpen()
}

/** Broadcasts at each replica in turn, also at one that drains, until it no longer answers. */
function startBroadcasts({ all }: ReplicaProcesses) {
  const ids: string[] = []
  let isOver = false
  const sent = (async () => {
    for (let turn = 0; !isOver; turn += 1) {
      const replica = all[turn % all.length]
      if (replica?.isAlive()) {
        const answer = await askAdmin(replica, 'POST', 'broadcast', {
          event: 'notice',
          data: turn,
        }).catch(() => undefined)
        if (answer) expect(answer.status).toBe(202)
        if (answer) ids.push((answer.body as { id: string }).id)
      }
      await wait(BROADCAST_EVERY_MS)
    }
  })()
  return {
    ids,
    /** Resolves with the identifiers of all broadcasts, in order. */
    stop: async () => {
      isOver = true
      await sent
      return ids
    },
  }
}

/** Asserts that pages wait as long as they were told, and that these times are spread evenly. */
function expectSpread(pages: readonly FollowedEvents[], isOnce: boolean): void {
  const returns = pages.flatMap(({ returns: [first] }) => (first ? [first] : []))
  const longestMs = Math.max(...returns.map(({ retryMs }) => retryMs))
  const firstEndMs = Math.min(...returns.map(({ endedAtMs }) => endedAtMs))
  const waits = returns.map(({ backAtMs }) => backAtMs - firstEndMs)
  const tenths = Array.from({ length: 10 }, (_, tenth) => {
    const isIn = (ms: number) => Math.min(9, Math.floor((10 * ms) / longestMs)) === tenth
    return [waits.filter(isIn).length, returns.filter(({ retryMs }) => isIn(retryMs)).length]
  })
  const [shownWaits, shownRetries] = [0, 1].map((at) => tenths.map((each) => each[at]).join(' '))
  print(
    `returns of ${pages.length} pages by tenths of ${longestMs} ms: ${shownWaits}; as promised: ${shownRetries}`,
  )
  for (const [, promised = 0] of tenths)
    expect(promised / pages.length).toBeLessThan(MAX_SHARE_OF_A_TENTH)
  if (!isOnce) return
  for (const { retryMs, backAtMs, endedAtMs } of returns) {
    expect(backAtMs - endedAtMs).toBeGreaterThanOrEqual(retryMs - 2)
    expect(backAtMs - endedAtMs).toBeLessThan(retryMs + 2 * BUSY_MS)
  }
}
