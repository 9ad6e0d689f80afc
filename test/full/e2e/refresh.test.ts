import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import type { KeyPart } from '../../../src/store/store.ts'
import { move } from '../../support/hybrid-replicas.ts'
import { signOut } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import * as refreshing from '../../support/refreshing-replicas.ts'
import { describeWithRedis, PATIENT } from '../../support/replicas.ts'
import { addShifted } from '../../support/shifted-replica.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const LIFE_SECONDS = 2
const PARTS: readonly KeyPart[] = ['identity', 'tokens', 'metadata']

describeWithRedis('a session that is refreshed', () => {
  const alice = { sub: 'alice', groups: ['staff'] }
  const replicas = prepared(() => {
    const settings = { ...PATIENT, SESSION_IDLE_TIMEOUT: '600' }
    return refreshing.startRefreshingReplicas({ settings, provider: { users: [alice] } })
  })
  afterEach(() => replicas().provider.reset())

  const refreshed = () => refreshing.countResults(replicas().all, 'refreshed')

  test('has the groups of the refresh at every replica', async () => {
    const { all } = replicas()
    const { cookie, issuedAtMs } = await replicas().signedInFor(LIFE_SECONDS)
    const groups = async () => {
      const visits = await refreshing.askEverywhere(all, cookie)
      refreshing.expectLetIn(visits)
      return new Set(visits.map(({ headers }) => headers['x-auth-request-groups']))
    }
    expect(await groups()).toEqual(new Set(['staff']))
    alice.groups = ['staff', 'admins']
    expect(await groups()).toEqual(new Set(['staff']))
    await refreshing.untilDue(issuedAtMs, LIFE_SECONDS)
    await until('the new groups', async () => {
      const known = await groups()
      return known.size === 1 && known.has('staff,admins')
    })
  })

  test('lives longer by its idle time after use at any replica', async () => {
    const { all, redis } = replicas()
    const { cookie } = await replicas().signedIn()
    const { keyOf } = storedSession(cookie)
    for (const replica of all) {
      for (const part of PARTS) await redis.cli('PEXPIRE', keyOf(part), '20000')
      await refreshing.expectGoesOn([replica], cookie)
      for (const part of PARTS) {
        const leftMs = async () => Number(await redis.cli('PTTL', keyOf(part)))
        await until('a longer life', async () => (await leftMs()) > 590_000)
        expect(await leftMs()).toBeLessThanOrEqual(600_000)
      }
    }
  })

  test('lives neither longer nor shorter after a refresh', async () => {
    const { first, redis, provider } = replicas()
    const { cookie, issuedAtMs } = await replicas().signedInFor(LIFE_SECONDS)
    const { keyOf } = storedSession(cookie)
    // The first check lets it live on, and others do not before a minute is over.
    await refreshing.expectGoesOn([first], cookie)
    await refreshing.untilDue(issuedAtMs, LIFE_SECONDS)
    for (const part of PARTS) await redis.cli('PEXPIRE', keyOf(part), '300000')
    const before = await refreshed()
    provider.forgetRequests()
    await refreshing.expectGoesOn([first], cookie)
    await until('a refresh', async () => (await refreshed()) === before + 1)
    for (const part of PARTS) {
      const leftMs = Number(await redis.cli('PTTL', keyOf(part)))
      expect(leftMs, part).toBeLessThanOrEqual(300_000)
      expect(leftMs, part).toBeGreaterThan(290_000)
    }
    expect(refreshing.refreshRequests(provider)).toHaveLength(1)
  })

  test.for([
    ['the same replica', 0],
    ['another replica', 1],
  ] as const)(
    'is signed out at %s while new tokens are under way: it stays ended everywhere, and they are revoked',
    async ([, at]) => {
      const { all, first, provider } = replicas()
      const { browser, cookie, issuedAtMs } = await replicas().signedInFor(LIFE_SECONDS)
      await refreshing.untilDue(issuedAtMs, LIFE_SECONDS)
      const [goneBefore, refreshedBefore] = [
        await refreshing.countResults(all, 'gone'),
        await refreshed(),
      ]
      const [come, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      let tokens: readonly unknown[] = []
      provider.set('token', {
        rewrite: async (body) => {
          tokens = [body['refresh_token'], body['access_token']]
          come.resolve()
          await ended.promise
          return body
        },
        times: 1,
      })
      await refreshing.expectGoesOn([first], cookie)
      await come.promise
      const { status } = await signOut(move(browser, all[at] as RunningVestibule))
      expect(status).toBe(303)
      await until('refusals', async () =>
        (await refreshing.askEverywhere(all, cookie)).every((visit) => visit.status === 302),
      )
      await refreshing.expectEnded(all, cookie)
      provider.forgetRequests()
      ended.resolve()
      await refreshing.untilResult(all, 'gone', goneBefore + 1)
      await until('revocations', () => provider.count('revocation') === 2)
      const revoked = provider
        .requests('revocation')
        .map(({ body }) => new URLSearchParams(body).get('token'))
      expect(revoked).toEqual(tokens)
      await refreshing.expectEnded(all, cookie)
      expect(await refreshed()).toBe(refreshedBefore)
    },
  )
})

describeWithRedis('a session without a refresh token', () => {
  test('goes on to its absolute end after its access token has ended, without a token request', async () => {
    const configuration = { issueRefreshToken: () => false }
    await using replicas = await refreshing.startRefreshingReplicas({
      settings: PATIENT,
      provider: { configuration },
    })
    const { all, first, provider, redis } = replicas
    const { cookie, issuedAtMs } = await replicas.signedInFor(1)
    const leftMs = Number(await redis.cli('PTTL', storedSession(cookie).keyOf('identity')))
    provider.forgetRequests()
    await refreshing.untilEnded(issuedAtMs, 1)
    for (let round = 0; round < 5; round += 1) {
      await refreshing.expectGoesOn(all, cookie)
      await wait(50)
    }
    expect(provider.count('token')).toBe(0)
    expect(Number(await redis.cli('PTTL', storedSession(cookie).keyOf('identity')))).toBeLessThan(
      leftMs,
    )
    const [lastMinute, afterwards] = await Promise.all([
      addShifted(replicas, 86_340_000),
      addShifted(replicas, 86_400_000),
    ])
    await refreshing.expectGoesOn([lastMinute, first], cookie)
    await refreshing.expectEnded([afterwards], cookie)
    expect(provider.count('token')).toBe(0)
  })
})
