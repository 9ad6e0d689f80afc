import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { breakSnapshots } from '../../support/broken-snapshots.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { timed } from '../../support/own-lag.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { print } from '../../support/printed.ts'
import { faults } from '../../support/provider.ts'
import type { RunningRedis } from '../../support/redis.ts'
import { until } from '../../support/redis-state.ts'
import {
  accessTokenOf,
  askEverywhere,
  countResults,
  expectEnded,
  expectGoesOn,
  expectLetIn,
  type RefreshingReplicas,
  refreshRequests,
  startRefreshingReplicas,
  tokensFor,
  untilEnded,
} from '../../support/refreshing-replicas.ts'

const LIFE_SECONDS = 4
/** Time after an outage in which no refresh begins. */
const SETTLE_MS = 10_000

/** Ways in which Redis cannot be written, each with its end; after the last two it counts as another server. */
const outages: readonly (readonly [
  what: string,
  begin: (replicas: RefreshingReplicas) => Promise<unknown>,
  end: (replicas: RefreshingReplicas) => Promise<unknown>,
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

async function saveAndKill({ redis }: RefreshingReplicas): Promise<void> {
  await redis.cli('SAVE')
  await redis.kill()
}

describeWithRedis('F36 a refresh while Redis cannot be written', () => {
  let replicas: RefreshingReplicas
  const due: string[] = []
  beforeAll(async () => {
    // A breaker that has opened would keep a replica from trying for a minute.
    const settings = { REDIS_CIRCUIT_BREAKER_TIMEOUT: '1' }
    replicas = await startRefreshingReplicas({ settings })
    replicas.provider.set('token', tokensFor(LIFE_SECONDS))
    due.push(...(await Promise.all([...outages, 1, 2].map(signInForOutages))))
    replicas.provider.reset()
    await untilEnded(performance.now(), LIFE_SECONDS)
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
        await expectGoesOn(replicas.all, cookie)
        return (await countResults(replicas.all, 'refreshed')) === before + 1
      },
      SETTLE_MS + 10_000,
    )
  }

  test('Redis goes away while the answer is under way: the tokens are kept until they can be stored', async () => {
    const { all, first, provider, network } = replicas
    const cookie = takeDue()
    const before = await countResults(all, 'refreshed')
    const cut = Promise.withResolvers<void>()
    provider.set(
      'token',
      tokensFor(3600, async () => {
        await network.refuse()
        cut.resolve()
      }),
    )
    await expectGoesOn([first], cookie)
    await cut.promise
    // By now the answer has come, and could not be stored.
    await wait(700)
    await expectGoesOn(all, cookie)
    provider.reset()
    await network.accept()
    await untilRefreshed(cookie, before)
    expect(await countResults(all, 'lost')).toBe(0)
    expect(refreshRequests(provider)).toHaveLength(1)
    const looking = await replicas.add({ PASS_ACCESS_TOKEN: 'true' })
    expect(accessTokenOf(await looking.check({}, { Cookie: cookie }))).not.toBe('')
  })

  test('a refusal ends no session until Redis can tell whether another replica was faster', async () => {
    const { all, first, provider, network } = replicas
    const cookie = takeDue()
    const refused = await countResults(all, 'refused')
    provider.set('token', { ...faults.invalidGrant, delayMs: 300 })
    // The outage before has to be over for some seconds (finding C65), and each check tries again.
    await until('a request', async () => {
      await expectGoesOn([first], cookie)
      return refreshRequests(provider).length === 1
    })
    await network.refuse()
    await wait(700)
    await expectGoesOn([first], cookie)
    expect(await countResults(all, 'refused')).toBe(refused)
    await network.accept()
    await untilWhole(all)
    const hasEnded = async () => (await countResults(all, 'refused')) === refused + 1
    await until('the end', hasEnded, SETTLE_MS + 10_000)
    expect(refreshRequests(provider)).toHaveLength(1)
    await expectEnded(all, cookie)
  })
  test.for(outages)(
    'Redis %s: no refresh token is spent, the session goes on, and is refreshed once it is back',
    async ([what, begin, end]) => {
      const { all, provider } = replicas
      const cookie = takeDue()
      const before = await countResults(all, 'refreshed')
      await begin(replicas)
      try {
        for (let round = 0; round < 10; round += 1) await expectGoesOn(all, cookie)
        expect(refreshRequests(provider)).toEqual([])
      } finally {
        await end(replicas)
      }
      const { ms } = await timed(untilRefreshed(cookie, before))
      print(`F36 Redis ${what}: refreshed ${ms.toFixed(0)} ms after it was back`)
      await expectGoesOn(all, cookie)
      expect(refreshRequests(provider)).toHaveLength(1)
    },
  )
})

describeWithRedis('F36 an access token that has ended while Redis cannot be reached', () => {
  test('a known user goes on without it, and has the next one once Redis is back', async () => {
    const settings = { PASS_ACCESS_TOKEN: 'true', REDIS_CIRCUIT_BREAKER_TIMEOUT: '1' }
    await using replicas = await startRefreshingReplicas({ settings })
    const { all, provider, network } = replicas
    const { cookie: session, issuedAtMs } = await replicas.signedInFor(LIFE_SECONDS)
    const cookie = `${session}; ${await takeAssertion(replicas.first, session)}`
    await untilEnded(issuedAtMs, LIFE_SECONDS)
    provider.forgetRequests()
    network.blackhole()
    for (let round = 0; round < 5; round += 1) {
      const visits = await askEverywhere(all, cookie)
      expectLetIn(visits)
      expect(new Set(visits.map(accessTokenOf))).toEqual(new Set(['']))
    }
    expect(refreshRequests(provider)).toEqual([])
    network.flow()
    const isBack = async () => {
      const visits = await askEverywhere(all, cookie)
      return visits.every((visit) => visit.status === 200 && accessTokenOf(visit) !== '')
    }
    await until('the next one', isBack, SETTLE_MS + 10_000)
    expect(refreshRequests(provider)).toHaveLength(1)
  })
})
