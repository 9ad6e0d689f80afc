import { setTimeout as wait } from 'node:timers/promises'
import type { JWK } from 'jose'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createKeySet } from '../../../src/oidc/tokens/key-set.ts'
import { generateProviderKeys } from '../../../stand-ins/provider/provider.ts'
import { until } from '../../support/own-lag.ts'
import { faults, startTestProvider } from '../../support/provider.ts'
import { providerFetch } from '../../support/provider-fetch.ts'
import * as refreshing from '../../support/refreshing-replicas.ts'
import { type RelyingParty, startRelyingParty } from '../../support/relying-party.ts'
import { describeWithRedis } from '../../support/replicas.ts'
import { claimsOf, signToken } from '../../support/tokens.ts'

async function signsIn(party: RelyingParty): Promise<boolean> {
  return (await party.attempt()).isSignedIn
}
/** The pause between two fetches of the key set may be up to this long, and is shorter here. */
const PAUSE_MS = 1100
const HOUR_MS = 60 * 60 * 1000
const JSON_TYPE = { 'Content-Type': 'application/json' }
const EMPTY = { status: 200, headers: JSON_TYPE, body: '{"keys":[]}' }

describe.concurrent('F37 rotation of the provider’s keys', () => {
  test('keys are fetched once and kept, and once more for each of two rotations within ten seconds', async () => {
    await using party = await startRelyingParty()
    for (const _ of ['fetched', 'kept']) expect(await signsIn(party)).toBe(true)
    expect(party.provider.count('jwks')).toBe(1)
    for (const keepOld of [true, false]) {
      await wait(PAUSE_MS)
      await party.provider.rotateKeys({ keepOld })
      expect(await signsIn(party)).toBe(true)
    }
    expect(party.provider.count('jwks')).toBe(3)
  })

  test('a rotation between two sign-ins of the same second heals within ten seconds', async () => {
    await using party = await startRelyingParty()
    expect(await signsIn(party)).toBe(true)
    await party.provider.rotateKeys()
    await expect.poll(() => signsIn(party), { timeout: 10_000, interval: 250 }).toBe(true)
  })

  test('a key that has been taken away is not accepted once the new set is there', async () => {
    const old = await generateProviderKeys()
    await using party = await startRelyingParty({}, { configuration: { jwks: old } })
    const signWithOld = () =>
      party.provider.set('token', {
        rewrite: async (body) => {
          const claims = claimsOf(String(body['id_token']))
          return { ...body, id_token: await signToken(old.keys as readonly JWK[], claims) }
        },
      })
    signWithOld()
    expect(await signsIn(party)).toBe(true)
    await wait(PAUSE_MS)
    await party.provider.rotateKeys()
    party.provider.reset()
    expect(await signsIn(party)).toBe(true)
    signWithOld()
    expect(await signsIn(party)).toBe(false)
  })

  test('a set that fails to come, or is empty, leaves the last good one in use', async () => {
    await using party = await startRelyingParty()
    expect(await signsIn(party)).toBe(true)
    const { serverError, down, html, truncatedJson } = faults
    for (const [at, fault] of [serverError, down, html, truncatedJson, EMPTY].entries()) {
      await wait(PAUSE_MS)
      party.provider.set('jwks', fault)
      party.provider.tamperIdToken({}, { as: 'unknown-kid' })
      expect(await signsIn(party)).toBe(false)
      expect(party.provider.count('jwks')).toBeGreaterThanOrEqual(2 + at)
      party.provider.reset('token')
      expect(await signsIn(party)).toBe(true)
    }
  })

  test('a new key while the set cannot be had is the provider’s fault, and heals by itself', async () => {
    await using party = await startRelyingParty()
    expect(await signsIn(party)).toBe(true)
    await wait(PAUSE_MS)
    await party.provider.rotateKeys()
    party.provider.set('jwks', faults.serverError)
    const { answer, isSignedIn } = await party.attempt()
    expect(isSignedIn).toBe(false)
    expect(answer.status).toBe(503)
    party.provider.reset()
    await expect.poll(() => signsIn(party), { timeout: 10_000, interval: 250 }).toBe(true)
  })

  test('a flood of unknown keys fetches the set a few times, and nobody else is kept waiting', async () => {
    await using party = await startRelyingParty()
    expect(await signsIn(party)).toBe(true)
    await wait(PAUSE_MS)
    party.provider.forgetRequests()
    party.provider.tamperIdToken({}, { as: 'unknown-kid' })
    const startedAtMs = performance.now()
    const attempts = await Promise.all(Array.from({ length: 30 }, () => party.attempt()))
    expect(attempts.some(({ isSignedIn }) => isSignedIn)).toBe(false)
    const seconds = (performance.now() - startedAtMs) / 1000
    expect(party.provider.count('jwks')).toBeLessThanOrEqual(1 + Math.ceil(seconds))
    party.provider.reset()
    expect(await signsIn(party)).toBe(true)
    expect(party.vestibule.isAlive()).toBe(true)
  })
})

describe('F37 the age of the last good set', () => {
  afterEach(() => void vi.useRealTimers())

  test.for(['serverError', 'html', 'truncatedJson', 'notAnObject'] as const)(
    'it is used for a day: %s',
    async (fault) => {
      await using provider = await startTestProvider()
      let elapsedMs = 0
      const keySet = createKeySet(`${provider.issuer}/jwks`, providerFetch, () => elapsedMs)
      const token = await provider.sign({ sub: 'alice' })
      const verified = { payload: { sub: 'alice' } }
      const verify = () => keySet.verify(token, {}, 'provider')
      expect(await verify()).toMatchObject(verified)

      const startedAtMs = Date.now()
      vi.useFakeTimers({ toFake: ['Date'] })
      provider.set('jwks', faults[fault])
      for (const hours of [1, 12, 23]) {
        elapsedMs = hours * HOUR_MS
        vi.setSystemTime(startedAtMs + elapsedMs)
        expect(await verify()).toMatchObject(verified)
      }
      elapsedMs = 25 * HOUR_MS
      vi.setSystemTime(startedAtMs + elapsedMs)
      await expect(verify()).rejects.toThrow()
      expect(provider.count('jwks')).toBe(5)
    },
  )
})

describeWithRedis('F37 rotation while sessions are refreshed', () => {
  test('twice within ten seconds, nobody is signed out, and what the new keys have signed is believed', async () => {
    const lifeSeconds = 2
    const users = Array.from({ length: 6 }, (_, at) => ({ sub: `user-${at}` }))
    await using replicas = await refreshing.startRefreshingReplicas({ provider: { users } })
    const { all, provider } = replicas
    const cookies = new Map<string, string>()
    for (const { sub } of users) {
      cookies.set(sub, (await replicas.signedInFor(lifeSeconds, sub)).cookie)
    }
    await refreshing.untilDue(performance.now(), lifeSeconds)
    provider.set('token', refreshing.tokensFor(lifeSeconds))
    const refreshed = () => refreshing.countResults(all, 'refreshed')
    const useUntil = (what: string, count: number) =>
      until(
        what,
        async () => {
          for (const [sub, cookie] of cookies) await refreshing.expectGoesOn(all, cookie, sub)
          return (await refreshed()) >= count
        },
        15_000,
      )

    await useUntil('refreshes with the first keys', users.length)
    await provider.rotateKeys()
    await useUntil('refreshes with the second keys', 2 * users.length)
    await provider.rotateKeys()
    await useUntil('refreshes with the third keys', 3 * users.length)
    for (const result of ['rejected', 'refused', 'failed'] as const) {
      expect([result, await refreshing.countResults(all, result)]).toEqual([result, 0])
    }
    const fetches = provider.count('jwks')
    expect(fetches).toBeLessThanOrEqual(4 * all.length)
  })
  test('with a key that is published a moment later: it is looked for again, and nobody is signed out', async () => {
    const lifeSeconds = 2
    const user = { sub: 'alice', groups: ['before'] }
    await using replicas = await refreshing.startRefreshingReplicas({ provider: { users: [user] } })
    const { all, first, provider } = replicas
    const { cookie, issuedAtMs } = await replicas.signedInFor(lifeSeconds)
    const old = await (await fetch(`${provider.issuer}/jwks`)).text()
    await provider.rotateKeys()
    provider.set('jwks', { status: 200, headers: JSON_TYPE, body: old, times: 1 })
    user.groups = ['after']
    await refreshing.untilDue(issuedAtMs, lifeSeconds)
    provider.forgetRequests()
    await refreshing.expectGoesOn([first], cookie)
    await refreshing.untilResult(all, 'refreshed', 1)
    const visits = await refreshing.askEverywhere(all, cookie)
    refreshing.expectLetIn(visits)
    expect(new Set(visits.map((each) => each.headers['x-auth-request-groups']))).toEqual(
      new Set(['after']),
    )
    expect(provider.count('jwks')).toBe(2)
    expect(refreshing.refreshRequests(provider)).toHaveLength(1)
  })
})
