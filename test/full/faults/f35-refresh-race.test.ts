import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { expectUndisturbed, startCheckLoads } from '../../support/check-load.ts'
import { until } from '../../support/own-lag.ts'
import * as refreshing from '../../support/refreshing-replicas.ts'
import { describeWithRedis } from '../../support/replicas.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const PASSING = { PASS_ACCESS_TOKEN: 'true' } as const

/** Asks until the app is given a token that is not that of before; who waits for it may have to come again. */
async function untilRenewed(
  looking: RunningVestibule,
  cookie: string,
  before: string,
): Promise<string> {
  let token = before
  await until('a new token', async () => {
    const visit = await looking.check({}, { Cookie: cookie })
    expect([200, 503]).toContain(visit.status)
    token = refreshing.accessTokenOf(visit) || before
    return token !== before
  })
  return token
}

describeWithRedis('F35 many replicas and one refresh token', () => {
  test('an answer after 8 s: one request, everybody goes on meanwhile, and then all have the new token', async () => {
    const lifeSeconds = 2
    await using replicas = await refreshing.startRefreshingReplicas()
    const { all, provider } = replicas
    const looking = await replicas.add(PASSING)
    const { cookie, issuedAtMs } = await replicas.signedInFor(lifeSeconds)
    const before = refreshing.accessTokenOf(await looking.check({}, { Cookie: cookie }))
    await refreshing.expectGoesOn(all, cookie)
    await refreshing.untilDue(issuedAtMs, lifeSeconds)
    provider.set('token', { delayMs: 8000 })

    refreshing.expectLetIn(await refreshing.askEverywhere(all, cookie, 50))
    const loads = startCheckLoads(all, cookie, { perSecond: 30 })
    await refreshing.untilResult(all, 'refreshed', 1)
    await wait(500)
    await expectUndisturbed(loads)
    expect(refreshing.refreshRequests(provider)).toHaveLength(1)
    expect(await refreshing.countResults(all, 'refreshed')).toBe(1)
    await refreshing.expectGoesOn(all, cookie)
    const after = refreshing.accessTokenOf(await looking.check({}, { Cookie: cookie }))
    expect(before).not.toBe('')
    expect(after).not.toBe('')
    expect(after).not.toBe(before)
  })

  test('each expiry costs one request, however long its answer takes', () =>
    expectOneRequestEach('hybrid', 10, 5))
})

describeWithRedis('F35 where each check asks Redis', () => {
  test('each expiry costs one request, however long its answer takes', () =>
    expectOneRequestEach('redis', 5, 2))
})

/** Lets the tokens of some people end again and again; each time 50 requests at once come to each of three replicas. */
async function expectOneRequestEach(
  mode: 'hybrid' | 'redis',
  people: number,
  rounds: number,
): Promise<void> {
  const lifeSeconds = 2
  // On a busy machine a burst may have to wait for Redis for longer than a check does.
  const settings = { REDIS_CACHE_MODE: mode, CHECK_STORE_TIMEOUT_MS: '1000' }
  const users = Array.from({ length: people }, (_, at) => ({ sub: `user-${at}` }))
  await using replicas = await refreshing.startRefreshingReplicas({ settings, provider: { users } })
  const { all, provider } = replicas
  const looking = await replicas.add(PASSING)
  let slowestMs = 0
  provider.set(
    'token',
    refreshing.tokensFor(lifeSeconds, () => wait(Math.random() * slowestMs)),
  )

  const use = async (sub: string, cookie: string): Promise<void> => {
    let issuedAtMs = performance.now()
    let token = await untilRenewed(looking, cookie, '')
    for (let round = 0; round < rounds; round += 1) {
      await refreshing.untilDue(issuedAtMs, lifeSeconds)
      refreshing.expectLetIn(await refreshing.askEverywhere(all, cookie, 50 / people), sub)
      token = await untilRenewed(looking, cookie, token)
      issuedAtMs = performance.now()
    }
  }
  const uses: Promise<void>[] = []
  for (const { sub } of users) uses.push(use(sub, (await replicas.signedIn(sub)).cookie))
  slowestMs = 800
  await Promise.all(uses)

  const presented = refreshing.presentedTokens(provider)
  const expiries = people * rounds
  expect(presented).toHaveLength(expiries)
  expect(new Set(presented).size).toBe(expiries)
  expect(await refreshing.countResults([...all, looking], 'refreshed')).toBe(expiries)
}
