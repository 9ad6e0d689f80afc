import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { expectUndisturbed, startCheckLoads } from '../../support/check-load.ts'
import { countEvents, expectComeAgain, script, statusesAt } from '../../support/outage.ts'
import { BUSY_MS, timed, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { faults } from '../../support/provider.ts'
import * as refreshing from '../../support/refreshing-replicas.ts'
import { describeWithRedis } from '../../support/replicas.ts'

const LIFE_SECONDS = 2
/** Within which a busy machine comes to it. */
const GRACE_SECONDS = 6
/** Four seconds are asked for, and clocks are rounded. */
const QUIET_MS = 3900
const BUSY = '{"error":"temporarily_unavailable"}'
const DESCRIBED = '{"error":"invalid_request","error_description":"invalid_grant"}'
const json = { 'Content-Type': 'application/json' }

/** `test/oidc/refresh.test.ts` and A86 have all other answers. */
const failures = [
  ['drops the connection', faults.down],
  ['answers 500', faults.serverError],
  ['answers with a page', faults.html],
  ['sends elsewhere', faults.redirect],
  ['answers that it is busy', { status: 400, headers: json, body: BUSY }],
  ['describes another error as invalid_grant', { status: 400, headers: json, body: DESCRIBED }],
] as const

const FEW = { perSecond: 30, connections: 3 }

describeWithRedis('F32 the provider fails at a refresh', () => {
  const replicas = prepared(() => refreshing.startRefreshingReplicas())
  const count = failures.length + 4
  const takeDue = refreshing.prepareDue(replicas, count, LIFE_SECONDS, refreshing.untilEnded)
  const failed: refreshing.EndingSession[] = []
  afterEach(() => replicas().provider.reset())
  const refreshed = () => refreshing.countResults(replicas().all, 'refreshed')

  test.for(failures)('a token endpoint that %s changes no answer', async ([, behaviour]) => {
    const { all, first, provider } = replicas()
    const session = takeDue()
    const failedBefore = await refreshing.countResults(all, 'failed')
    provider.set('token', behaviour)
    const sinceMs = performance.now()
    await refreshing.expectGoesOn([first], session.cookie)
    await refreshing.untilResult(all, 'failed', failedBefore + 1)
    refreshing.expectLetIn(await refreshing.askEverywhere(all, session.cookie, 3))
    refreshing.expectAskedOnce(provider, sinceMs)
    failed.push(session)
  })

  test('when it works again, all sessions are refreshed without a sign-in, and the log says so once', async () => {
    const { all, first } = replicas()
    const before = await refreshed()
    await until('all refreshed', async () => {
      for (const { cookie } of failed) await refreshing.expectGoesOn(all, cookie)
      return (await refreshed()) === before + failures.length
    })
    expect(countEvents(first, 'refresh_failing')).toBe(1)
    for (const each of all) expect(countEvents(each, 'refresh_works')).toBeLessThanOrEqual(1)
    const levels = all.flatMap((each) => each.log()).map(({ level }) => level)
    expect(levels.filter((level) => level === 'error' || level === 'fatal')).toEqual([])
  })

  test('a token endpoint that hangs delays no check', async () => {
    const { all, provider } = replicas()
    const { cookie } = takeDue()
    provider.set('token', faults.hangs)
    await refreshing.expectGoesOn(all, cookie)
    const { value: visits, ownMs } = await timed(refreshing.askEverywhere(all, cookie, 20))
    refreshing.expectLetIn(visits)
    expect(ownMs).toBeLessThan(3000 + BUSY_MS)
    await until('a request', () => refreshing.refreshRequests(provider).length > 0)
    refreshing.expectLetIn(await refreshing.askEverywhere(all, cookie, 20))
    expect(refreshing.refreshRequests(provider)).toHaveLength(1)
  })

  test('a failing provider is asked with back-off by all replicas together, and once when it works', async () => {
    const { all, provider } = replicas()
    const { cookie } = takeDue()
    provider.set('token', faults.serverError)
    const before = await refreshed()
    const sinceMs = performance.now()
    const loads = startCheckLoads(all, cookie, FEW)
    await wait(5000)
    const seconds = (performance.now() - sinceMs) / 1000
    const requests = refreshing.refreshRequests(provider).length
    provider.reset()
    await until('a refresh', async () => (await refreshed()) === before + 1)
    await wait(500)
    await expectUndisturbed(loads)
    expect(requests).toBeGreaterThan(1)
    expect(requests).toBeLessThanOrEqual(3 + seconds)
    expect(refreshing.refreshRequests(provider)).toHaveLength(requests + 1)
  })

  test('all replicas keep to Retry-After, in seconds and as a date', async () => {
    const { all, first, provider } = replicas()
    const asked = [takeDue(), takeDue()]
    const sinceMs = performance.now()
    // A date has no fractions of a second.
    const untilDate = new Date(Math.ceil(Date.now() / 1000) * 1000 + 4000).toUTCString()
    for (const [at, retryAfter] of ['4', untilDate].entries()) {
      const headers = { 'Retry-After': retryAfter }
      provider.set('token', { status: 429, headers, body: '', times: 1 })
      await refreshing.expectGoesOn([first], String(asked[at]?.cookie))
      await until('a request', () => refreshing.refreshRequests(provider).length === at + 1)
    }
    const before = await refreshed()
    const loads = asked.flatMap(({ cookie }) => startCheckLoads(all, cookie, FEW))
    await until('another request', () => refreshing.refreshRequests(provider).length > 2)
    const askedAgainMs = performance.now() - sinceMs
    expect(askedAgainMs).toBeGreaterThan(QUIET_MS)
    await until('both refreshed', async () => (await refreshed()) === before + 2)
    await expectUndisturbed(loads)
    expect(refreshing.refreshRequests(provider)).toHaveLength(4)
  })
})

describeWithRedis('F32 the provider fails for longer than SESSION_REFRESH_GRACE', () => {
  test('checks of people and programs are deferred, change no cookie, and pass when it is back', async () => {
    await using replicas = await refreshing.startRefreshingReplicas({
      settings: { SESSION_REFRESH_GRACE: `${GRACE_SECONDS}` },
    })
    const { all, provider } = replicas
    const { cookie, issuedAtMs } = await replicas.signedInFor(LIFE_SECONDS)
    await provider.pause()
    await refreshing.untilEnded(issuedAtMs, LIFE_SECONDS)
    await refreshing.expectGoesOn(all, cookie)
    await refreshing.untilEnded(issuedAtMs, LIFE_SECONDS + GRACE_SECONDS)
    const asks = all.flatMap((replica) => [
      timed(replica.check({}, { Cookie: cookie })),
      timed(replica.check({}, { ...script, Cookie: cookie })),
      timed(replica.check({ method: 'POST' }, { Cookie: cookie })),
    ])
    const answers = await Promise.all(asks)
    const kinds = ['page', 'json', 'quiet page'] as const
    for (const [at, { value, ownMs }] of answers.entries()) {
      expectComeAgain(value, kinds[at % kinds.length], 'provider_unavailable')
      expect(ownMs).toBeLessThan(2000 + BUSY_MS)
    }
    await provider.resume()
    const doAllPass = async () => {
      const statuses = await statusesAt(all, cookie)
      for (const status of statuses) expect([200, 503]).toContain(status)
      return statuses.every((status) => status === 200)
    }
    await until('checks that pass', doAllPass, 60_000)
    await refreshing.expectGoesOn(all, cookie)
    expect(await refreshing.countResults(all, 'refreshed')).toBe(1)
  })
})

describeWithRedis('F32 apps that are given the access token', () => {
  const replicas = prepared(() => {
    const settings = { PASS_ACCESS_TOKEN: 'true', PASS_AUTHORIZATION: 'true' }
    return refreshing.startRefreshingReplicas({ settings })
  })

  test('a check waits for the next access token, which every replica gives to the app', async () => {
    const { all, provider } = replicas()
    const { cookie, issuedAtMs } = await replicas().signedInFor(LIFE_SECONDS)
    const before = await refreshing.askEverywhere(all, cookie)
    refreshing.expectLetIn(before)
    await refreshing.untilEnded(issuedAtMs, LIFE_SECONDS)
    provider.forgetRequests()
    provider.set('token', { delayMs: 300 })
    const visits = await refreshing.askEverywhere(all, cookie, 3)
    refreshing.expectLetIn(visits)
    const [token] = visits.map(refreshing.accessTokenOf)
    expect(token).not.toBe('')
    expect(before.map(refreshing.accessTokenOf)).not.toContain(token)
    for (const visit of visits) {
      const given = [refreshing.accessTokenOf(visit), visit.headers.authorization]
      expect(given).toEqual([token, `Bearer ${token}`])
    }
    expect(refreshing.refreshRequests(provider)).toHaveLength(1)
    provider.reset()
  })

  test('without a next access token a check is deferred, and passes no expired one on', async () => {
    const { all, provider } = replicas()
    const { cookie, issuedAtMs } = await replicas().signedInFor(LIFE_SECONDS)
    await refreshing.untilEnded(issuedAtMs, LIFE_SECONDS)
    provider.set('token', faults.serverError)
    for (const replica of all) {
      const { value, ownMs } = await timed(replica.check({}, { Cookie: cookie }))
      expectComeAgain(value)
      expect(refreshing.accessTokenOf(value)).toBe('')
      expect(ownMs).toBeLessThan(2000 + BUSY_MS)
    }
    provider.reset()
    await until('checks that pass', async () => {
      const visits = await refreshing.askEverywhere(all, cookie)
      return visits.every((visit) => visit.status === 200 && refreshing.accessTokenOf(visit) !== '')
    })
  })
})
