import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { signInPeople, startFleetLoad, untilWhole } from '../../support/fleet-load.ts'
import { keepInMemory, signInAt, untilRefused } from '../../support/hybrid-replicas.ts'
import { signOut, untilMetric } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { describeWithRedis } from '../../support/replicas.ts'
import type { Wire, WireKind } from '../../support/wire.ts'
import { startWiredFleet, TOPOLOGIES } from '../../support/wired-fleet.ts'

const KINDS: readonly WireKind[] = ['subscriber', 'commands', 'both']
const SILENCES_MS = [1000, 3000, 10_000]
/** Exceeds every bound below, so that none of them rests on it. */
const L1_SECONDS = '30'
const DEAF_AFTER_MS = 3000
const BACK_WITHIN_MS = 10_000
const CALM_FOR_MS = 3000
/** Allowance for a busy machine. */
const MORE_MS = 1500
const PEOPLE = Array.from({ length: 12 }, (_, at) => `user-${at}`)

/** Waits until no connection has been opened for a while; resolves with when the last one was. */
async function untilCalm(wires: readonly Wire[]): Promise<number> {
  const opened = () => wires.reduce((sum, wire) => sum + wire.opened(), 0)
  let last = { count: opened(), atMs: performance.now() }
  const sinceMs = performance.now()
  while (performance.now() - last.atMs < CALM_FOR_MS) {
    await wait(20)
    if (opened() !== last.count) last = { count: opened(), atMs: performance.now() }
    if (performance.now() - sinceMs > BACK_WITHIN_MS + CALM_FOR_MS) throw new Error('never calm')
  }
  return last.atMs
}

describeWithRedis('C74 connections fall silent while people are active', () => {
  test.for(Object.entries(TOPOLOGIES))(
    '%s: within 10 s each replica has a calm connection, and what ended elsewhere is refused',
    { timeout: 240_000 },
    async ([topology, startRedis]) => {
      await using fleet = await startWiredFleet(startRedis, KINDS.length, {
        settings: { REDIS_HYBRID_L1_TTL: L1_SECONDS },
        provider: { users: ['victim', ...PEOPLE].map((sub) => ({ sub })) },
      })
      const { replicas, wired, aside, all } = fleet
      const wires = wired.map(({ wire }) => wire)
      const people = await signInPeople(replicas, PEOPLE)
      const load = await startFleetLoad(all, people, { perSecond: 120 })
      await load.more(100)
      for (const silentMs of SILENCES_MS) {
        const connectionsBefore = wires.map((wire) => wire.open())
        const openedBefore = wires.map((wire) => wire.opened())
        const { browser, cookie } = await signInAt(aside, 'victim')
        for (const { replica } of wired) await keepInMemory(replica, cookie)

        const flow = wires.map((wire, at) => wire.silence(KINDS[at] as WireKind))
        const sinceMs = performance.now()
        expect((await signOut(browser)).status).toBe(303)
        const [deaf] = wired.map(({ replica }) => replica)
        const deafMs = untilRefused(deaf as (typeof all)[0], cookie, DEAF_AFTER_MS + 2 * MORE_MS)
        await wait(silentMs - (performance.now() - sinceMs))
        for (const end of flow) end()
        const endedMs = performance.now()
        expect(await deafMs).toBeLessThan(DEAF_AFTER_MS + MORE_MS)
        await untilWhole(all, BACK_WITHIN_MS)
        for (const { replica } of wired) {
          await until('a refusal', async () => {
            const { status } = await replica.check({}, { Cookie: cookie })
            expect([200, 302, 503]).toContain(status)
            return status === 302
          })
        }
        const calmMs = (await untilCalm(wires)) - endedMs
        const reopened = wires.map((wire, at) => wire.opened() - (openedBefore[at] ?? 0))
        process.stdout.write(
          `C74 ${topology}, ${silentMs} ms: calm ${calmMs.toFixed(0)} ms after it; connections opened ${KINDS.map((kind, at) => `${kind} ${reopened[at]}`).join(', ')}\n`,
        )
        expect(calmMs).toBeLessThan(BACK_WITHIN_MS)
        // A cluster is asked for its servers over a connection of its own now and then.
        await until('no more connections than before', async () =>
          wires.every((wire, at) => wire.open() <= (connectionsBefore[at] ?? 0)),
        )
      }
      expect((await load.stop()).mistakes).toEqual([])
      for (const replica of all) {
        await untilMetric(replica, 'vestibule_redis_commands_in_flight', 0)
      }
    },
  )
})
