import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { expectEnds, openAtEach, usersOf } from '../../support/ending-rounds.ts'
import type { EventClient } from '../../support/event-client.ts'
import { quantile, untilWhole } from '../../support/fleet-load.ts'
import { signInAt } from '../../support/hybrid-replicas.ts'
import { BUSY_MS, print, watchOwnLag } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** Sessions of each kind, which all live side by side. */
const ROUNDS = Number(process.env['ENDING_ROUNDS'] ?? 3)
/** The shortest that settings allow, and a little more, so that age and idleness are told apart. */
const MAX_AGE_MS = 60_000
const IDLE_MS = 70_000
/** "To the second": the store rounds, and the streams' timer looks once a second. */
const PRECISION_MS = 1000
const EXPIRED = { reason: 'expired' } as const

const users = Array.from({ length: ROUNDS }, (_, turn) => usersOf(turn).user)

interface Open {
  readonly cookie: string
  readonly clients: readonly EventClient[]
  /** Between these two the session began. */
  readonly fromMs: number
  readonly toMs: number
}

describeWithRedis(
  'sessions that end by time, with pages at three replicas',
  { timeout: 400_000 },
  () => {
    const fleet = prepared(async () => {
      const settings = { ...HYBRID, ...PATIENT, SESSION_IDLE_TIMEOUT: `${IDLE_MS / 1000}` }
      const provider = { users: users.map((sub) => ({ sub })) }
      const replicas = await startReplicas({ count: 3, settings, provider })
      const brief = await replicas.add({ SESSION_MAX_AGE: `${MAX_AGE_MS / 1000}` })
      await untilWhole([...replicas.all, brief])
      return { ...replicas, brief }
    })

    const openAt = async (replica: RunningVestibule, sub: string): Promise<Open> => {
      const fromMs = performance.now()
      const { cookie } = await signInAt(replica, sub)
      const toMs = performance.now()
      return { cookie, clients: await openAtEach(fleet().all, cookie), fromMs, toMs }
    }
    const openMany = async (replica: () => RunningVestibule): Promise<Open[]> => {
      const opened: Open[] = []
      for (const sub of users) opened.push(await openAt(replica(), sub))
      return opened
    }
    /** Asserts that all pages hear of the end when it comes, and prints how much later that is. */
    const expectExpiry = async (
      what: string,
      { fromMs, toMs, clients }: Open,
      lifeMs: number,
    ): Promise<number[]> => {
      const lag = watchOwnLag()
      const ends = await expectEnds(clients, EXPIRED, 2 * lifeMs)
      const lagMs = lag.end()
      for (const { atMs } of ends) {
        expect(atMs, what).toBeGreaterThan(fromMs + lifeMs - PRECISION_MS)
        expect(atMs - lagMs, what).toBeLessThan(toMs + lifeMs + PRECISION_MS + BUSY_MS)
      }
      return ends.map(({ atMs }) => atMs - toMs - lifeMs)
    }
    const printLateness = (what: string, all: readonly number[]): void => {
      const [min, median, p95, max] = [0, 0.5, 0.95, 1].map((each) =>
        quantile(all, each).toFixed(0),
      )
      print(
        `${what}: ${all.length} clients heard, after the end, min ${min}, median ${median}, p95 ${p95}, max ${max} ms`,
      )
    }

    test.concurrent('by age, though it is used: all pages hear "expired" to the second', async () => {
      const opened = await openMany(() => fleet().brief)
      const late = await Promise.all(
        opened.map(async (each) => {
          await wait(MAX_AGE_MS / 2)
          for (const replica of fleet().all) {
            expect((await replica.check({}, { Cookie: each.cookie })).status).toBe(200)
          }
          return expectExpiry('age', each, MAX_AGE_MS)
        }),
      )
      printLateness('absolute expiry', late.flat())
    })

    test.concurrent('by idleness: all pages hear "expired" to the second, and streams are no use', async () => {
      const opened = await openMany(() => fleet().first)
      const late = await Promise.all(opened.map((each) => expectExpiry('idleness', each, IDLE_MS)))
      printLateness('idle expiry', late.flat())
    })

    test.concurrent('by idleness after it was used at one replica: no page hears "expired" before', async () => {
      const opened = await openMany(() => fleet().first)
      const late = await Promise.all(
        opened.map(async (each, at) => {
          await wait(IDLE_MS / 2)
          const user = fleet().all[at % 3] as RunningVestibule
          const fromMs = performance.now()
          expect((await user.check({}, { Cookie: each.cookie })).status).toBe(200)
          const used = { ...each, fromMs, toMs: performance.now() }
          const heard = each.clients.map(withoutRenewals)
          return expectExpiry('idleness after use', { ...used, clients: heard }, IDLE_MS)
        }),
      )
      printLateness('idle expiry after use elsewhere', late.flat())
    })
  },
)

/** A page may be told that it has longer; that is no end. */
function withoutRenewals(client: EventClient): EventClient {
  return {
    ...client,
    get events() {
      return client.events.filter(({ name }) => name !== 'session-renewed')
    },
  }
}
