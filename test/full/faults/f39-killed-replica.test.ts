import { expect, test } from 'vitest'
import { expectUndisturbed, startCheckLoad, startCheckLoads } from '../../support/check-load.ts'
import { move } from '../../support/hybrid-replicas.ts'
import { expectStatus } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { faults } from '../../support/provider.ts'
import { describeWithRedis, PATIENT, startReplicas } from '../../support/replicas.ts'
import * as steps from '../../support/sign-in-steps.ts'

describeWithRedis('F39 a replica is killed', () => {
  const replicas = prepared(() => startReplicas({ count: 2, settings: PATIENT }))

  test('the other replicas go on, also with the sessions that it made', async () => {
    const doomed = await replicas().add()
    const cookie = await doomed.signIn('alice')
    const loads = startCheckLoads(replicas().all, cookie)
    const dying = startCheckLoad(doomed.internalPort, cookie)
    await until('some checks', () => [...loads, dying].every((load) => load.count(200) > 20))
    await doomed.stop('SIGKILL')
    const before = loads.map((load) => load.count(200))
    await until('more checks', () =>
      loads.every((load, at) => load.count(200) > Number(before[at]) + 50),
    )
    await dying.stop()
    expect(dying.count(200)).toBeGreaterThan(10)
    expect(dying.statuses()).toEqual([200])
    await expectUndisturbed(loads)
    expect(replicas().all.every((replica) => replica.isAlive())).toBe(true)
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

    steps.expectFailedSignIn(await browser.get(callbackUrl))
    expect(provider.count('token')).toBe(1)
    await browser.browse(`${steps.LOGIN}?rd=/`)
    expect(browser.cookies.find(steps.SESSION_COOKIE)).toBeDefined()
    await expectStatus(200, first, steps.cookieHeader(browser))

    const keys = (await redis.cli('KEYS', 'vestibule:*')).split('\n')
    expect(keys.length).toBeGreaterThan(5)
    // A key that has just expired is -2; a key without an end is -1.
    for (const key of keys) expect(Number(await redis.cli('PTTL', key)), key).not.toBe(-1)
  })
})
