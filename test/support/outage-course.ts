import { expect } from 'vitest'
import * as outage from './outage.ts'
import { type PreparedReplicas, prepareReplicas } from './prepared-replicas.ts'
import type { Replicas } from './replicas.ts'

/** Begins a sign-in at the first replica, up to its callback; counts token requests from now on. */
export async function beginSignIn(
  { provider, untilCallback }: Pick<Replicas, 'provider' | 'untilCallback'>,
  user = 'bob',
) {
  const { browser, callbackUrl } = await untilCallback(user)
  provider.forgetRequests()
  return {
    browser,
    follow: () => browser.get(callbackUrl),
    expectDeferred: async () => {
      outage.expectComeAgain(await browser.get(callbackUrl))
      expect(provider.count('token')).toBe(0)
    },
    expectFinished: () => outage.expectSignInFinished(browser, callbackUrl),
  }
}

/** Signs a user in, and prepares beside the replicas of the test, which have no grace, some that have. */
export async function startOutageCourse(replicas: Replicas) {
  const { first } = replicas
  const { browser, cookie } = await replicas.signedIn()
  const prepared: PreparedReplicas = await prepareReplicas(replicas, cookie)
  const signIn = await beginSignIn(replicas)
  return {
    browser,
    cookie,
    signIn,
    /**
     * Asserts that checks without a grace are told to come again, those with one go on, health says so, whoever needs no
     * Redis is served, and a sign-in is deferred.
     */
    expectDegraded: async () => {
      await outage.expectChecksRefused(first, cookie)
      await prepared.expectGoingOn()
      await outage.expectUnhealthy(first)
      await outage.expectOthersServed(first)
      await signIn.expectDeferred()
    },
    expectRecovered: async () => {
      await outage.expectRecovery(first, cookie)
      await outage.expectHealthy(first)
      await signIn.expectFinished()
    },
  }
}
