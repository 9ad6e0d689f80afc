import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { quantile } from './fleet-load.ts'
import { CHECK_WITHIN_MS, OUTAGE_COOKIE } from './outage.ts'
import { BUSY_MS, watchOwnLag } from './own-lag.ts'
import { createRequestPool, forwardedNavigation } from './request-pool.ts'

export type CheckLoad = ReturnType<typeof startCheckLoad>

/** Deadline of a check as a whole. */
const DEADLINE_MS = 1500 + BUSY_MS

/** Asserts that nearly all answers came in the time of one check, and none of thousands too late to be of use. */
export function expectInTime(load: CheckLoad): void {
  expect(load.quantileMs(0.95)).toBeLessThan(CHECK_WITHIN_MS)
  expect(load.slowestMs()).toBeLessThan(DEADLINE_MS)
}

/** An outage assertion is renewed after a fifth of the grace, counted in whole seconds from before it was sent. */
const RENEWED_AFTER_MS = 55_000

/** Keeps the outage assertion, as a browser does; no other cookie may come, and none that is not needed yet. */
function createKept(cookie: string) {
  const prefix = `${OUTAGE_COOKIE}=`
  let kept = { pair: '', atMs: 0 }
  return {
    header: () => (kept.pair ? `${cookie}; ${kept.pair}` : cookie),
    /** Whether there was a reason to set these. */
    take: (status: number, setCookies: readonly string[], sentAtMs: number): boolean => {
      const [line = '', ...others] = setCookies
      const isNeeded = !kept.pair || sentAtMs < kept.atMs || sentAtMs > kept.atMs + RENEWED_AFTER_MS
      if (status !== 200 || others.length > 0 || !line.startsWith(prefix) || !isNeeded) return false
      const [pair = ''] = line.split(';')
      if (!kept.pair || sentAtMs > kept.atMs) kept = { pair, atMs: performance.now() }
      return true
    },
  }
}

/** Asks again and again about a page with this cookie, from several connections at a steady pace. */
export function startCheckLoad(
  port: number,
  cookie: string,
  { perSecond = 200, connections = 16 } = {},
) {
  const pool = createRequestPool(port, connections)
  const counts = new Map<number, number>()
  const users = new Set<string>()
  const oddities: string[] = []
  const tookMs: number[] = []
  const lag = watchOwnLag()
  let isOver = false
  const kept = createKept(cookie)

  const ask = async (): Promise<void> => {
    const sentAtMs = performance.now()
    const lagBeforeMs = lag.lagMs()
    const headers = { ...forwardedNavigation, Cookie: kept.header() }
    try {
      const { status, headers: got } = await pool.send({ path: '/auth', headers })
      counts.set(status, (counts.get(status) ?? 0) + 1)
      const setCookies = got['set-cookie']
      if (setCookies && !kept.take(status, setCookies, sentAtMs)) {
        oddities.push(`${status} with ${setCookies.map((line) => line.split('=')[0]).join()}`)
      }
      const user = got['x-auth-request-user']
      if (typeof user === 'string') users.add(user)
    } catch (error) {
      oddities.push(String(error))
    }
    tookMs.push(performance.now() - sentAtMs - (lag.lagMs() - lagBeforeMs))
  }
  const work = async (): Promise<void> => {
    while (!isOver) {
      await ask()
      await wait((1000 * connections) / perSecond)
    }
  }
  const workers = Promise.all(Array.from({ length: connections }, work))

  return {
    count: (status: number) => counts.get(status) ?? 0,
    statuses: () => [...counts.keys()].toSorted((a, b) => a - b),
    /** Users that the answers named. */
    users,
    /** Answers that changed a cookie they had no reason to change, and requests that got no answer. */
    oddities,
    /** Longest time of a check; like all times here without the time for which this process was kept waiting. */
    slowestMs: () => tookMs.reduce((slowest, ms) => Math.max(slowest, ms), 0),
    quantileMs: (share: number) => quantile(tookMs, share),
    stop: async () => {
      isOver = true
      await workers
      lag.end()
      pool[Symbol.dispose]()
    },
  }
}

export function startCheckLoads(
  all: readonly { readonly internalPort: number }[],
  cookie: string,
  options?: Parameters<typeof startCheckLoad>[2],
): readonly CheckLoad[] {
  return all.map(({ internalPort }) => startCheckLoad(internalPort, cookie, options))
}

/** Stops loads, and asserts that every check was allowed, as this user, and changed no cookie without a reason. */
export async function expectUndisturbed(loads: readonly CheckLoad[], user = 'alice') {
  await Promise.all(loads.map((load) => load.stop()))
  for (const load of loads) {
    expect([load.statuses(), load.oddities, load.users]).toEqual([[200], [], new Set([user])])
  }
}

/** Asserts of a load where Redis fails that its checks were allowed as this user or told to come again. */
export function expectAllowedOrDeferred(load: CheckLoad, user = 'alice'): void {
  expect(load.statuses().filter((status) => status !== 200 && status !== 503)).toEqual([])
  expect([load.oddities, load.users]).toEqual([[], new Set([user])])
}
