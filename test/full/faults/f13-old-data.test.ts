import { expect, test } from 'vitest'
import { untilWhole } from '../../support/fleet-load.ts'
import { keepInMemory, signInAt, untilRefused } from '../../support/hybrid-replicas.ts'
import { countEvents, expectHealthy, expectStatus, signOut } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { describeWithRedis, HYBRID, type Replicas, startReplicas } from '../../support/replicas.ts'
import { addDirectly, storedSession } from '../../support/stored-session.ts'

/** Signs out one session after the last snapshot of Redis, and keeps another. */
async function startRolledBack(replicas: Replicas) {
  const { first, all, redis } = replicas
  const leaving = await signInAt(first)
  const { cookie: staying } = await signInAt(first, 'bob')
  for (const replica of all) {
    for (const cookie of [leaving.cookie, staying]) await keepInMemory(replica, cookie)
  }
  await redis.cli('SAVE')
  expect((await signOut(leaving.browser)).status).toBe(303)
  for (const replica of all) await untilRefused(replica, leaving.cookie)
  return { cookie: leaving.cookie, staying }
}

/** Loses all writes since the snapshot, as a power cut does. */
async function rollBack({ redis, all }: Replicas): Promise<void> {
  const connections = () => all.map((each) => countEvents(each, 'redis_connected'))
  const before = connections()
  await redis.kill()
  await redis.restart({ keepData: true })
  await until('new connections', () =>
    connections().every((count, at) => count > Number(before[at])),
  )
}

describeWithRedis.concurrent('F13 Redis comes back with old data', () => {
  test('a session signed out after the snapshot stays refused where that is known, and then at new replicas', async () => {
    await using replicas = await startReplicas({ count: 2, settings: HYBRID })
    const { all, redis } = replicas
    const { cookie, staying } = await startRolledBack(replicas)
    const tombstone = storedSession(cookie).keyOf('tombstone')
    const hasTombstone = async () => (await redis.cli('EXISTS', tombstone)) === '1'
    expect(await hasTombstone()).toBe(true)

    await rollBack(replicas)
    await expectStatus(302, all, cookie)
    await until('F13 the tombstone is in Redis again', hasTombstone)
    const fresh = await addDirectly(replicas, HYBRID)
    await untilWhole([...all, fresh])
    for (let round = 0; round < 3; round += 1) await expectStatus(302, [...all, fresh], cookie)
    await expectStatus(200, [...all, fresh], staying)
    for (const replica of [...all, fresh]) await expectHealthy(replica)
  })

  test('where no replica is left that knew, the session goes on, and ends at its own time', async () => {
    await using replicas = await startReplicas({ settings: HYBRID })
    const { first, redis } = replicas
    const { cookie, staying } = await startRolledBack(replicas)
    await Promise.all([first.stop('SIGKILL'), redis.kill()])
    await redis.restart({ keepData: true })
    const fresh = await addDirectly(replicas, HYBRID)
    await expectStatus(200, fresh, cookie, staying)
    const leftMs = Number(await redis.cli('PTTL', storedSession(cookie).keyOf('identity')))
    expect(leftMs).toBeGreaterThan(0)
    expect(leftMs).toBeLessThanOrEqual(86_400_000)
  })
})
