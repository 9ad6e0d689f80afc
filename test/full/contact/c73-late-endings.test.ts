import { describe, expect, test } from 'vitest'
import { sendLogoutToken } from '../../support/backchannel-logout.ts'
import { startFleetLoad, untilWhole } from '../../support/fleet-load.ts'
import { keepInMemory, signInAt } from '../../support/hybrid-replicas.ts'
import { ADMIN_TOKEN, askAdmin } from '../../support/operator.ts'
import { signOut, untilMetric } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { describeWithRedis } from '../../support/replicas.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'
import { startWiredFleet, TOPOLOGIES, type WiredFleet } from '../../support/wired-fleet.ts'

const BACK_WITHIN_MS = 20_000
/** The provider's session, which goes on when somebody signs in again. */
const SID = 'the-session-at-the-provider'

interface Old {
  readonly sub: string
  readonly cookie: string
  readonly browser: Awaited<ReturnType<typeof signInAt>>['browser']
}
interface Order {
  readonly expected: number
  readonly give: (fleet: WiredFleet, old: Old) => Promise<{ readonly status: number }>
}

function away({ wired }: WiredFleet) {
  return wired[0]?.replica as RunningVestibule
}

const ORDERS: Readonly<Record<string, Order>> = {
  'sign-out': { expected: 303, give: async (_, { browser }) => signOut(browser) },
  'logout-by-sid': {
    expected: 400,
    give: async (fleet, { sub }) => {
      const token = { sub: undefined, sid: `${SID}-${sub}` }
      return sendLogoutToken(away(fleet), await fleet.replicas.provider.mintLogoutToken(token))
    },
  },
  'logout-by-sub': {
    expected: 400,
    give: async (fleet, { sub }) =>
      sendLogoutToken(away(fleet), await fleet.replicas.provider.mintLogoutToken({ sub })),
  },
  operator: {
    expected: 503,
    give: (fleet, { sub }) => askAdmin(away(fleet), 'DELETE', `sessions?user=${sub}`),
  },
}
const PEOPLE = Object.keys(ORDERS)

describeWithRedis('C73 an ending is applied late', () => {
  describe.for(Object.entries(TOPOLOGIES))('%s', ([, startRedis]) => {
    const fleet = prepared(() =>
      startWiredFleet(startRedis, 2, {
        settings: { ADMIN_TOKEN, REDIS_HYBRID_L1_TTL: '30' },
        provider: { users: [...PEOPLE, 'bystander'].map((sub) => ({ sub })) },
      }),
    )

    const signIn = async (at: RunningVestibule, sub: string): Promise<Old> => {
      fleet().replicas.provider.tamperIdToken({ sid: `${SID}-${sub}` })
      try {
        return { sub, ...(await signInAt(at, sub)) }
      } finally {
        fleet().replicas.provider.reset()
      }
    }
    const statuses = (cookie: string): Promise<number[]> =>
      Promise.all(
        fleet().all.map(async (each) => (await each.check({}, { Cookie: cookie })).status),
      )

    test.for([1, 2])('no order is lost or ends the next session (round %i)', async () => {
      const { all, aside, wired } = fleet()
      await untilWhole(all, BACK_WITHIN_MS)
      const bystander = await signIn(aside, 'bystander')
      const visitors = [{ user: 'bystander', ...bystander }]
      const load = await startFleetLoad(all, visitors, { perSecond: 20 })
      const olds: Old[] = []
      for (const sub of PEOPLE) olds.push(await signIn(away(fleet()), sub))
      const assertions = await Promise.all(olds.map(({ cookie }) => takeAssertion(aside, cookie)))
      for (const { cookie } of olds) {
        for (const each of all) await keepInMemory(each, cookie)
      }

      const mend = wired[0]?.wire.cut()
      await untilMetric(away(fleet()), 'vestibule_redis_connected', 0)
      for (const old of olds) {
        const { expected, give } = ORDERS[old.sub] as Order
        expect((await give(fleet(), old)).status, old.sub).toBe(expected)
        expect(await statuses(old.cookie).then(([, here]) => here), old.sub).not.toBe(200)
      }
      const news: Old[] = []
      for (const sub of PEOPLE) news.push(await signIn(aside, sub))
      for (const { cookie } of news) await keepInMemory(aside, cookie)
      mend?.()

      await untilMetric(away(fleet()), 'vestibule_revocations_waiting', 0, BACK_WITHIN_MS)
      await untilWhole(all, BACK_WITHIN_MS)
      for (const [at, { sub, cookie }] of olds.entries()) {
        await until(`an end of the old session: ${sub}`, async () =>
          (await statuses(cookie)).every((status) => status === 302),
        )
        expect(await statuses(`${cookie}; ${assertions[at]}`), sub).toEqual([302, 302, 302])
      }
      for (const { sub, cookie } of news) {
        expect(await statuses(cookie), sub).toEqual([200, 200, 200])
      }
      expect((await load.stop()).mistakes).toEqual([])
    })
  })
})
