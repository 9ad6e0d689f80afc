import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { isBackplaneHealthy } from '../../support/hybrid-replicas.ts'
import { type MadeSession, makeSessions } from '../../support/made-sessions.ts'
import { expectHealthy, readMetric } from '../../support/outage.ts'
import { timed } from '../../support/own-lag.ts'
import { print } from '../../support/printed.ts'
import type { RunningRedis } from '../../support/redis.ts'
import { until } from '../../support/redis-state.ts'
import { HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type RequestPool,
} from '../../support/request-pool.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** `F27_USERS=5000 F27_OUTAGE_MS=60000` is the full measure. */
const USERS = Number(process.env['F27_USERS'] ?? 300)
const OUTAGE_MS = Number(process.env['F27_OUTAGE_MS'] ?? 4000)
const REPLICAS = 2
const CONNECTIONS = 16
const PAUSE_MS = 25
/** Time within which all users have asked once. */
const ROUND_WITHIN_MS = 60_000 + 10 * USERS
/** Each replica asks for the name of the data, and may have asked for a few sessions when Redis stopped. */
const MORE_PER_REPLICA = 50

/** Starts a load in which all users ask in turn, many at once, at both replicas. */
function startUsers(all: readonly RunningVestibule[], sessions: readonly MadeSession[]) {
  const statuses = new Map<number, number>()
  const strangers: string[] = []
  let isOver = false
  let slowestMs = 0
  const work = async (pool: RequestPool, next: () => MadeSession): Promise<void> => {
    while (!isOver) {
      const { sub, cookie } = next()
      const headers = { ...forwardedNavigation, Cookie: cookie }
      const { value, ms } = await timed(pool.send({ path: '/auth', headers }))
      statuses.set(value.status, (statuses.get(value.status) ?? 0) + 1)
      if (value.status === 200 && value.headers['x-auth-request-user'] !== sub) strangers.push(sub)
      slowestMs = Math.max(slowestMs, ms)
      await wait(PAUSE_MS)
    }
  }
  const pools = all.map(({ internalPort }) => createRequestPool(internalPort, CONNECTIONS))
  const workers = Promise.all(
    pools.flatMap((pool) => {
      let turn = 0
      const next = () => sessions[turn++ % sessions.length] as MadeSession
      return Array.from({ length: CONNECTIONS }, () => work(pool, next))
    }),
  )
  const stop = async (): Promise<void> => {
    isOver = true
    await workers
    for (const pool of pools) pool[Symbol.dispose]()
  }
  return { statuses, strangers, slowestMs: () => slowestMs, stop, [Symbol.asyncDispose]: stop }
}

async function reads(redis: RunningRedis): Promise<number> {
  return Number(/cmdstat_get:calls=(\d+)/.exec(await redis.cli('INFO', 'commandstats'))?.[1] ?? 0)
}

const timeout = OUTAGE_MS + 3 * ROUND_WITHIN_MS

describeWithRedis('F27 everybody comes back at once', () => {
  test('after an outage Redis is read once for each user and replica, and the provider is not asked', {
    timeout,
  }, async () => {
    await using replicas = await startReplicas({
      count: REPLICAS,
      settings: {
        ...HYBRID,
        ...PATIENT,
        REDIS_HYBRID_L1_TTL: '30',
        REDIS_HYBRID_L1_SIZE: `${USERS + 10}`,
        REDIS_HYBRID_L1_MEMORY_MB: '100',
      },
    })
    const { all, redis, provider } = replicas
    const sessions = await makeSessions(redis, USERS)
    for (const replica of all) {
      await until('a healthy backplane', () => isBackplaneHealthy(replica))
    }
    await using users = startUsers(all, sessions)
    for (const replica of all) {
      await until(
        'all in memory',
        async () => (await readMetric(replica, 'vestibule_l1_sessions')) >= USERS,
        ROUND_WITHIN_MS,
      )
    }
    provider.forgetRequests()
    const readsBefore = await reads(redis)
    await redis.pause()
    await wait(OUTAGE_MS)
    await redis.resume()
    const { ms } = await timed(
      until(
        'everybody out of memory again',
        async () => {
          const lookups = () => Promise.all(all.map(bypassedOrMissed))
          const before = await lookups()
          await wait(100)
          const after = await lookups()
          const healthy = await Promise.all(all.map(isBackplaneHealthy))
          return healthy.every(Boolean) && after.every((count, at) => count === before[at])
        },
        ROUND_WITHIN_MS,
      ),
    )
    const asked = (await reads(redis)) - readsBefore
    await users.stop()

    const total = [...users.statuses.values()].reduce((sum, count) => sum + count, 0)
    print(`F27 recovery: ${ms.toFixed(0)} ms`)
    print(
      `F27 ${USERS} users at ${REPLICAS} replicas: ${asked} GETs for ${total} checks, the slowest ${users.slowestMs().toFixed(0)} ms`,
    )
    expect([...users.statuses.keys()]).toEqual([200])
    expect(users.strangers).toEqual([])
    expect(asked).toBeGreaterThanOrEqual(USERS)
    expect(asked).toBeLessThanOrEqual(REPLICAS * (USERS + MORE_PER_REPLICA))
    for (const endpoint of ['authorization', 'token', 'userinfo'] as const) {
      expect(provider.count(endpoint)).toBe(0)
    }
    for (const replica of all) await expectHealthy(replica)
  })
})

async function bypassedOrMissed(replica: RunningVestibule): Promise<number> {
  const counts = await Promise.all(
    ['bypassed', 'miss'].map((result) =>
      readMetric(replica, `vestibule_l1_lookups_total{result="${result}"}`),
    ),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}
