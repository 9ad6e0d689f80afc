import { expect, test } from 'vitest'
import { expectUnnoticed, signInPeople, startFleetLoad } from '../../support/fleet-load.ts'
import { countEvents } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { describeWithRedis, PATIENT, startReplicas, untilStarted } from '../../support/replicas.ts'

describeWithRedis('F38 SIGTERM during load', () => {
  test('all replicas are replaced one after another, and no request fails', async () => {
    // The drain leaves a busy machine time to look, and a replica that knows nobody yet has nothing but Redis.
    const settings = { ...PATIENT, DRAIN_SECONDS: '2' }
    await using replicas = await startReplicas({ count: 3, settings })
    const { cookie } = await replicas.signedIn()
    const people = await signInPeople(replicas, ['alice', 'bob'])
    const load = await startFleetLoad(replicas.all, people, { perSecond: 300 })
    await load.more(50)
    for (const replica of replicas.all) {
      const stopped = replica.stop('SIGTERM')
      await until('no more', async () => (await replica.internal('/readyz')).status === 503, 1000)
      // Behind its probes, as a load balancer sees it.
      await load.more(10)
      load.leave(replica)
      expect((await replica.internal('/livez')).status).toBe(200)
      const served = await replica.check({}, { Cookie: cookie })
      expect([served.status, served.headers.connection]).toEqual([200, 'close'])
      const next = await replicas.add()
      await untilStarted(next)
      await load.join(next)
      expect(await stopped).toBe(0)
      expect(countEvents(replica, 'stopped')).toBe(1)
      expect(countEvents(replica, 'unhandled_rejection')).toBe(0)
    }
    await load.more(100)
    expectUnnoticed(await load.stop())
    expect(load.answers.length).toBeGreaterThan(100)
  })
})
