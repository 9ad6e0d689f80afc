import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { keySlot, SLOT_COUNT } from '../../../src/redis/cluster/key-slot.ts'
import type { RedisTarget } from '../../../src/redis/target.ts'
import { numberBroadcasts, numbersAt } from '../../support/broadcasts.ts'
import { openAtEach } from '../../support/ending-rounds.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { move } from '../../support/hybrid-replicas.ts'
import { ADMIN_TOKEN } from '../../support/operator.ts'
import { signOut } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import type { RunningRedis } from '../../support/redis.ts'
import { startCluster } from '../../support/redis-cluster.ts'
import { startWatchedRedis } from '../../support/redis-sentinel.ts'
import { settingsFor } from '../../support/redis-settings.ts'
import { describeWithRedis, HYBRID, startReplicas } from '../../support/replicas.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

interface Failing {
  readonly target: RedisTarget
  /** Resolves when another server has taken over. */
  readonly fail: () => Promise<unknown>
}

const SHARDS = 3
const BETWEEN_MS = 50
const BACK_WITHIN_MS = 90_000

async function underSentinel(stack: AsyncDisposableStack): Promise<Failing> {
  const redis = stack.use(await startWatchedRedis())
  const [primary] = redis.servers
  return {
    target: redis.target,
    fail: async () => {
      await primary.kill()
      const hasMoved = async () => (await redis.primaryPort()) !== primary.port
      await until('another primary', hasMoved, BACK_WITHIN_MS)
    },
  }
}

async function inCluster(stack: AsyncDisposableStack): Promise<Failing> {
  const redis = stack.use(await startCluster({ shards: SHARDS, replicasPerShard: 1 }))
  const shard = Math.floor((keySlot('vestibule:{events}') * SHARDS) / SLOT_COUNT)
  const primary = redis.primaries[shard] as RunningRedis
  const heirs = redis.replicas
  return {
    target: redis.target,
    fail: async () => {
      await primary.kill()
      const roles = () => Promise.all(heirs.map(({ cli }) => cli('ROLE')))
      const hasHeir = async () => (await roles()).some((role) => role.startsWith('master'))
      await until('another primary', hasHeir, BACK_WITHIN_MS)
    },
  }
}

describeWithRedis('a failover of Redis, with pages at two replicas', () => {
  test.for([
    ['by Sentinel', underSentinel],
    ['of the shard of the broadcasts in a cluster', inCluster],
  ] as const)(
    '%s: streams stay, what was accepted arrives once and in order, and ends are heard behind it',
    async ([, start]) => {
      await using stack = new AsyncDisposableStack()
      const { target, fail } = await start(stack)
      const settings = { ...settingsFor(target), ...HYBRID, ADMIN_TOKEN }
      const replicas = stack.use(await startReplicas({ count: 2, settings }))
      const { all } = replicas
      await untilWhole(all)
      const { browser, cookie } = await replicas.signedIn()
      const clients = await openAtEach(all, cookie)
      const numbered = numberBroadcasts()
      let isOver = false
      const sending = (async () => {
        for (let turn = 0; !isOver; turn += 1) {
          await numbered.send(all[turn % all.length] as VestibuleProcess)
          await wait(BETWEEN_MS)
        }
      })()
      await until('broadcasts', () => numbered.accepted.length > 3)
      await fail()
      await untilWhole(all, BACK_WITHIN_MS)
      const before = numbered.accepted.length
      await until('more broadcasts', () => numbered.accepted.length > before + 3, BACK_WITHIN_MS)
      isOver = true
      await sending
      for (const client of clients) {
        const last = numbered.accepted.at(-1) ?? 0
        await until('the last broadcast', () => numbersAt(client).includes(last))
        const numbers = numbersAt(client)
        expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b))
        const missing = numbered.accepted.filter((each) => !numbers.includes(each))
        expect([missing, client.isOpen()]).toEqual([[], true])
      }
      expect((await signOut(move(browser, all[1] as VestibuleProcess))).status).toBe(303)
      await Promise.all(clients.map(({ ended }) => ended))
      for (const { events } of clients) {
        expect(events.at(-1)).toMatchObject({ data: '{"reason":"signed-out"}' })
      }
    },
  )
})
