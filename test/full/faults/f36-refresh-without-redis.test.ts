import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { breakSnapshots } from '../../support/broken-snapshots.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { until } from '../../support/own-lag.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { faults } from '../../support/provider.ts'
import type { RunningRedis } from '../../support/redis.ts'
import * as refreshing from '../../support/refreshing-replicas.ts'
import { describeWithRedis } from '../../support/replicas.ts'

const LIFE_SECONDS = 4
/** Time after an outage in which no refresh begins. */
const SETTLE_MS = 10_000

/** Ways in which Redis cannot be written, each with its end; after the last two it counts as another server. */
const outages: readonly (readonly [
  what: string,
  begin: (replicas: refreshing.RefreshingReplicas) => Promise<unknown>,
  end: (replicas: refreshing.RefreshingReplicas) => Promise<unknown>,
])[] = [
  ['is full', ({ redis }) => setMemory(redis, '200kb'), ({ redis }) => setMemory(redis, '0')],
  ['cannot save', async ({ redis }) => (repair = await breakSnapshots(redis)), () => repair()],
  [
    'cannot be reached',
    async ({ network }) => network.blackhole(),
    async ({ network }) => network.flow(),
  ],
  ['is gone', saveAndKill, ({ redis }) => redis.restart({ keepData: true })],
  [
    'has become a replica',
    ({ redis }) => redis.cli('REPLICAOF', '127.0.0.1', '9'),
    ({ redis }) => redis.cli('REPLICAOF', 'NO', 'ONE'),
  ],
]
let repair: () => Promise<unknown>

function setMemory(redis: RunningRedis, bytes: string): Promise<string> {
  return redis.cli('CONFIG', 'SET', 'maxmemory', bytes)
}

async function saveAndKill({ redis }: refreshing.RefreshingReplicas): Promise<void> {
  await redis.cli('SAVE')
  await redis.kill()
}

describeWithRedis('F36 a refresh while Redis cannot be written', () => {
  let replicas: refreshing.RefreshingReplicas
  const due: string[] = []
  beforeAll(async () => {
    // A breaker that has opened would keep a replica from trying for a minute.
    const settings = { REDIS_CIRCUIT_BREAKER_TIMEOUT: '1' }
    replicas = await refreshing.startRefreshingReplicas({ settings })
    replicas.provider.set('token', refreshing.tokensFor(LIFE_SECONDS))
    due.push(...(await Promise.all([...outages, 1, 2].map(signInForOutages))))
    replicas.provider.reset()
    await refreshing.untilEnded(performance.now(), LIFE_SECONDS)
  })
  afterEach(async () => {
    replicas.provider.reset()
    await replicas.network.accept()
  })
  afterAll(() => replicas[Symbol.asyncDispose]())

  /** Signs in and takes an outage assertion, so that outages sign nobody out. */
  const signInForOutages = async (): Promise<string> => {
    const { cookie } = await replicas.signedIn()
    return `${cookie}; ${await takeAssertion(replicas.first, cookie)}`
  }
  const takeDue = (): string => {
    replicas.provider.forgetRequests()
    return String(due.pop())
  }
  const untilRefreshed = async (cookie: string, before: number): Promise<void> => {
    await until(
      'a refresh',
      async () => {
        await refreshing.expectGoesOn(replicas.all, cookie)
        return (await refreshing.countResults(replicas.all, 'refreshed')) === before + 1
      },
      SETTLE_MS + 10_000,
    )
  }

  test('Redis goes away while the answer is under way: the tokens are kept until they can be stored', async () => {
    const { all, first, provider, network } = replicas
    const cookie = takeDue()
    const before = await refreshing.countResults(all, 'refreshed')
    const cut = Promise.withResolvers<void>()
    provider.set(
      'token',
      refreshing.tokensFor(3600, async () => {
        await network.refuse()
        cut.resolve()
      }),
    )
    await refreshing.expectGoesOn([first], cookie)
    await cut.promise
    // By now the answer has come, and could not be stored.
    await wait(700)
    await refreshing.expectGoesOn(all, cookie)
    provider.reset()
    await network.accept()
    await untilRefreshed(cookie, before)
    expect(await refreshing.countResults(all, 'lost')).toBe(0)
    expect(refreshing.refreshRequests(provider)).toHaveLength(1)
    const looking = await replicas.add({ PASS_ACCESS_TOKEN: 'true' })
    expect(refreshing.accessTokenOf(await looking.check({}, { Cookie: cookie }))).not.toBe('')
  })

  test('a refusal ends no session until Redis can tell whether another replica was faster', async () => {
    const { all, first, provider, network } = replicas
    const cookie = takeDue()
    const refused = await refreshing.countResults(all, 'refused')
    provider.set('token', { ...faults.invalidGrant, delayMs: 300 })
    // The outage before has to be over for some seconds (finding C65), and each check tries again.
    await until('a request', async () => {
      await refreshing.expectGoesOn([first], cookie)
      return refreshing.refreshRequests(provider).length === 1
    })
    await network.refuse()
    await wait(700)
    await refreshing.expectGoesOn([first], cookie)
    expect(await refreshing.countResults(all, 'refused')).toBe(refused)
    await network.accept()
    await untilWhole(all)
    const hasEnded = async () => (await refreshing.countResults(all, 'refused')) === refused + 1
    await until('the end', hasEnded, SETTLE_MS + 10_000)
    expect(refreshing.refreshRequests(provider)).toHaveLength(1)
    await refreshing.expectEnded(all, cookie)
  })
  test.for(outages)('Redis %s: the refresh waits for its return', async ([, begin, end]) => {
    const { all, provider } = replicas
    const cookie = takeDue()
    const before = await refreshing.countResults(all, 'refreshed')
    await begin(replicas)
    try {
      for (let round = 0; round < 10; round += 1) await refreshing.expectGoesOn(all, cookie)
      expect(refreshing.refreshRequests(provider)).toEqual([])
    } finally {
      await end(replicas)
    }
    await untilRefreshed(cookie, before)
    await refreshing.expectGoesOn(all, cookie)
    expect(refreshing.refreshRequests(provider)).toHaveLength(1)
  })
})

describeWithRedis('F36 an access token that has ended while Redis cannot be reached', () => {
  test('a known user goes on without it, and has the next one once Redis is back', async () => {
    const settings = { PASS_ACCESS_TOKEN: 'true', REDIS_CIRCUIT_BREAKER_TIMEOUT: '1' }
    await using replicas = await refreshing.startRefreshingReplicas({ settings })
    const { all, provider, network } = replicas
    const { cookie: session, issuedAtMs } = await replicas.signedInFor(LIFE_SECONDS)
    const cookie = `${session}; ${await takeAssertion(replicas.first, session)}`
    await refreshing.untilEnded(issuedAtMs, LIFE_SECONDS)
    provider.forgetRequests()
    network.blackhole()
    for (let round = 0; round < 5; round += 1) {
      const visits = await refreshing.askEverywhere(all, cookie)
      refreshing.expectLetIn(visits)
      expect(new Set(visits.map(refreshing.accessTokenOf))).toEqual(new Set(['']))
    }
    expect(refreshing.refreshRequests(provider)).toEqual([])
    network.flow()
    const isBack = async () => {
      const visits = await refreshing.askEverywhere(all, cookie)
      return visits.every((visit) => visit.status === 200 && refreshing.accessTokenOf(visit) !== '')
    }
    await until('the next one', isBack, SETTLE_MS + 10_000)
    expect(refreshing.refreshRequests(provider)).toHaveLength(1)
  })
})
