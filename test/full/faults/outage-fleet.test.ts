import { setTimeout as wait } from 'node:timers/promises'
import { beforeEach, expect, test } from 'vitest'
import {
  expectUnnoticed,
  type FleetLoad,
  quantile,
  signInPeople,
  startFleetLoad,
  untilWhole,
} from '../../support/fleet-load.ts'
import { readHealth, untilMetric } from '../../support/outage.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import {
  describeWithRedis,
  type ReplicaProcesses,
  startReplicas,
  untilStarted,
} from '../../support/replicas.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

const USERS = Array.from({ length: 10 }, (_, at) => `user-${at}`)
const REPLICAS = 4

/** Bounds the reconnection of both connections, 1.5 s each; waiting for an interval would take 30 s. */
const BACK_WITHIN_MS = 20_000

/** A check gives the store 250 ms. */
const FIRST_ANSWERS_WITHIN_MS = 250 + BUSY_MS

/** Age at which an entry in memory is confirmed again. */
const L1_MS = 5000

interface Fleet extends ReplicaProcesses {
  readonly startWarmLoad: () => Promise<FleetLoad>
}

const outages: readonly (readonly [
  what: string,
  outage: (fleet: Fleet, load: FleetLoad) => Promise<unknown>,
])[] = [
  ['Redis is killed and comes back with its data', killForAMoment],
  ['the network swallows everything, and the first answers come in time', swallow],
  [
    'the network flaps',
    async ({ network }) => {
      for (let round = 0; round < 4; round += 1) {
        await network.refuse()
        await wait(300)
        await network.accept()
        await wait(300)
      }
    },
  ],
]

async function killForAMoment({ redis, first }: Fleet): Promise<void> {
  await redis.cli('SAVE')
  await redis.kill()
  await wait(1500)
  expect(await readHealth(first)).toMatchObject({ status: 'degraded' })
  await redis.restart({ keepData: true })
}

async function swallow({ network }: Fleet, load: FleetLoad): Promise<void> {
  const sinceMs = performance.now()
  network.blackhole()
  // In hybrid mode Redis is asked again when the heartbeats have been missing for 3 s.
  await wait(3500)
  const during = load.answers.filter(({ sentAtMs }) => sentAtMs > sinceMs)
  network.flow()
  const tookMs = during.map((each) => each.tookMs)
  expect(quantile(tookMs, 0.99)).toBeLessThan(FIRST_ANSWERS_WITHIN_MS)
  expect(Math.max(...tookMs)).toBeLessThan(2 * FIRST_ANSWERS_WITHIN_MS)
}

describeWithRedis.for(['redis', 'hybrid'])('four replicas under load in %s mode', (mode) => {
  const fleet = prepared(async () => {
    const replicas = await startReplicas({
      count: REPLICAS,
      settings: { REDIS_CACHE_MODE: mode },
      provider: { users: USERS.map((sub) => ({ sub })) },
    })
    const people = await signInPeople(replicas, USERS)
    const startWarmLoad = async () => {
      const load = await startFleetLoad(replicas.all, people)
      await load.warm()
      await load.more(100)
      return load
    }
    return { ...replicas, people, startWarmLoad }
  })
  beforeEach(async () => void (await untilWhole(fleet().all)))

  test.for(outages)('%s: nobody notices', async ([, outage]) => {
    const load = await fleet().startWarmLoad()
    await outage(fleet(), load)
    const { ownMs } = await timed(untilWhole(fleet().all))
    await load.more(100)
    const seen = await load.stop()
    expect(ownMs).toBeLessThan(BACK_WITHIN_MS)
    expectUnnoticed(seen)
    if (outage === killForAMoment || outage === swallow)
      expect(Number(seen.sources['l1'])).toBeGreaterThan(0)
  })

  test('a calm load seldom asks Redis and writes nothing, and one more replica changes neither', async ({
    skip,
  }) => {
    if (mode !== 'hybrid') skip('in redis mode each check asks Redis')
    const { all, people, redis } = fleet()
    const load = await startFleetLoad(all, people, { perSecond: 300 })
    const calls = async () => countCalls(await redis.cli('INFO', 'commandstats'))
    const startedAtMs = performance.now()
    const before = await calls()
    await load.more(600)
    const between = await calls()
    const fifth = await addWhole(fleet())
    await load.join(fifth)
    const beforeFive = await calls()
    await load.more(600)
    const after = await calls()
    const seen = await load.stop()
    const rounds = 1 + (performance.now() - startedAtMs) / L1_MS
    await fifth.stop('SIGKILL')
    const { memory = 0, store = 0 } = seen.sources
    const hitRate = memory / (memory + store)
    const writes = [between.writes - before.writes, after.writes - beforeFive.writes]
    const reads = [between.reads - before.reads, after.reads - beforeFive.reads]
    expectUnnoticed(seen)
    // Each replica reads each session once in the life of an entry, so a slow machine hits less often.
    const mayRead = USERS.length * (REPLICAS + 1) * rounds
    expect(hitRate).toBeGreaterThan(Math.min(0.9, 1 - mayRead / (memory + store)))
    // A `SET` and a `PEXPIRE` of each replica in half a minute.
    expect(Math.max(...writes)).toBeLessThanOrEqual(2 * (REPLICAS + 1))
    expect(Math.max(...reads)).toBeLessThan(Math.max(120, mayRead))
  })
})

async function addWhole(fleet: ReplicaProcesses): Promise<VestibuleProcess> {
  const replica = await fleet.add()
  await untilStarted(replica)
  await untilWhole([replica])
  // It tries each command once when it has connected.
  await untilMetric(replica, 'vestibule_redis_eviction_policy_ok', 1)
  return replica
}

const READS = new Set(['get', 'mget'])

/** Commands that change nothing; calls of a script are counted by themselves. */
const NEITHER = new Set(['publish', 'ping', 'info', 'time', 'config|get', 'subscribe', 'hello'])

/** Counts the reads and writes that Redis has executed, from `INFO commandstats`. */
function countCalls(stats: string): { readonly reads: number; readonly writes: number } {
  let [reads, writes] = [0, 0]
  for (const [, name = '', calls] of stats.matchAll(/^cmdstat_([\w|-]+):calls=(\d+)/gm)) {
    if (READS.has(name)) reads += Number(calls)
    else if (!NEITHER.has(name)) writes += Number(calls)
  }
  return { reads, writes }
}
