import { beforeAll, expect, test } from 'vitest'
import { startCheckLoads } from '../../support/check-load.ts'
import { countEvents, WITHOUT_GRACE } from '../../support/outage.ts'
import { timed, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import type { Behaviour } from '../../support/provider.ts'
import * as refreshing from '../../support/refreshing-replicas.ts'
import { describeWithRedis } from '../../support/replicas.ts'
import { cookieHeader, LOGIN } from '../../support/sign-in-steps.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

const LIFE_SECONDS = 2
/** Life of a refresh lock, after which another replica may take over. */
const SILENT_MS = 60_000
/** Those who wait for a lock look once a second. */
const LOOK_MS = 1000

describeWithRedis('F35 a replica that does not finish a refresh', () => {
  const replicas = prepared(() =>
    refreshing.startRefreshingReplicas({
      count: 2,
      // A minute of use would bring a cookie for outages, of which there is none here.
      settings: WITHOUT_GRACE,
      provider: {
        configuration: {
          // To bob it gives no new refresh token with the access token.
          rotateRefreshToken: ({ oidc }) => oidc.entities.RefreshToken?.accountId !== 'bob',
        },
      },
    }),
  )
  let others: readonly VestibuleProcess[]
  let looking: VestibuleProcess
  beforeAll(async () => {
    others = replicas().all
    looking = await replicas().add({ PASS_ACCESS_TOKEN: 'true' })
  })

  /** Begins a refresh; `endLock` ends its lock, as if its owner had not been heard of for a minute. */
  const interrupt = async (behaviour: Behaviour, sub = 'alice') => {
    const { provider, redis } = replicas()
    const doomed = await replicas().add()
    const { cookie, issuedAtMs } = await replicas().signedInFor(LIFE_SECONDS, sub)
    await refreshing.untilDue(issuedAtMs, LIFE_SECONDS)
    provider.forgetRequests()
    provider.set('token', { ...behaviour, times: 1 })
    await refreshing.expectGoesOn([doomed], cookie, sub)
    await until('a refresh request', () => refreshing.refreshRequests(provider).length === 1)
    const endLock = () => redis.cli('PEXPIRE', storedSession(cookie).keyOf('lock'), '1')
    return { doomed, cookie, endLock }
  }

  /** Goes on using the session until another replica asks the provider; nobody is turned away meanwhile. */
  const untilTakenOver = async (cookie: string, sub = 'alice'): Promise<number> => {
    const loads = startCheckLoads(others, cookie, { perSecond: 20, connections: 2 })
    const isTried = () => refreshing.refreshRequests(replicas().provider).length === 2
    const { ms } = await timed(until('another try', isTried, SILENT_MS + 10 * LOOK_MS + 60_000))
    await Promise.all(loads.map((load) => load.stop()))
    for (const { oddities, users } of loads) expect([oddities, users]).toEqual([[], new Set([sub])])
    return ms
  }

  const tokenOf = async (cookie: string): Promise<string> => {
    const visit = await looking.check({}, { Cookie: cookie })
    expect(visit.status).toBe(200)
    return refreshing.accessTokenOf(visit)
  }

  test('killed before the provider has the request: another replica refreshes a minute later, and nobody notices', {
    timeout: 2 * SILENT_MS,
  }, async () => {
    const { doomed, cookie } = await interrupt({ down: true, delayMs: 3000 })
    const refreshedBefore = await refreshing.countResults(others, 'refreshed')
    await doomed.stop('SIGKILL')
    const ms = await untilTakenOver(cookie)
    expect(ms).toBeGreaterThan(SILENT_MS / 2)
    await refreshing.untilResult(others, 'refreshed', refreshedBefore + 1)
    expect(new Set(refreshing.presentedTokens(replicas().provider)).size).toBe(1)
    await refreshing.expectGoesOn(others, cookie)
    expect(await tokenOf(cookie)).not.toBe('')
    expect(refreshing.refreshRequests(replicas().provider)).toHaveLength(2)
  })

  test('killed before it has the answer: the tokens are lost, the next attempt ends the session, and a sign-in works', async () => {
    const killed = Promise.withResolvers<void>()
    const spent = Promise.withResolvers<void>()
    const { doomed, cookie, endLock } = await interrupt(
      refreshing.tokensFor(3600, () => {
        spent.resolve()
        return killed.promise
      }),
    )
    const refusedBefore = await refreshing.countResults(others, 'refused')
    await spent.promise
    await doomed.stop('SIGKILL')
    killed.resolve()
    await refreshing.expectGoesOn(others, cookie)
    await endLock()
    const hasEnded = async () => {
      const visits = await Promise.all(others.map((each) => each.check({}, { Cookie: cookie })))
      for (const { status } of visits) expect([200, 302]).toContain(status)
      return visits.every(({ status }) => status === 302)
    }
    await until('the end', hasEnded)
    expect(await refreshing.countResults(others, 'refused')).toBe(refusedBefore + 1)
    await refreshing.expectEnded(others, cookie)
    // The provider has seen one refresh token twice, and takes that for theft.
    expect(new Set(refreshing.presentedTokens(replicas().provider)).size).toBe(1)
    expect(refreshing.refreshRequests(replicas().provider)).toHaveLength(2)

    const browser = replicas().first.visitor()
    await browser.signIn(`${LOGIN}?rd=/`, 'alice')
    await refreshing.expectGoesOn(others, String(cookieHeader(browser)))
  })

  test('on SIGTERM it waits for the answer and stores the tokens', async () => {
    const { doomed, cookie } = await interrupt({ delayMs: 2000 })
    const code = await doomed.stop('SIGTERM')
    expect(code).toBe(0)
    await refreshing.expectGoesOn(others, cookie)
    expect(await tokenOf(cookie)).not.toBe('')
    expect(refreshing.refreshRequests(replicas().provider)).toHaveLength(1)
  })

  test('frozen for longer than its lock lasts, it discards the answer, which is too late', async () => {
    const frozen = Promise.withResolvers<void>()
    const { doomed, cookie, endLock } = await interrupt(
      refreshing.tokensFor(3600, () => frozen.promise),
      'bob',
    )
    process.kill(doomed.pid, 'SIGSTOP')
    frozen.resolve()
    await endLock()
    await untilTakenOver(cookie, 'bob')
    const before = await tokenOf(cookie)
    process.kill(doomed.pid, 'SIGCONT')
    await refreshing.untilResult([doomed], 'late', 1)
    await refreshing.expectGoesOn([doomed, ...others], cookie, 'bob')
    expect(before).not.toBe('')
    expect(await tokenOf(cookie)).toBe(before)
    expect(refreshing.refreshRequests(replicas().provider)).toHaveLength(2)
    expect(countEvents(doomed, 'session_not_refreshed')).toBe(0)
  })

  test('frozen, and refused because another replica was faster: the session stays', async () => {
    const body = '{"error":"invalid_grant"}'
    const headers = { 'Content-Type': 'application/json' }
    const { doomed, cookie, endLock } = await interrupt({
      status: 400,
      headers,
      body,
      delayMs: 1000,
    })
    process.kill(doomed.pid, 'SIGSTOP')
    await endLock()
    await untilTakenOver(cookie)
    const before = await tokenOf(cookie)
    process.kill(doomed.pid, 'SIGCONT')
    await refreshing.expectGoesOn([doomed, ...others], cookie)
    // It ends when it has dealt with the answer.
    expect(await doomed.stop('SIGTERM')).toBe(0)
    await refreshing.expectGoesOn(others, cookie)
    expect(before).not.toBe('')
    expect(await tokenOf(cookie)).toBe(before)
    expect(countEvents(doomed, 'session_not_refreshed')).toBe(0)
  })
})
