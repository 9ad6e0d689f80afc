import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { signInAt, untilBackplaneHealthy } from '../../support/hybrid-replicas.ts'
import { makeSessions } from '../../support/made-sessions.ts'
import { OUTAGE_COOKIE, readMetric, untilHealthy, untilMetric } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { APP, startRelyingParty } from '../../support/relying-party.ts'
import { describeWithRedis, HYBRID, startReplicas, untilStarted } from '../../support/replicas.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type PooledRequest,
} from '../../support/request-pool.ts'
import { BINDING_COOKIE, SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'
import { startVestibuleProcess } from '../../support/vestibule-process.ts'

/** `F44_REQUESTS=1000000` is the full measure. */
const REQUESTS = Number(process.env['F44_REQUESTS'] ?? 20_000)
const WARM_UP = 3000
const MIB = 1024 * 1024

/** Each bound is less per request than any trace of one would take; F44's has an allowance for passing needs. */
const A64_MAX_BYTES = 60 * REQUESTS
const F44_MAX_BYTES = MIB + 30 * REQUESTS
const MAX_RSS_GROWTH_MIB = 48

/** Forces frequent collections, because only right after one does the heap show what is still in use. */
const COLLECT = {
  NODE_OPTIONS: '--expose-gc --import=data:text/javascript,setInterval(gc,200).unref()',
}

const timeout = 60_000 + REQUESTS * 5

type Junk = readonly [what: string, request: (at: number) => PooledRequest, status: number]

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

function check(headers: (at: number) => PooledRequest['headers']) {
  return (at: number) => ({ path: '/auth', headers: { ...forwardedNavigation, ...headers(at) } })
}

const BROWSER = { Host: 'app.example.com', Accept: 'text/html' }
const JUNK_BINDING = `${BINDING_COOKIE}=v1.${'A'.repeat(43)}.0.0`
const pages: readonly Junk[] = [
  [
    'starts of a sign-in',
    (at) => {
      const rd = encodeURIComponent(`${APP}/page/${at}?q=${'x'.repeat(at % 300)}`)
      return { path: `/oauth2/login?rd=${rd}`, headers: BROWSER }
    },
    302,
  ],
  [
    'junk callbacks',
    (at) => ({
      path: `/oauth2/callback?code=junk${at}&state=junk${at}`,
      headers: { ...BROWSER, Cookie: JUNK_BINDING },
    }),
    400,
  ],
]
const pairs: Junk = [
  'checks with made-up sessions and assertions',
  check(() => ({ Cookie: junkPair() })),
  302,
]
const checks: readonly Junk[] = [
  ['checks of strangers', check(() => ({})), 302],
  [
    'checks of strangers at ever new pages',
    check((at) => ({ 'X-Forwarded-Uri': `/page/${at}/${token()}` })),
    302,
  ],
  [
    'checks with made-up sessions',
    check((at) => ({ 'X-Forwarded-For': `203.0.113.${at % 256}`, Cookie: junkSession() })),
    302,
  ],
  pairs,
]

async function send(port: number, [, request, expected]: Junk, count: number): Promise<void> {
  using pool = createRequestPool(port)
  const odd = new Set<number>()
  await pool.sendMany(count, request, ({ status }) => {
    if (status !== expected) odd.add(status)
  })
  expect(odd).toEqual(new Set())
}

/** The least heap of a second, and what the process takes from the machine. */
async function measure(vestibule: RunningVestibule) {
  let [heap, rss] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let reading = 0; reading < 10; reading += 1) {
    await wait(100)
    heap = Math.min(heap, await readMetric(vestibule, 'vestibule_nodejs_heap_size_used_bytes'))
    rss = Math.min(rss, await readMetric(vestibule, 'vestibule_process_resident_memory_bytes'))
  }
  return { heap, rss }
}

async function countSeries(vestibule: RunningVestibule): Promise<number> {
  const { body } = await vestibule.internal('/metrics')
  // Leaves out Node's own, of which some appear with the first collection or handle of their kind.
  return body.split('\n').filter((line) => !/nodejs_|process_/.test(line)).length
}

/** Asserts that many such requests leave nothing in memory, metrics and the queue to Redis. */
async function expectFlat(
  vestibule: RunningVestibule,
  junk: Junk,
  maxBytes = F44_MAX_BYTES,
): Promise<void> {
  const port = junk[1](0).path === '/auth' ? vestibule.internalPort : vestibule.publicPort
  await send(port, junk, WARM_UP)
  const before = await measure(vestibule)
  const seriesBefore = await countSeries(vestibule)
  await send(port, junk, REQUESTS)
  const after = await measure(vestibule)
  expect(after.heap - before.heap).toBeLessThan(maxBytes)
  expect((after.rss - before.rss) / MIB).toBeLessThan(MAX_RSS_GROWTH_MIB)
  expect(await countSeries(vestibule)).toBeLessThanOrEqual(seriesBefore + 5)
  // A heartbeat may just be under way.
  await untilMetric(vestibule, 'vestibule_redis_commands_in_flight', 0)
  expect(vestibule.isAlive()).toBe(true)
}

describe('A64 storage filled by strangers', () => {
  const party = prepared(() => startRelyingParty(COLLECT, {}, undefined, startVestibuleProcess))

  test.for([...pages, pairs])('%s leave nothing in memory', { timeout }, async (junk) => {
    await expectFlat(party().vestibule, junk, A64_MAX_BYTES)
    expect(party().provider.count('token')).toBe(0)
  })
})

describeWithRedis('F44 memory of a replica', () => {
  const replicas = prepared(() => startReplicas({ settings: { ...HYBRID, ...COLLECT } }))
  beforeAll(() => untilBackplaneHealthy(replicas().first))
  const remembered = () => readMetric(replicas().first, 'vestibule_l1_sessions')

  test.for(checks)('%s leave nothing behind', { timeout }, async (junk) => {
    await expectFlat(replicas().first, junk)
    expect(await remembered()).toBe(0)
  })

  test('made-up sessions and assertions leave nothing behind in an outage', {
    timeout,
  }, async () => {
    const { first, redis } = replicas()
    const { cookie } = await signInAt(first)
    const isLetIn = async () => (await first.check({}, { Cookie: cookie })).status === 200
    expect(await isLetIn()).toBe(true)
    await redis.pause()
    await expectFlat(first, [`${pairs[0]} in an outage`, pairs[1], 503])
    expect([await isLetIn(), await remembered()]).toEqual([true, 1])
    await redis.resume()
    await untilHealthy(first)
  })

  test('sessions in memory stay within their bounds, whoever comes along', async () => {
    const bounded = await replicas().add({ ...HYBRID, REDIS_HYBRID_L1_SIZE: '10' })
    await untilStarted(bounded)
    for (const { cookie, sub } of await makeSessions(replicas().redis, 50)) {
      const { status, headers } = await bounded.check({}, { Cookie: cookie })
      expect([status, headers['x-auth-request-user']]).toEqual([200, sub])
    }
    expect(await readMetric(bounded, 'vestibule_l1_sessions')).toBe(10)
  })
})
