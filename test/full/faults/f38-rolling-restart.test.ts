import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { countEvents } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { PATIENT, startReplicas, untilStarted } from '../../support/replicas.ts'
import { createRequestPool, forwardedNavigation } from '../../support/request-pool.ts'
import { cookieHeader } from '../../support/sign-in-steps.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

/** The drain leaves a busy machine time to look, and a replica that knows nobody yet has nothing but Redis. */
const SETTINGS = { ...PATIENT, DRAIN_SECONDS: '2' }
const PER_SECOND = 300
const PROBE_MS = 100

/** A load balancer: each replica in turn, as long as its last probe said that it is ready. */
function startBalancer(cookie: string) {
  const members = new Map<VestibuleProcess, { isReady: boolean; pool: Pool }>()
  const statuses = new Map<number, number>()
  const failures: string[] = []
  let isOver = false
  let turn = 0

  const probe = async (): Promise<void> => {
    while (!isOver) {
      for (const [replica, member] of members) {
        const answer = await replica.internal('/readyz').catch(() => undefined)
        member.isReady = answer?.status === 200
      }
      await wait(PROBE_MS)
    }
  }
  const ask = async (): Promise<void> => {
    const ready = [...members.values()].filter(({ isReady }) => isReady)
    const member = ready[turn++ % ready.length]
    if (!member) return void failures.push('no replica is ready')
    try {
      const { status } = await member.pool.send({
        path: '/auth',
        headers: { ...forwardedNavigation, Cookie: cookie },
      })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    } catch (error) {
      failures.push(String(error))
    }
  }
  const work = async (): Promise<void> => {
    const pending = new Set<Promise<void>>()
    while (!isOver) {
      const asked = ask().finally(() => pending.delete(asked))
      pending.add(asked)
      await wait(1000 / PER_SECOND)
    }
    await Promise.all(pending)
  }
  let running: Promise<unknown> = Promise.resolve()
  return {
    statuses,
    failures,
    add: (replica: VestibuleProcess) =>
      void members.set(replica, { isReady: true, pool: createRequestPool(replica.internalPort) }),
    start: () => {
      running = Promise.all([probe(), work()])
    },
    stop: async () => {
      isOver = true
      await running
      for (const { pool } of members.values()) pool[Symbol.dispose]()
    },
  }
}

type Pool = ReturnType<typeof createRequestPool>

describeWithRedis('F38 SIGTERM during load', () => {
  const replicas = prepared(() => startReplicas({ count: 3, settings: SETTINGS }))

  test('all replicas are replaced one after another, and no request fails', async () => {
    const { cookie } = await replicas().signedIn()
    const balancer = startBalancer(cookie)
    for (const replica of replicas().all) balancer.add(replica)
    balancer.start()
    await wait(300)
    for (const replica of replicas().all) {
      const stopped = replica.stop('SIGTERM')
      await until('no more', async () => (await replica.internal('/readyz')).status === 503, 1000)
      expect((await replica.internal('/livez')).status).toBe(200)
      const served = await replica.check({}, { Cookie: cookie })
      expect([served.status, served.headers.connection]).toEqual([200, 'close'])
      const next = await replicas().add()
      await untilStarted(next)
      balancer.add(next)
      expect(await stopped).toBe(0)
      expect(countEvents(replica, 'stopped')).toBe(1)
      expect(countEvents(replica, 'unhandled_rejection')).toBe(0)
    }
    await wait(200)
    await balancer.stop()
    const served = balancer.statuses.get(200) ?? 0
    print(
      `F38 three replicas replaced: ${served} requests served, ${balancer.failures.length} failed`,
    )
    expect(balancer.failures).toEqual([])
    expect([...balancer.statuses.keys()]).toEqual([200])
    expect(served).toBeGreaterThan(100)
  })

  test('a sign-in that began before its replica went away ends on another', async () => {
    const [next, leaving] = await Promise.all([replicas().add(), replicas().add()])
    const browser = leaving.visitor()
    const { location } = await browser.get('https://app.example.com/oauth2/login?rd=/')
    expect(await leaving.stop('SIGTERM')).toBe(0)
    const other = next.visitor()
    for (const cookie of browser.cookies.all()) other.cookies.put(cookie)
    await other.signIn(String(location), 'alice')
    const checked = await next.check({}, { Cookie: cookieHeader(other) })
    expect([checked.status, checked.headers['x-auth-request-user']]).toEqual([200, 'alice'])
  })
})
