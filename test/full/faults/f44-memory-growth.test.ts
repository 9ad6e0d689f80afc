import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, type ExpectStatic, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { isBackplaneHealthy, signInAt } from '../../support/hybrid-replicas.ts'
import { makeSessions } from '../../support/made-sessions.ts'
import { OUTAGE_COOKIE, readMetric, untilHealthy } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { HYBRID, startReplicas, untilStarted } from '../../support/replicas.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type PooledRequest,
} from '../../support/request-pool.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'

/** `F44_REQUESTS=1000000` is the full measure. */
const REQUESTS = Number(process.env['F44_REQUESTS'] ?? 15_000)
const WARM_UP = 3000
const MIB = 1024 * 1024
/** Allowance for passing needs of the process; the bytes per request are fewer than any trace of one would take. */
const NOISE_BYTES = MIB
const MAX_HEAP_BYTES_EACH = 30
const MAX_RSS_GROWTH_MIB = 48
/** Forces frequent collections, because only right after one does the heap show what is still in use. */
const COLLECT = '--expose-gc --import=data:text/javascript,setInterval(gc,200).unref()'

function token() {
  return randomBytes(32).toString('base64url')
}
function junkSession() {
  return `${SESSION_COOKIE}=v1.${token()}.${token()}`
}
function junkPair() {
  const now = Math.floor(Date.now() / 1000).toString(36)
  const assertion = `${OUTAGE_COOKIE}=v1.${now}.${randomBytes(300).toString('base64url')}`
  return `${junkSession()}; ${assertion}`
}

type Junk = readonly [
  what: string,
  headers: (at: number) => PooledRequest['headers'],
  expected: readonly number[],
]
const kinds: readonly Junk[] = [
  ['strangers', () => ({}), [302]],
  ['strangers at ever new pages', (at) => ({ 'X-Forwarded-Uri': `/page/${at}/${token()}` }), [302]],
  ['made-up sessions', () => ({ Cookie: junkSession() }), [302]],
  ['made-up sessions and assertions', () => ({ Cookie: junkPair() }), [302]],
]

describeWithRedis('F44 memory', () => {
  const settings = { ...HYBRID, NODE_OPTIONS: COLLECT }
  const replicas = prepared(() => startReplicas({ settings }), 180_000)
  beforeAll(async () => {
    await until('a healthy backplane', () => isBackplaneHealthy(replicas().first))
    for (const junk of kinds) await send(junk, WARM_UP)
  }, 180_000)

  const send = async ([, headers, expected]: Junk, count: number): Promise<void> => {
    using pool = createRequestPool(replicas().first.internalPort)
    const odd = new Set<number>()
    await pool.sendMany(
      count,
      (at) => ({ path: '/auth', headers: { ...forwardedNavigation, ...headers(at) } }),
      ({ status }) => {
        if (!expected.includes(status)) odd.add(status)
      },
    )
    if (odd.size > 0) throw new Error(`answered with ${[...odd].join()}`)
  }

  const read = (sample: string) => readMetric(replicas().first, sample)
  /** The least of a second. */
  const measure = async () => {
    let [heap, rss] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
    for (let reading = 0; reading < 10; reading += 1) {
      await wait(100)
      heap = Math.min(heap, await read('vestibule_nodejs_heap_size_used_bytes'))
      rss = Math.min(rss, await read('vestibule_process_resident_memory_bytes'))
    }
    return { heap, rss }
  }

  const expectFlat = async (junk: Junk, what: string, expect: ExpectStatic): Promise<void> => {
    const before = await measure()
    const seriesBefore = await countSeries()
    const startedAtMs = performance.now()
    await send(junk, REQUESTS)
    const seconds = (performance.now() - startedAtMs) / 1000
    const after = await measure()
    const show = ({ heap, rss }: typeof after) =>
      `heap ${(heap / MIB).toFixed(1)} MiB, resident ${(rss / MIB).toFixed(0)} MiB`
    print(`F44 ${REQUESTS} ${what} in ${seconds.toFixed(1)} s: ${show(before)} → ${show(after)}`)
    expect(after.heap - before.heap).toBeLessThan(NOISE_BYTES + MAX_HEAP_BYTES_EACH * REQUESTS)
    expect((after.rss - before.rss) / MIB).toBeLessThan(MAX_RSS_GROWTH_MIB)
    expect(await countSeries()).toBeLessThanOrEqual(seriesBefore + 5)
    // A heartbeat may just be under way.
    await until(
      'an empty queue',
      async () => (await read('vestibule_redis_commands_in_flight')) === 0,
    )
  }
  const countSeries = async (): Promise<number> =>
    (await replicas().first.internal('/metrics')).body.split('\n').length

  const timeout = 60_000 + REQUESTS * 5
  test.for(kinds)('%s leave nothing behind', { timeout }, async (junk, { expect }) => {
    await expectFlat(junk, junk[0], expect)
    expect(await read('vestibule_l1_sessions')).toBe(0)
  })

  test('made-up sessions and assertions leave nothing behind in an outage', { timeout }, async ({
    expect,
  }) => {
    const { first, redis } = replicas()
    const { cookie } = await signInAt(first)
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    await redis.pause()
    const [, , , junk] = kinds as [Junk, Junk, Junk, Junk]
    const refused: Junk = [junk[0], junk[1], [503]]
    await send(refused, WARM_UP)
    await expectFlat(refused, `${junk[0]} in an outage`, expect)
    expect((await first.check({}, { Cookie: cookie })).status).toBe(200)
    expect(await read('vestibule_l1_sessions')).toBe(1)
    await redis.resume()
    await untilHealthy('F44 after the outage', first)
  })

  test('sessions in memory stay within their bounds, whoever comes along', async ({ expect }) => {
    const bounded = await replicas().add({ ...HYBRID, REDIS_HYBRID_L1_SIZE: '10' })
    await untilStarted(bounded)
    const sessions = await makeSessions(replicas().redis, 50)
    for (const { cookie, sub } of sessions) {
      const { status, headers } = await bounded.check({}, { Cookie: cookie })
      expect([status, headers['x-auth-request-user']]).toEqual([200, sub])
    }
    expect(await readMetric(bounded, 'vestibule_l1_sessions')).toBe(10)
  })
})
