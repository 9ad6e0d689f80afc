import { expect, test } from 'vitest'
import { breakSnapshots } from '../../support/broken-snapshots.ts'
import { expectAllowedOrDeferred, startCheckLoad } from '../../support/check-load.ts'
import * as outage from '../../support/outage.ts'
import { beginSignIn } from '../../support/outage-course.ts'
import { BUSY_MS, timed, until } from '../../support/own-lag.ts'
import { type RunningRedis, startRedis } from '../../support/redis.ts'
import { APP } from '../../support/relying-party.ts'
import { describeWithRedis, type Replicas, startReplicas } from '../../support/replicas.ts'
import { parseLoginLink, SESSION_COOKIE } from '../../support/sign-in-steps.ts'

/** Shortest interval between two look-ups of the address. */
const LOOKED_UP_EACH_MS = 5000

function setTo(name: string, value: string) {
  return ({ redis }: Pick<Replicas, 'redis'>) => redis.cli('CONFIG', 'SET', name, value)
}

const fill = setTo('maxmemory', '200kb')
const makeRoom = setTo('maxmemory', '0')

/** Makes one the replica of the other and waits until it has all of its data. */
async function follow(replica: RunningRedis, primary: RunningRedis): Promise<void> {
  await replica.cli('REPLICAOF', '127.0.0.1', `${primary.port}`)
  await until('a replica in step', async () => {
    const info = await replica.cli('INFO', 'replication')
    return info.includes('master_link_status:up') && info.includes('role:slave')
  })
  const sizeOf = ({ cli }: RunningRedis) => cli('DBSIZE')
  await until('all data', async () => (await sizeOf(replica)) === (await sizeOf(primary)))
}

/** Hands the place of the primary over to a standby. */
async function demote({ redis }: Replicas, stack: AsyncDisposableStack): Promise<void> {
  const standby = stack.use(await startRedis({ args: ['--repl-diskless-sync-delay', '0'] }))
  await follow(standby, redis)
  await standby.cli('REPLICAOF', 'NO', 'ONE')
  await follow(redis, standby)
}

let repair: () => Promise<unknown>

const faults: readonly (readonly [
  what: string,
  failure: string,
  begin: (replicas: Replicas, stack: AsyncDisposableStack) => Promise<unknown>,
  end: (replicas: Replicas) => Promise<unknown>,
  signOut?: 'counts everywhere at once',
])[] = [
  ['F06 Redis is full', 'full', fill, makeRoom, 'counts everywhere at once'],
  [
    'F08 Redis cannot save',
    'misconf',
    async ({ redis }) => (repair = await breakSnapshots(redis)),
    () => repair(),
  ],
  [
    'F09 the server at our address has become a replica',
    'readonly',
    demote,
    ({ redis }) => redis.cli('REPLICAOF', 'NO', 'ONE'),
  ],
  [
    'F10 a primary has too few replicas',
    'replication',
    setTo('min-replicas-to-write', '2'),
    setTo('min-replicas-to-write', '0'),
  ],
]

describeWithRedis('Redis cannot be written', () => {
  test.for(faults)('%s: only writes are deferred', async ([, failure, begin, end, signOut]) => {
    // With an idle limit a check has one write, whose refusal must not matter.
    await using replicas = await startReplicas({
      count: 2,
      settings: { SESSION_IDLE_TIMEOUT: '600' },
      redis: { args: ['--repl-diskless-sync-delay', '0'] },
    })
    await using stack = new AsyncDisposableStack()
    const { first, all, provider } = replicas
    const { browser, cookie } = await replicas.signedIn()
    const leaving = [await replicas.signedIn(), await replicas.signedIn()]
    const left = leaving.map((each) => each.cookie)
    const signIn = await beginSignIn(replicas)
    const cookiesBefore = signIn.browser.cookies.all()
    await outage.expectStatus(200, all, cookie, ...left)
    const lossesBefore = outage.countEvents(first, 'redis_disconnected')
    await begin(replicas, stack)
    const fresh = performance.now()
    for (let round = 0; round < 20; round += 1) await outage.expectStatus(200, all, cookie)
    expect((await browser.get(`${APP}/oauth2/me`)).status).toBe(200)
    if (failure !== 'readonly') await outage.expectUnhealthy(first, true)
    const load = startCheckLoad(first.internalPort, cookie)
    for (const { browser: each } of leaving) {
      expect((await timed(signIn.expectDeferred())).ownMs).toBeLessThan(3500 + BUSY_MS)
      if (signOut === undefined) await outage.expectSignOutDeferred(first, each)
      else expect((await outage.signOut(each)).status).toBe(303)
      expect(each.cookies.find(SESSION_COOKIE)).toBeUndefined()
    }
    if (signOut !== undefined) await outage.expectStatus(302, all, ...left)
    expect(signIn.browser.cookies.all()).toEqual(cookiesBefore)
    await until('more checks', () => load.count(200) > 200)
    await load.stop()
    expectAllowedOrDeferred(load)
    expect(load.count(200)).toBeGreaterThan(20 * load.count(503))
    expect(await outage.redisErrors(first, failure)).toBeGreaterThan(0)
    expect(await outage.redisErrors(first, 'data')).toBe(0)
    const mayHaveLookedUp = 1 + Math.ceil((performance.now() - fresh) / LOOKED_UP_EACH_MS)
    const losses = outage.countEvents(first, 'redis_disconnected') - lossesBefore
    expect(losses).toBeLessThanOrEqual(failure === 'readonly' ? mayHaveLookedUp : 0)
    await outage.expectOthersServed(first)
    await end(replicas)
    await signIn.expectFinished()
    expect(provider.count('token')).toBe(1)
    await outage.expectEndedEverywhere(all, left)
    await outage.expectStatus(200, all, cookie)
    expect(all.map((replica) => replica.isAlive())).toEqual([true, true])
  })

  test('F06 filled between code and session, a sign-in is a 503 without a session, and the next page leads on', async () => {
    await using replicas = await startReplicas()
    const { browser, callbackUrl } = await replicas.untilCallback()
    const rewrite = async (body: Record<string, unknown>) => {
      await fill(replicas)
      return body
    }
    replicas.provider.set('token', { rewrite, times: 1 })
    outage.expectComeAgain(await browser.get(callbackUrl))
    expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
    await makeRoom(replicas)
    const again = await browser.get(callbackUrl)
    expect([again.status, again.headers['refresh']]).toEqual([400, undefined])
    expect(again.body).not.toContain('http-equiv="refresh"')
    await browser.browse(parseLoginLink(again))
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    await outage.expectOthersServed(replicas.first)
  })

  test('F09 the first refused write makes it connect anew, and health has the finding', async () => {
    await using replicas = await startReplicas()
    const { first, redis } = replicas
    const { browser, cookie } = await replicas.signedIn()
    await redis.cli('REPLICAOF', '127.0.0.1', '9')
    await outage.expectSignOutDeferred(first, browser)
    await outage.untilEvent(first, 'redis_connected', 2)
    await until('the finding', async () => {
      const { findings } = (await outage.readHealth(first)).cache.redis
      return findings.some(({ code }) => code === 'replica')
    })
    await redis.cli('REPLICAOF', 'NO', 'ONE')
    await outage.expectEndedEverywhere([first], [cookie])
  })
})
