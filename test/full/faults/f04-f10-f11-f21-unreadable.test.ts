import { expect, test } from 'vitest'
import * as outage from '../../support/outage.ts'
import { startOutageCourse } from '../../support/outage-course.ts'
import { BUSY_MS, timed, until } from '../../support/own-lag.ts'
import { infoOf } from '../../support/redis.ts'
import { describeWithRedis, type Replicas, startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'

const REDIS_WRITE_TIMEOUT = '1'

/** Makes loading take six seconds, in which Redis answers commands; connecting may take one and a half of them. */
const SLOW_LOADING = ['--key-load-delay', '200', '--loading-process-events-interval-bytes', '1024']

/** Connections of four replicas: one each for commands, and one for messages. */
const CONNECTIONS = 8

type Act = (replicas: Replicas, cookie: string) => Promise<unknown>
type Outage = readonly [what: string, failure: string, begin: Act, end: Act]

const outages: readonly Outage[] = [
  [
    'F04 packets are dropped',
    'deadline',
    async ({ network }) => network.blackhole(),
    async ({ network }) => network.flow(),
  ],
  [
    'F04 the process of Redis is stopped',
    'deadline',
    ({ redis }) => redis.pause(),
    ({ redis }) => redis.resume(),
  ],
  [
    'F10 a Redis replica answers MASTERDOWN',
    'replication',
    async ({ redis }) => {
      await redis.cli('CONFIG', 'SET', 'replica-serve-stale-data', 'no')
      await redis.cli('REPLICAOF', '127.0.0.1', '9')
    },
    ({ redis }) => redis.cli('REPLICAOF', 'NO', 'ONE'),
  ],
  ['F11 Redis loads its data', 'loading', startLoading, async () => loaded],
  [
    'F21 Redis has too many clients',
    'clients',
    refuseClients,
    ({ redis }) => redis.cli('CONFIG', 'SET', 'maxclients', '100'),
  ],
]

let loaded: Promise<void> | undefined

async function startLoading({ redis, first }: Replicas, cookie: string): Promise<void> {
  await redis.cli('DEBUG', 'POPULATE', '30000')
  loaded = redis.restart({ keepData: true, args: SLOW_LOADING })
  await until('a server that loads', async () => {
    await first.check({}, { Cookie: cookie })
    return (await outage.redisErrors(first, 'loading')) > 0
  })
}

/** Asserts that replicas which are refused try again with back-off. */
async function refuseClients({ redis, all }: Replicas): Promise<void> {
  const sinceMs = performance.now()
  await redis.cli('CONFIG', 'SET', 'maxclients', '1')
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  for (const replica of all) await outage.untilEvent(replica, 'redis_disconnected')
  const rejected = () => infoOf(redis, 'stats', 'rejected_connections:')
  await until('some attempts', async () => (await rejected()) > 4)
  await until('a second', () => performance.now() - sinceMs > 1000)
  const [attempts, seconds] = [await rejected(), (performance.now() - sinceMs) / 1000]
  expect(attempts).toBeLessThan(outage.mostAttempts(CONNECTIONS, seconds))
}

describeWithRedis('Redis cannot be read', () => {
  test.for(outages)('%s: nobody is signed out or waits', async ([, failure, begin, end]) => {
    const settings = { REDIS_WRITE_TIMEOUT, ...outage.WITHOUT_GRACE }
    await using replicas = await startReplicas({ count: 2, settings })
    const { all, first } = replicas
    const { browser: leaving, cookie: left } = await replicas.signedIn('bob')
    const course = await startOutageCourse(replicas)
    await outage.expectStatus(200, all, course.cookie)
    await begin(replicas, course.cookie)
    const attempt = await timed(course.signIn.expectDeferred())
    expect(attempt.ownMs).toBeLessThan(1250 + BUSY_MS)
    await course.expectDegraded()
    const signedOut = await timed(outage.signOut(leaving))
    outage.expectSignOutPending(leaving, signedOut.value)
    expect(signedOut.ownMs).toBeLessThan(3250 + BUSY_MS)
    if (failure === 'deadline') await outage.untilMetric(first, 'vestibule_redis_connected', 0)
    for (const replica of all) {
      await outage.expectChecksRefused(replica, course.cookie)
      await outage.expectUnhealthy(replica)
      await outage.expectOthersServed(replica)
    }
    expect(course.browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    expect(await outage.redisErrors(first, failure)).toBeGreaterThan(0)
    await end(replicas, course.cookie)
    for (const replica of all) await outage.expectRecovery(replica, course.cookie)
    await course.expectRecovered()
    expect(replicas.provider.count('token')).toBe(1)
    await outage.expectEndedEverywhere([first], [left])
    // The Redis replica is left and tried again.
    if (failure !== 'replication') expect(outage.countEvents(first, 'redis_disconnected')).toBe(1)
    expect((await replicas.signedIn('bob')).cookie).toContain(SESSION_COOKIE)
    expect((await outage.signOut(course.browser)).status).toBe(303)
    await outage.expectStatus(302, first, course.cookie)
    await outage.expectOthersServed(first)
  })
})
