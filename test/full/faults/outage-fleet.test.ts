import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  describeSeen,
  expectUnnoticed,
  type FleetLoad,
  type Person,
  quantile,
  type Seen,
  signInPeople,
  startFleetLoad,
  untilWhole,
} from '../../support/fleet-load.ts'
import { readHealth, untilMetric } from '../../support/outage.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { print } from '../../support/printed.ts'
import { APP } from '../../support/relying-party.ts'
import { type ReplicaProcesses, startReplicas, untilStarted } from '../../support/replicas.ts'
import { cookieHeader, LOGIN } from '../../support/sign-in-steps.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

const USERS = Array.from({ length: 10 }, (_, at) => `user-${at}`)
const REPLICAS = 4
/** Bounds the reconnection of both connections, 1.5 s each; waiting for an interval would take 30 s. */
const BACK_WITHIN_MS = 20_000
/** A check gives the store 250 ms. */
const FIRST_ANSWERS_WITHIN_MS = 250 + BUSY_MS
/** Age at which an entry in memory is confirmed again. */
const L1_MS = 5000

async function startFleet(mode: string) {
  const fleet = await startReplicas({
    count: REPLICAS,
    settings: { REDIS_CACHE_MODE: mode },
    provider: { users: USERS.map((sub) => ({ sub })) },
  })
  return { fleet, people: await signInPeople(fleet, USERS) }
}

describeWithRedis('four replicas under load', () => {
  let fleet: ReplicaProcesses
  let people: readonly Person[]

  const startWarmLoad = async (): Promise<FleetLoad> => {
    const load = await startFleetLoad(fleet.all, people)
    await load.warm()
    await load.more(100)
    return load
  }
  const endAfterRecovery = async (what: string, load: FleetLoad): Promise<Seen> => {
    const { ms: backMs, ownMs } = await timed(untilWhole(fleet.all))
    await load.more(100)
    const seen = await load.stop()
    print(`${what}: all back after ${backMs.toFixed(0)} ms; ${describeSeen(seen)}`)
    expect(ownMs).toBeLessThan(BACK_WITHIN_MS)
    return seen
  }

  describe.each(['redis', 'hybrid'])('%s mode', (mode) => {
    beforeAll(async () => {
      const started = await startFleet(mode)
      fleet = started.fleet
      people = started.people
    })
    afterAll(() => fleet[Symbol.asyncDispose]())
    beforeEach(() => untilWhole(fleet.all))

    test('Redis is killed and comes back with its data: nobody notices', async () => {
      const load = await startWarmLoad()
      await fleet.redis.cli('SAVE')
      await fleet.redis.kill()
      await wait(1500)
      expect(await readHealth(fleet.first)).toMatchObject({ status: 'degraded' })
      await fleet.redis.restart({ keepData: true })
      const seen = await endAfterRecovery(`${mode}: killed, back with its data`, load)
      expectUnnoticed(seen)
      expect(Number(seen.sources['l1'])).toBeGreaterThan(0)
    })

    test('Redis comes back empty: one silent round through the provider for each, and no loop', async () => {
      const load = await startWarmLoad()
      await fleet.redis.kill()
      await wait(500)
      expectUnnoticed(await load.stop())
      await fleet.redis.restart()
      print(`${mode}: back empty: all back after ${(await untilWhole(fleet.all)).toFixed(0)} ms`)
      const sent = people.map(({ browser }) => cookieHeader(browser))
      for (const replica of fleet.all) {
        for (const cookie of sent) {
          const { status, setCookies } = await replica.check({}, { Cookie: cookie })
          expect([status, setCookies]).toEqual([302, []])
        }
      }
      const { provider } = fleet
      provider.forgetRequests()
      const landed = await Promise.all(
        people.map(({ browser }) => browser.browse(`${LOGIN}?rd=/reports`)),
      )
      expect(new Set(landed.map(({ url }) => url))).toEqual(new Set([`${APP}/reports`]))
      expect(provider.count('token')).toBe(USERS.length)
      const again = await startFleetLoad(fleet.all, people)
      await again.more(100)
      expectUnnoticed(await again.stop())
      expect(provider.count('token')).toBe(USERS.length)
    })

    test('Redis is frozen for 3 s: nobody notices', async () => {
      const load = await startWarmLoad()
      await fleet.redis.pause()
      await wait(3000)
      await fleet.redis.resume()
      expectUnnoticed(await endAfterRecovery(`${mode}: frozen for 3 s`, load))
    })

    test('the network swallows everything: nobody notices, and the first answers come in time', async () => {
      const load = await startWarmLoad()
      const sinceMs = performance.now()
      fleet.network.blackhole()
      // In hybrid mode Redis is asked again when the heartbeats have been missing for 3 s.
      await wait(mode === 'hybrid' ? 3500 : 1500)
      const during = load.answers.filter(({ sentAtMs }) => sentAtMs > sinceMs)
      fleet.network.flow()
      const seen = await endAfterRecovery(`${mode}: blackhole`, load)
      expectUnnoticed(seen)
      expect(Number(seen.sources['l1'])).toBeGreaterThan(0)
      const tookMs = during.map((each) => each.tookMs)
      const [median, last] = [quantile(tookMs, 0.5), quantile(tookMs, 0.99)]
      print(
        `${mode}: blackhole: median ${median.toFixed(0)} ms, 99th percentile ${last.toFixed(0)} ms`,
      )
      expect(last).toBeLessThan(FIRST_ANSWERS_WITHIN_MS)
      expect(seen.slowestMs).toBeLessThan(2 * FIRST_ANSWERS_WITHIN_MS)
    })
  })

  describe('hybrid mode, with more to come', () => {
    beforeAll(async () => {
      const started = await startFleet('hybrid')
      fleet = started.fleet
      people = started.people
      await untilWhole(fleet.all)
    })
    afterAll(() => fleet[Symbol.asyncDispose]())

    test('a calm load seldom asks Redis and writes nothing, and one more replica changes neither', async () => {
      const load = await startFleetLoad(fleet.all, people, { perSecond: 300 })
      const calls = async () => countCalls(await fleet.redis.cli('INFO', 'commandstats'))
      const startedAtMs = performance.now()
      const before = await calls()
      await load.more(600)
      const between = await calls()
      const fifth = await addWhole(fleet)
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
      print(`calm: ${describeSeen(seen)}; hit rate ${hitRate.toFixed(3)}`)
      print(
        `calm: reads and writes of 600 checks: ${reads[0]} and ${writes[0]} with four replicas,`,
      )
      print(`calm: ${reads[1]} and ${writes[1]} with five`)
      expectUnnoticed(seen)
      // Each replica reads each session once in the life of an entry, so a slow machine hits less often.
      const mayRead = USERS.length * (REPLICAS + 1) * rounds
      expect(hitRate).toBeGreaterThan(Math.min(0.9, 1 - mayRead / (memory + store)))
      // A `SET` and a `PEXPIRE` of each replica in half a minute.
      expect(Math.max(...writes)).toBeLessThanOrEqual(2 * (REPLICAS + 1))
      expect(Math.max(...reads)).toBeLessThan(Math.max(120, mayRead))
    })

    test('the network flaps: nobody notices', async () => {
      const load = await startWarmLoad()
      for (let round = 0; round < 4; round += 1) {
        await fleet.network.refuse()
        await wait(300)
        await fleet.network.accept()
        await wait(300)
      }
      expectUnnoticed(await endAfterRecovery('hybrid: flapping', load))
    })
  })
})

async function addWhole(fleet: ReplicaProcesses): Promise<VestibuleProcess> {
  const replica = await fleet.add()
  await untilStarted(replica)
  await untilWhole([replica])
  // It tries each command once when it has connected.
  const examined = 'vestibule_redis_eviction_policy_ok'
  await untilMetric(replica, examined, 1)
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
