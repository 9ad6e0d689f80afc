import { beforeAll, beforeEach, expect, test } from 'vitest'
import * as logout from '../../support/backchannel-logout.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { signInAt } from '../../support/hybrid-replicas.ts'
import * as outage from '../../support/outage.ts'
import { BUSY_MS, timed } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, HYBRID, type Replicas, startReplicas } from '../../support/replicas.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'

/** Providers wait some seconds for an answer; oidc-provider two and a half. */
const ANSWERED_WITHIN_MS = 2500
const SID = 'the-session-of-bob'

type Act = (fleet: Replicas) => unknown
const kill: Act = async ({ redis }) => {
  await redis.cli('SAVE')
  await redis.kill()
}
const outages: readonly (readonly [how: string, begin: Act, end: Act])[] = [
  ['killed', kill, ({ redis }) => redis.restart({ keepData: true })],
  ['cut off', ({ network }) => network.refuse(), ({ network }) => network.accept()],
  ['frozen', ({ network }) => network.blackhole(), ({ network }) => network.flow()],
]

describeWithRedis('a back-channel logout while Redis is away', () => {
  const fleet = prepared(() =>
    startReplicas({
      count: 2,
      settings: { ...HYBRID, REDIS_HYBRID_L1_TTL: '30' },
      provider: { users: ['alice', 'bob', 'carol'].map((sub) => ({ sub })) },
    }),
  )
  let told: VestibuleProcess
  let other: VestibuleProcess
  let alice: string
  let bob: string
  let carol: string
  beforeAll(async () => {
    ;[told, other] = fleet().all as [VestibuleProcess, VestibuleProcess]
  })
  beforeEach(async () => {
    await untilWhole(fleet().all)
    alice = (await signInAt(other, 'alice')).cookie
    carol = (await signInAt(told, 'carol')).cookie
    fleet().provider.tamperIdToken({ sid: SID })
    bob = (await signInAt(told, 'bob')).cookie
    fleet().provider.reset()
    await expectStatuses([200, 200])
  })

  const statuses = (cookie: string) => outage.statusesAt([told, other], cookie)
  /** Asserts the statuses of all three users at both replicas. */
  const expectStatuses = async (expected: readonly number[]): Promise<void> => {
    for (const cookie of [alice, bob, carol]) expect(await statuses(cookie)).toEqual(expected)
  }
  const deferred = (): Promise<number> =>
    outage.readMetric(told, 'vestibule_backchannel_logouts_total{result="deferred"}')
  const untilTold = () =>
    outage.untilMetric(told, 'vestibule_revocations_waiting', 0, outage.GIVEN_UP_AFTER_MS)

  /** 400, as it is not done; this replica has heard it all the same. */
  const expectDeferred = async (token: string): Promise<void> => {
    const { value, ownMs } = await timed(logout.sendLogoutToken(told, token))
    expect(logout.expectLogoutRefused(value)).toContain('send it again')
    expect(value.headers['retry-after']).toBe('5')
    expect(ownMs).toBeLessThan(ANSWERED_WITHIN_MS + BUSY_MS)
  }

  test.for(outages)('%s: it counts here at once and everywhere later', async ([, begin, end]) => {
    const deferredBefore = await deferred()
    const flushedBefore = outage.countEvents(told, 'revocations_flushed')
    const bySub = await fleet().provider.mintLogoutToken()
    const bySid = await fleet().provider.mintLogoutToken({ sub: undefined, sid: SID })
    await begin(fleet())
    await expectDeferred(bySub)
    await expectDeferred(bySid)
    await expectDeferred(bySub)
    for (const cookie of [alice, bob]) expect(await statuses(cookie)).toEqual([503, 200])
    expect((await statuses(carol))[0]).toBe(200)
    expect(await outage.readMetric(told, 'vestibule_revocations_waiting')).toBe(2)

    await end(fleet())
    await untilTold()
    await untilWhole(fleet().all)
    const after = await Promise.all([alice, bob, carol].map(statuses))
    expect(after).toEqual([
      [302, 302],
      [302, 302],
      [200, 200],
    ])

    for (const token of [bySub, bySid]) {
      logout.expectLoggedOut(await logout.sendLogoutToken(other, token))
      logout.expectLogoutRefused(await logout.sendLogoutToken(told, token))
    }
    expect(await statuses((await signInAt(told, 'alice')).cookie)).toEqual([200, 200])
    expect(outage.countEvents(told, 'revocations_flushed')).toBeGreaterThan(flushedBefore)
    expect(await deferred()).toBe(deferredBefore + 3)
  })

  test('a mark whose reply is lost does not make the same token a replay', async () => {
    const token = await fleet().provider.mintLogoutToken()
    const held = fleet().network.holdAnswers('logout-token')
    const sent = expectDeferred(token)
    const release = await held
    await sent
    release()
    await untilTold()
    await untilWhole(fleet().all)
    logout.expectLoggedOut(await logout.sendLogoutToken(other, token))
    expect(await statuses(alice)).toEqual([302, 302])
  })
})
