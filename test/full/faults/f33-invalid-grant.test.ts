import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { statusesAt } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { faults } from '../../support/provider.ts'
import * as refreshing from '../../support/refreshing-replicas.ts'
import { describeWithRedis } from '../../support/replicas.ts'
import { cookieHeader, LOGIN } from '../../support/sign-in-steps.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

const LIFE_SECONDS = 2

describeWithRedis('F33 invalid_grant at a refresh', () => {
  const replicas = prepared(() => refreshing.startRefreshingReplicas())
  const takeDue = refreshing.prepareDue(replicas, 2, LIFE_SECONDS)
  afterEach(() => replicas().provider.reset())
  const count = (result: 'refused' | 'refreshed') => refreshing.countResults(replicas().all, result)

  /** Waits until each replica refuses the session, and asserts that nothing but 200 comes before. */
  async function untilEnded(cookie: string): Promise<void> {
    await until('the end', async () => {
      const statuses = await statusesAt(replicas().all, cookie)
      for (const status of statuses) expect([200, 302]).toContain(status)
      return statuses.every((status) => status === 302)
    })
    await refreshing.expectEnded(replicas().all, cookie)
  }

  test('it ends the session at every replica, once and for all, and the next sign-in works', async () => {
    const { all, provider } = replicas()
    const { browser, cookie } = takeDue()
    provider.set('token', faults.invalidGrant)
    await untilEnded(cookie)
    expect(refreshing.refreshRequests(provider)).toHaveLength(1)
    expect(await count('refused')).toBe(1)
    const lines = all.flatMap((each) => each.log())
    const line = lines.find(({ event }) => event === 'session_not_refreshed')
    expect(line).toMatchObject({ result: 'refused', user: expect.stringMatching(/./) as string })
    expect(JSON.stringify(line)).not.toContain('alice')
    expect(JSON.stringify(line)).not.toContain(refreshing.presentedTokens(provider)[0])

    provider.reset()
    await browser.signIn(`${LOGIN}?rd=/`, 'alice')
    await refreshing.expectGoesOn(all, String(cookieHeader(browser)))
  })

  test('a refresh token that somebody else has used ends the session, as the provider demands', async () => {
    const { provider } = replicas()
    let stolen = ''
    const rewrite = (body: Record<string, unknown>) => {
      stolen = String(body['refresh_token'])
      return { ...body, expires_in: LIFE_SECONDS }
    }
    provider.set('token', { rewrite, times: 1 })
    const { cookie } = await replicas().signedIn()
    const issuedAtMs = performance.now()
    const grant = { grant_type: 'refresh_token', refresh_token: stolen }
    const credentials = [provider.clientId, provider.clientSecret].map(encodeURIComponent).join(':')
    const used = await fetch(`${provider.issuer}/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${btoa(credentials)}` },
      body: new URLSearchParams(grant),
    })
    expect(used.status).toBe(200)
    await refreshing.untilDue(issuedAtMs, LIFE_SECONDS)
    await untilEnded(cookie)
  })

  test('it ends nothing where another replica has refreshed meanwhile', async () => {
    const { all, provider, redis } = replicas()
    const [first, second] = all as [VestibuleProcess, VestibuleProcess]
    const { cookie } = takeDue()
    const [refusedBefore, refreshedBefore] = [await count('refused'), await count('refreshed')]
    provider.set('token', { ...faults.invalidGrant, delayMs: 1500, times: 1 })
    await refreshing.expectGoesOn([first], cookie)
    const { refreshRequests } = refreshing
    await until('a refresh request', () => refreshRequests(provider).length === 1)
    // Removes the lock as a failover may.
    await redis.cli('DEL', storedSession(cookie).keyOf('lock'))
    provider.set('token', refreshing.tokensFor(3600))
    await refreshing.expectGoesOn([second], cookie)
    await until('a refresh', async () => (await count('refreshed')) === refreshedBefore + 1)
    await wait(1500)
    expect(await count('refused')).toBe(refusedBefore)
    expect(refreshRequests(provider)).toHaveLength(2)
    await refreshing.expectGoesOn(all, cookie)
  })
})

describeWithRedis('C20 another definite refusal at a refresh', () => {
  test('ends the session at every replica once its grace is over, with no 503 on the way', async () => {
    await using replicas = await refreshing.startRefreshingReplicas({
      settings: { SESSION_REFRESH_GRACE: '3' },
    })
    const { all, provider } = replicas
    const { cookie, issuedAtMs } = await replicas.signedInFor(LIFE_SECONDS)
    const body = '{"error":"invalid_request"}'
    provider.set('token', { ...faults.invalidGrant, body })
    await refreshing.untilDue(issuedAtMs, LIFE_SECONDS)
    await until('the end', async () => {
      const statuses = await statusesAt(all, cookie)
      for (const status of statuses) expect([200, 302]).toContain(status)
      return statuses.every((status) => status === 302)
    })
    expect(performance.now() - issuedAtMs).toBeGreaterThan(LIFE_SECONDS * 1000)
    await refreshing.expectEnded(all, cookie)
    expect(await refreshing.countResults(all, 'refused')).toBe(1)
  })
})
