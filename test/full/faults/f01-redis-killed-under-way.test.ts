import { expect, test } from 'vitest'
import * as checkLoad from '../../support/check-load.ts'
import * as outage from '../../support/outage.ts'
import { BUSY_MS, timed, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { prepareReplicas } from '../../support/prepared-replicas.ts'
import { describeWithRedis, PATIENT, startReplicas, untilStarted } from '../../support/replicas.ts'
import { readOf } from '../../support/stored-session.ts'

describeWithRedis('F01 Redis is killed between request and reply', () => {
  const replicas = prepared(() => startReplicas({ count: 2, settings: outage.WITHOUT_GRACE }))

  test('a read whose reply is lost is repeated over the next connection', async () => {
    const { network } = replicas()
    // Connecting anew may take longer on a busy machine than a check usually waits.
    const patient = await replicas().add(PATIENT)
    await untilStarted(patient)
    const { cookie } = await replicas().signedIn()
    const failedBefore = await outage.redisErrors(patient, 'connection')
    const read = network.cutAfterRequest(readOf(cookie))
    const { value: visit, ownMs } = await timed(patient.check({}, { Cookie: cookie }))
    await read
    expect(visit.status).toBe(200)
    expect(ownMs).toBeLessThan(Number(PATIENT.CHECK_STORE_TIMEOUT_MS) + BUSY_MS)
    await outage.expectRecovery(patient, cookie)
    expect(await outage.redisErrors(patient, 'connection')).toBeGreaterThan(failedBefore)
    await outage.expectOthersServed(patient)
  })

  test('under load every check is 200 or 503 in time, all are 200 with a grace, and replicas reconnect', async () => {
    const { redis, all, first } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    await redis.cli('SAVE')
    const lossesBefore = all.map((each) => outage.countEvents(each, 'redis_disconnected'))
    const prepared = await prepareReplicas(replicas(), cookie)
    const loads = checkLoad.startCheckLoads(all, cookie)
    const calm = checkLoad.startCheckLoad(prepared.knowing.internalPort, prepared.cookie, {
      perSecond: 50,
    })
    await until('some checks', () => loads.every((load) => load.count(200) > 50))
    await redis.kill()
    await until('refusals', () => loads.every((load) => load.count(503) > 50))
    await outage.expectUnhealthy(first)
    expect(await outage.readMetric(first, 'vestibule_redis_connected')).toBe(0)
    await outage.expectOthersServed(first)
    await prepared.expectGoingOn()
    await redis.restart({ keepData: true })
    for (const replica of all) await outage.expectRecovery(replica, cookie)
    await Promise.all(loads.map((load) => load.stop()))

    await checkLoad.expectUndisturbed([calm])
    for (const load of loads) {
      expect(load.statuses()).toEqual([200, 503])
      checkLoad.expectAllowedOrDeferred(load)
    }
    for (const load of [...loads, calm]) checkLoad.expectInTime(load)
    for (const [at, replica] of all.entries()) {
      const losses = outage.countEvents(replica, 'redis_disconnected') - (lossesBefore[at] ?? 0)
      expect([losses, outage.countEvents(replica, 'unhandled_rejection')]).toEqual([1, 0])
      await outage.expectHealthy(replica)
      expect(await outage.readMetric(replica, 'vestibule_redis_connected')).toBe(1)
    }
    await outage.expectStatus(200, all, cookie)
    expect(browser.cookies.find('__Host-vestibule')).toBeDefined()
  })
})
