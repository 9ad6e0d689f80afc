import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectInTime, startCheckLoad } from '../../support/check-load.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  countEvents,
  expectHealthy,
  expectOthersServed,
  expectRecovery,
  expectUnhealthy,
  readMetric,
  redisErrors,
  WITHOUT_GRACE,
} from '../../support/outage.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { prepareReplicas } from '../../support/prepared-replicas.ts'
import { until } from '../../support/redis-state.ts'
import { PATIENT, type Replicas, startReplicas, untilStarted } from '../../support/replicas.ts'
import { readOf } from '../../support/stored-session.ts'

describeWithRedis('F01 Redis killed between request and reply', () => {
  let replicas: Replicas
  beforeAll(async () => {
    replicas = await startReplicas({ count: 2, settings: WITHOUT_GRACE })
  })
  afterAll(() => replicas[Symbol.asyncDispose]())

  test('a check whose answer is lost is asked for again over the next connection', async () => {
    const { network } = replicas
    // Connecting anew may take longer on a busy machine than a check usually waits.
    const patient = await replicas.add(PATIENT)
    await untilStarted(patient)
    const { cookie } = await replicas.signedIn()
    const failedBefore = await redisErrors(patient, 'connection')
    const read = network.cutAfterRequest(readOf(cookie))
    const { value: visit, ownMs } = await timed(patient.check({}, { Cookie: cookie }))
    await read
    expect(visit.status).toBe(200)
    expect(ownMs).toBeLessThan(Number(PATIENT.CHECK_STORE_TIMEOUT_MS) + BUSY_MS)
    await expectRecovery('F01 cut connection', patient, cookie)
    expect(await redisErrors(patient, 'connection')).toBeGreaterThan(failedBefore)
    await expectOthersServed(patient)
  })

  test('killed under load, every check is 200 or 503 in time, or 200 alone with a grace, and it comes back by itself', async () => {
    const { redis, all, first } = replicas
    const { browser, cookie } = await replicas.signedIn()
    await redis.cli('SAVE')
    const lossesBefore = all.map((each) => countEvents(each, 'redis_disconnected'))
    const prepared = await prepareReplicas(replicas, cookie)
    const loads = all.map(({ internalPort }) => startCheckLoad(internalPort, cookie))
    const calm = startCheckLoad(prepared.knowing.internalPort, prepared.cookie, { perSecond: 50 })
    const all200 = () => loads.every((load) => load.count(200) > 50)
    await until('some checks', all200)
    await redis.kill()
    await until('refusals', () => loads.every((load) => load.count(503) > 50))
    await expectUnhealthy(first)
    expect(await readMetric(first, 'vestibule_redis_connected')).toBe(0)
    await expectOthersServed(first)
    await prepared.expectGoingOn()
    await redis.restart({ keepData: true })
    for (const replica of all) {
      await expectRecovery('F01 killed and started again', replica, cookie)
    }
    await Promise.all([...loads, calm].map((load) => load.stop()))

    for (const load of loads) expect(load.statuses()).toEqual([200, 503])
    expect(calm.statuses()).toEqual([200])
    for (const load of [...loads, calm]) {
      expect(load.oddities).toEqual([])
      expect(load.users).toEqual(new Set(['alice']))
      expectInTime(load)
    }
    for (const [at, replica] of all.entries()) {
      expect(countEvents(replica, 'redis_disconnected') - (lossesBefore[at] ?? 0)).toBe(1)
      expect(countEvents(replica, 'unhandled_rejection')).toBe(0)
      await expectHealthy(replica)
      expect(await readMetric(replica, 'vestibule_redis_connected')).toBe(1)
      expect((await replica.check({}, { Cookie: cookie })).status).toBe(200)
    }
    expect(browser.cookies.find('__Host-vestibule')).toBeDefined()
  })
})
