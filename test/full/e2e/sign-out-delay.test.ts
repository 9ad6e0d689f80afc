import { expect, test } from 'vitest'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { signOut } from '../../support/outage.ts'
import { BUSY_MS, watchOwnLag } from '../../support/own-lag.ts'
import { HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type RequestPool,
} from '../../support/request-pool.ts'

const SESSIONS = 100
const AT_ONCE = 10
/** Redis tells the others before it answers whoever signs out; a busy machine may keep some of them waiting. */
const KNOWN_BEFORE_ANSWER = 0.5

/** Asks without a pause until it is refused: when that was, and when the last one that was let in had been asked. */
async function pollUntilRefused(pool: RequestPool, cookie: string) {
  let lastLetInMs = 0
  for (;;) {
    const sentAtMs = performance.now()
    const headers = { ...forwardedNavigation, Cookie: cookie }
    const { status } = await pool.send({ path: '/auth', headers })
    if (status !== 200) return { status, lastLetInMs, refusedAtMs: performance.now() }
    lastLetInMs = sentAtMs
  }
}

function describeDelays(name: string, delaysMs: readonly number[]): string {
  const sorted = delaysMs.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]?.toFixed(1)
  return `${name}: p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, max ${at(1)} ms`
}

describeWithRedis('sign-out at one of three hybrid replicas', () => {
  test('is known to most others before it is answered, and to all within a moment of being asked for', async () => {
    await using replicas = await startReplicas({ count: 3, settings: { ...HYBRID, ...PATIENT } })
    const { all } = replicas
    await untilWhole(all)
    const others = all.slice(1)
    using stack = new DisposableStack()
    const pools = others.map(({ internalPort }) => stack.use(createRequestPool(internalPort, 2)))
    const sinceAskedMs: number[] = []
    const sinceAnsweredMs: number[] = []
    let lateCount = 0
    const people: Awaited<ReturnType<typeof replicas.signedIn>>[] = []
    while (people.length < SESSIONS) {
      const some = Array.from({ length: AT_ONCE }, () => replicas.signedIn())
      people.push(...(await Promise.all(some)))
    }
    for (const { browser, cookie } of people) {
      // Brings the session into their memory.
      await expectStatus(200, others, cookie)
      const lag = watchOwnLag()
      const polls = pools.map((pool) => pollUntilRefused(pool, cookie))
      const askedAtMs = performance.now()
      const { status } = await signOut(browser)
      const answeredAtMs = performance.now()
      expect(status).toBe(303)
      const polled = await Promise.all(polls)
      const lagMs = lag.end()
      for (const { status, lastLetInMs, refusedAtMs } of polled) {
        expect(status).toBe(302)
        expect(lastLetInMs).toBeLessThan(answeredAtMs + BUSY_MS + lagMs)
        if (lastLetInMs >= answeredAtMs) lateCount += 1
        sinceAskedMs.push(refusedAtMs - askedAtMs)
        sinceAnsweredMs.push(Math.max(0, refusedAtMs - answeredAtMs))
      }
    }
    process.stdout.write(
      `${SESSIONS} sign-outs, refused at two other replicas\n` +
        `${describeDelays('  after it was asked for', sinceAskedMs)}\n` +
        `${describeDelays('  after it was answered', sinceAnsweredMs)}\n`,
    )
    expect(sinceAskedMs).toHaveLength(2 * SESSIONS)
    expect(lateCount).toBeLessThanOrEqual((1 - KNOWN_BEFORE_ANSWER) * 2 * SESSIONS)
  })
})
