import { expect } from 'vitest'
import {
  expectChecksRefused,
  expectComeAgain,
  expectHealthy,
  expectOthersServed,
  expectRecovery,
  expectSignInFinished,
  expectUnhealthy,
} from './outage.ts'
import { type PreparedReplicas, prepareReplicas } from './prepared-replicas.ts'
import type { Replicas } from './replicas.ts'
import type { Visitor } from './visitor.ts'

/** A sign-in that has come to its callback, whose code is unspent. */
export interface PendingSignIn {
  readonly browser: Visitor
  /** Follows the callback. */
  readonly follow: () => ReturnType<Visitor['get']>
  /** Asserts that following the callback gives the page that tries again, with the code still unspent. */
  readonly expectDeferred: () => Promise<void>
  /** Waits until following the callback signs the browser in. */
  readonly expectFinished: () => Promise<void>
}

/** Begins a sign-in at the first replica, up to its callback; counts token requests from now on. */
export async function beginSignIn(
  { provider, untilCallback }: Pick<Replicas, 'provider' | 'untilCallback'>,
  user = 'bob',
): Promise<PendingSignIn> {
  const { browser, callbackUrl } = await untilCallback(user)
  provider.forgetRequests()
  return {
    browser,
    follow: () => browser.get(callbackUrl),
    expectDeferred: async () => {
      expectComeAgain(await browser.get(callbackUrl))
      expect(provider.count('token')).toBe(0)
    },
    expectFinished: () => expectSignInFinished(browser, callbackUrl),
  }
}

/** A signed-in user of replicas without a grace, and what is asserted of them while Redis cannot be read and after it. */
export interface OutageCourse {
  readonly browser: Visitor
  readonly cookie: string
  readonly signIn: PendingSignIn
  /**
   * Asserts that checks without a grace are told to come again, those with one go on, health says so, whoever needs no
   * Redis is served, and a sign-in is deferred.
   */
  readonly expectDegraded: () => Promise<void>
  /** Asserts that the user goes on by itself and in time, health is good again, and the sign-in can be finished. */
  readonly expectRecovered: (what: string) => Promise<void>
}

/** Signs a user in, and prepares beside the replicas of the test, which have no grace, some that have. */
export async function startOutageCourse(replicas: Replicas): Promise<OutageCourse> {
  const { first } = replicas
  const { browser, cookie } = await replicas.signedIn()
  const prepared: PreparedReplicas = await prepareReplicas(replicas, cookie)
  const signIn = await beginSignIn(replicas)
  return {
    browser,
    cookie,
    signIn,
    expectDegraded: async () => {
      await expectChecksRefused(first, cookie)
      await prepared.expectGoingOn()
      await expectUnhealthy(first)
      await expectOthersServed(first)
      await signIn.expectDeferred()
    },
    expectRecovered: async (what) => {
      await expectRecovery(what, first, cookie)
      await expectHealthy(first)
      await signIn.expectFinished()
    },
  }
}
