import { setTimeout as wait } from 'node:timers/promises'
import { createRequestPool, forwardedNavigation } from './request-pool.ts'

/** What came of many checks. */
export interface CheckLoad {
  readonly count: (status: number) => number
  readonly statuses: () => readonly number[]
  /** Whom the answers named. */
  readonly users: ReadonlySet<string>
  /** Answers that changed a cookie, and requests that got no answer. */
  readonly oddities: readonly string[]
  readonly slowestMs: () => number
  /** Resolves when the last answer is there. */
  readonly stop: () => Promise<void>
}

/** Asks again and again about a page with this cookie, from several connections at a steady pace. */
export const startCheckLoad = (
  port: number,
  cookie: string,
  { perSecond = 200, connections = 16 } = {},
): CheckLoad => {
  const pool = createRequestPool(port, connections)
  const counts = new Map<number, number>()
  const users = new Set<string>()
  const oddities: string[] = []
  let slowestMs = 0
  let isOver = false
  const headers = { ...forwardedNavigation, Cookie: cookie }

  const ask = async (): Promise<void> => {
    const sentAtMs = performance.now()
    try {
      const { status, headers: got } = await pool.send({ path: '/auth', headers })
      counts.set(status, (counts.get(status) ?? 0) + 1)
      if (got['set-cookie']) oddities.push(`${status} with ${String(got['set-cookie'])}`)
      const user = got['x-auth-request-user']
      if (typeof user === 'string') users.add(user)
    } catch (error) {
      oddities.push(String(error))
    }
    slowestMs = Math.max(slowestMs, performance.now() - sentAtMs)
  }
  const work = async (): Promise<void> => {
    while (!isOver) {
      await ask()
      await wait((1000 * connections) / perSecond)
    }
  }
  const workers = Promise.all(Array.from({ length: connections }, work))

  return {
    count: (status) => counts.get(status) ?? 0,
    statuses: () => [...counts.keys()].toSorted((a, b) => a - b),
    users,
    oddities,
    slowestMs: () => slowestMs,
    stop: async () => {
      isOver = true
      await workers
      pool[Symbol.dispose]()
    },
  }
}
