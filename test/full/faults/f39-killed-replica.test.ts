import { expect, test } from 'vitest'
import { startCheckLoad } from '../../support/check-load.ts'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { signOut } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { faults } from '../../support/provider.ts'
import { until } from '../../support/redis-state.ts'
import { PATIENT, startReplicas } from '../../support/replicas.ts'
import {
  cookieHeader,
  expectFailedSignIn,
  LOGIN,
  SESSION_COOKIE,
} from '../../support/sign-in-steps.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'
import type { Visitor } from '../../support/visitor.ts'

/** The same browser, led to another replica from now on. */
function move(browser: Visitor, to: VestibuleProcess): Visitor {
  const moved = to.visitor()
  for (const cookie of browser.cookies.all()) moved.cookies.put(cookie)
  return moved
}

describeWithRedis('F39 a replica is killed', () => {
  const replicas = prepared(() => startReplicas({ count: 2, settings: PATIENT }))

  test('the other replicas go on, also with the sessions that it made', async () => {
    const doomed = await replicas().add()
    const cookie = await doomed.signIn('alice')
    const loads = replicas().all.map(({ internalPort }) => startCheckLoad(internalPort, cookie))
    const dying = startCheckLoad(doomed.internalPort, cookie)
    await until('some checks', () => [...loads, dying].every((load) => load.count(200) > 20))
    await doomed.stop('SIGKILL')
    const before = loads.map((load) => load.count(200))
    await until('more checks', () =>
      loads.every((load, at) => load.count(200) > Number(before[at]) + 50),
    )
    await Promise.all([...loads, dying].map((load) => load.stop()))
    expect(dying.count(200)).toBeGreaterThan(10)
    expect(dying.statuses()).toEqual([200])
    for (const load of loads) {
      const seen = [load.statuses(), load.users, load.oddities]
      expect(seen).toEqual([[200], new Set(['alice']), []])
    }
    expect(replicas().all.every((replica) => replica.isAlive())).toBe(true)
  })

  test('a sign-in ends on another replica, and so does a sign-out', async () => {
    const doomed = await replicas().add()
    const begun = doomed.visitor()
    const { location } = await begun.get(`${LOGIN}?rd=/`)
    await doomed.stop('SIGKILL')
    const [first, second] = replicas().all as [VestibuleProcess, VestibuleProcess]
    const browser = move(begun, first)
    await browser.signIn(String(location), 'alice')
    const cookie = cookieHeader(browser)
    await expectStatus(200, second, cookie)
    expect((await signOut(move(browser, second))).status).toBe(303)
    await expectStatus(302, first, cookie)
  })

  test('killed while it redeems a code, the next page leads on, and every key in Redis expires', async () => {
    const { provider, redis, first } = replicas()
    const doomed = await replicas().add()
    const { browser, callbackUrl } = await replicas().untilCallback()
    provider.set('token', { ...faults.hangs, times: 1 })
    provider.forgetRequests()
    const outcome = expect(move(browser, doomed).get(callbackUrl)).rejects.toThrow()
    await until('a token request', () => provider.count('token') === 1)
    await doomed.stop('SIGKILL')
    await outcome
    provider.reset()

    expectFailedSignIn(await browser.get(callbackUrl))
    expect(provider.count('token')).toBe(1)
    await browser.browse(`${LOGIN}?rd=/`)
    expect(browser.cookies.find(SESSION_COOKIE)).toBeDefined()
    await expectStatus(200, first, cookieHeader(browser))

    const keys = (await redis.cli('KEYS', 'vestibule:*')).split('\n')
    expect(keys.length).toBeGreaterThan(5)
    // A key that has just expired is -2; a key without an end is -1.
    for (const key of keys) expect(Number(await redis.cli('PTTL', key)), key).not.toBe(-1)
  })
})
