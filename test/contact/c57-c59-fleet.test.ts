import { describe, expect, test } from 'vitest'
import { countEvents } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import { prepared } from '../support/prepared.ts'
import { infoOf } from '../support/redis.ts'
import { describeWithRedis, HYBRID, startReplicasInProcess } from '../support/replicas.ts'
import type { RunningVestibule } from '../support/vestibule.ts'

interface Health {
  readonly status: string
  readonly reasons: readonly { readonly code: string; readonly message: string }[]
  readonly fleet: { readonly replicas: number }
}

async function healthOf(replica: RunningVestibule): Promise<Health> {
  return JSON.parse((await replica.internal('/health')).body) as Health
}
const untilReplicas = (count: number, ...all: readonly RunningVestibule[]) =>
  until(`${count} replicas`, async () => {
    const counts = await Promise.all(all.map(async (each) => (await healthOf(each)).fleet.replicas))
    return counts.every((each) => each === count)
  })
const untilHealthy = (...all: readonly RunningVestibule[]) =>
  until('health', async () => {
    const states = await Promise.all(all.map(async (each) => (await healthOf(each)).status))
    return states.every((status) => status === 'healthy')
  })
const linesOf = (replica: RunningVestibule, event: string) =>
  replica.log().filter((line) => line['event'] === event)

describeWithRedis('replicas at one Redis', () => {
  const fleet = prepared(() => startReplicasInProcess({ count: 1, settings: HYBRID }))

  test('C57 three that are restarted one by one never count one that has gone', async () => {
    const replicas = [await fleet().add(), await fleet().add()]
    await untilReplicas(3, fleet().first, ...replicas)
    for (let round = 0; round < 2; round += 1) {
      await replicas.shift()?.stop()
      await untilReplicas(2, fleet().first, ...replicas)
      replicas.push(await fleet().add())
      await untilReplicas(3, fleet().first, ...replicas)
    }
    for (const each of replicas) await each.stop()
    await untilReplicas(1, fleet().first)
  })

  const others = [
    ['another prefix', { REDIS_KEY_PREFIX: 'other:' }, 'other:0'],
    ['another database', { REDIS_DB: '3' }, 'vestibule:3'],
    [
      'another prefix and key',
      { REDIS_KEY_PREFIX: 'third:', SESSION_ENCRYPTION_KEY: 'fedcba9876543210'.repeat(4) },
      'third:0',
    ],
  ] as const
  test.for(others)(
    'C59 an installation with %s is named once and leaves both healthy',
    async ([, settings, place]) => {
      const { first } = fleet()
      const other = await fleet().add(settings)
      const named = (replica: RunningVestibule, theirs: string) =>
        linesOf(replica, 'other_installation').filter((line) => line['other'] === theirs)
      await until(
        'both to know',
        () => named(first, place).length * named(other, 'vestibule:0').length > 0,
        20_000,
      )
      await untilHealthy(first, other)
      expect(named(first, place)).toMatchObject([{ level: 'info', own: 'vestibule:0' }])
      expect([await healthOf(first), await healthOf(other)]).toMatchObject([
        { reasons: [], fleet: { replicas: 1 } },
        { reasons: [], fleet: { replicas: 1 } },
      ])
      await other.stop()
    },
  )

  test('C59 the same prefix with another key is a fault at both', async () => {
    const { first } = fleet()
    const other = await fleet().add({ SESSION_ENCRYPTION_KEY: 'fedcba9876543210'.repeat(4) })
    for (const each of [first, other]) {
      const codes = async () => (await healthOf(each)).reasons.map(({ code }) => code)
      await until('a reason', async () => (await codes()).includes('fleet_keys'))
      expect(countEvents(each, 'fleet_finding')).toBe(1)
    }
    await other.stop()
    await untilHealthy(first)
  })

  describe('C58 at maxclients', () => {
    test('the lost backplane has a line, a reason and, with room, an end', async () => {
      const { first, redis } = fleet()
      await untilHealthy(first)
      const clients = await infoOf(redis, 'clients', 'connected_clients:')
      await redis.cli('CONFIG', 'SET', 'maxclients', `${clients - 1}`)
      await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await until('the line', () => countEvents(first, 'backplane_away') > 0)
      expect(linesOf(first, 'backplane_away')[0]).toMatchObject({
        level: 'error',
        failure: 'clients',
        host: '127.0.0.1',
        port: fleet().network.port,
        reason: expect.stringContaining('raise maxclients') as string,
      })
      const message = expect.stringContaining('raise maxclients') as string
      await expect
        .poll(async () => (await healthOf(first)).reasons, { timeout: 10_000 })
        .toEqual([{ code: 'backplane', message }])
      expect(countEvents(first, 'backplane_away')).toBe(1)
      await redis.cli('CONFIG', 'SET', 'maxclients', '100')
      await untilHealthy(first)
    })
  })
})
