import { afterEach, expect, test } from 'vitest'
import { quantile } from '../../support/fleet-load.ts'
import * as outage from '../../support/outage.ts'
import { BUSY_MS, timed, until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { prepareReplicas } from '../../support/prepared-replicas.ts'
import { APP } from '../../support/relying-party.ts'
import { describeWithRedis, PATIENT, startReplicas, untilStarted } from '../../support/replicas.ts'
import { createRequestPool, forwardedNavigation } from '../../support/request-pool.ts'

const CHECKS = 5000
const MORE_BYTES = 150 * 1024 * 1024

describeWithRedis('F03 Redis is slow', () => {
  const replicas = prepared(() => startReplicas({ settings: outage.WITHOUT_GRACE }))
  afterEach(() => replicas().network.delay(0))

  test('checks are refused in time, and requests that may wait are answered', async () => {
    const { first, network } = replicas()
    const { browser, cookie } = await replicas().signedIn()
    const prepared = await prepareReplicas(replicas(), cookie)
    network.delay(400)
    await outage.expectChecksRefused(first, cookie)
    await prepared.expectGoingOn()
    await outage.expectOthersServed(first)
    const me = await timed(browser.get(`${APP}/oauth2/me`))
    expect(me.value.status).toBe(200)
    expect(JSON.parse(me.value.body)).toMatchObject({ sub: 'alice' })
    expect(me.ms).toBeGreaterThan(790)
    expect(me.ownMs).toBeLessThan(3000 + BUSY_MS)
    expect(await outage.redisErrors(first, 'deadline')).toBeGreaterThan(0)

    const { browser: other, callbackUrl } = await replicas().untilCallback('bob')
    expect((await other.get(callbackUrl)).location).toBe(`${APP}/`)
    network.delay(0)
    await outage.expectRecovery(first, cookie)
  })

  test('a check waits for a reply that is slower than usual and within its deadline', async () => {
    const { cookie } = await replicas().signedIn()
    const patient = await replicas().add(PATIENT)
    await untilStarted(patient)
    replicas().network.delay(150)
    const { value, ms } = await timed(patient.check({}, { Cookie: cookie }))
    expect(value.status).toBe(200)
    expect(ms).toBeGreaterThan(290)
  })

  test('5,000 checks cost a bounded amount of memory, and /livez answers in time', async () => {
    const { first, network } = replicas()
    const { cookie } = await replicas().signedIn()
    const resident = () => outage.readMetric(first, 'vestibule_process_resident_memory_bytes')
    using pool = createRequestPool(first.internalPort, 500)
    const request = { path: '/auth', headers: { ...forwardedNavigation, Cookie: cookie } }
    const statuses = new Set<number>()
    await pool.sendMany(
      1000,
      () => request,
      ({ status }) => statuses.add(status),
    )
    // Five hundred at once may have to wait for Redis for longer than a check does.
    expect([...statuses].filter((status) => status !== 503)).toEqual([200])
    const bytesBefore = await resident()

    // Exceeds the deadline of a whole check both ways, because the one for Redis is longer while the process is busy.
    network.delay(900)
    const liveMs: number[] = []
    let mostInFlight = 0
    const refused = new Set<number>()
    let isOver = false
    const watched = (async () => {
      while (!isOver) {
        const { ownMs } = await timed(first.internal('/livez'))
        liveMs.push(ownMs)
        const inFlight = await outage.readMetric(first, 'vestibule_redis_commands_in_flight')
        mostInFlight = Math.max(mostInFlight, inFlight)
      }
    })()
    await pool.sendMany(
      CHECKS,
      () => request,
      ({ status }) => refused.add(status),
    )
    isOver = true
    await watched
    expect(refused).toEqual(new Set([503]))
    expect(quantile(liveMs, 0.75)).toBeLessThan(BUSY_MS)
    // Five hundred checks that came at once are answered before some of them.
    expect(Math.max(...liveMs)).toBeLessThan(1500 + BUSY_MS)
    expect(mostInFlight).toBeGreaterThan(0)
    expect(mostInFlight).toBeLessThan(10_000)

    network.delay(0)
    // Heartbeats and the like are always under way.
    const inFlight = () => outage.readMetric(first, 'vestibule_redis_commands_in_flight')
    await until('a queue of next to nothing', async () => (await inFlight()) < 10, 60_000)
    const moreBytes = (await resident()) - bytesBefore
    expect(moreBytes).toBeLessThan(MORE_BYTES)
    await outage.expectRecovery(first, cookie)
    expect(first.isAlive()).toBe(true)
  })
})
