import { beforeAll, describe, expect, test } from 'vitest'
import { untilWhole } from '../../support/fleet-load.ts'
import { move } from '../../support/hybrid-replicas.ts'
import { countEvents, readMetric, signOut, statusAt, statusesAt } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { APP } from '../../support/relying-party.ts'
import { describeWithRedis, HYBRID, PATIENT, startReplicas } from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'
import type { Visitor } from '../../support/visitor.ts'

const SETUP_WITHIN_MS = 120_000

describeWithRedis('a session ended at one of four replicas while Redis is away', () => {
  const fleet = prepared(() => {
    const provider = { users: [{ sub: 'victim' }] }
    // Memory outlives every bound below, and stands in for a Redis that is merely slow where that counts as away.
    const settings = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' }
    return startReplicas({ count: 4, settings, provider })
  })
  /** A browser with a session, and its cookies in the hands of somebody else, assertion included. */
  const steal = async (at: VestibuleProcess) => {
    const { browser, cookie } = await fleet().signedIn('victim')
    const assertion = await takeAssertion(fleet().first, cookie)
    const stolen = `${cookie}; ${assertion}`
    putCookies(browser, assertion)
    expect(await statusesOf(stolen)).toEqual([200, 200, 200, 200])
    return { browser: move(browser, at), stolen }
  }
  const statusesOf = (cookie: string) => statusesAt(fleet().all, cookie)
  const untilRefused = (stolen: string) =>
    until('a session that is refused everywhere', async () =>
      (await statusesOf(stolen)).every((status) => status === 302),
    )
  const breakOff = async (): Promise<void> => {
    await fleet().redis.cli('SAVE')
    await fleet().redis.kill()
  }
  const restore = (): Promise<void> => fleet().redis.restart({ keepData: true })

  test('ended at a replica that drains: Redis is told before the replica ends', async () => {
    await using leaving = await fleet().add({ DRAIN_SECONDS: '5' })
    await untilWhole([leaving])
    const { browser, stolen } = await steal(leaving)
    await breakOff()
    expect((await signOut(browser)).status).toBe(303)
    const ended = leaving.stop('SIGTERM')
    await restore()
    expect(await ended).toBe(0)
    const told = ['revocations_flushed', 'revocations_lost'].map((each) =>
      countEvents(leaving, each),
    )
    expect(told).toEqual([1, 0])
    await untilWhole(fleet().all)
    expect(await statusesOf(stolen)).toEqual([302, 302, 302, 302])
  })

  describe('of which some stop before it is back', () => {
    type Theft = Awaited<ReturnType<typeof steal>>
    let [atFirst, atStopped, alsoAtStopped, atKilled]: Theft[] = []
    let stopped: VestibuleProcess
    let killed: VestibuleProcess
    beforeAll(async () => {
      ;[stopped, killed] = await Promise.all([fleet().add(), fleet().add()])
      await untilWhole([...fleet().all, stopped, killed])
      ;[atFirst, atStopped, alsoAtStopped, atKilled] = await Promise.all(
        [fleet().first, stopped, stopped, killed].map(steal),
      )
      await breakOff()
      for (const { browser } of [atFirst, atStopped, alsoAtStopped, atKilled] as Theft[]) {
        expect((await signOut(browser)).status).toBe(303)
        expect(browser.cookies.all().map(({ name }) => name)).not.toContain(SESSION_COOKIE)
      }
    }, SETUP_WITHIN_MS)

    test('it is refused there at once, and the others are told later', async () => {
      const { stolen } = atFirst as Theft
      expect(await statusesOf(stolen)).toEqual([302, 200, 200, 200])
      expect(await readMetric(fleet().first, 'vestibule_revocations_waiting')).toBe(1)
      for (const theft of [atStopped, alsoAtStopped] as Theft[]) {
        expect(await statusAt(stopped, theft.stolen)).toBe(302)
      }
      expect(await statusAt(killed, (atKilled as Theft).stolen)).toBe(302)
    })

    test('a replica that is stopped before Redis is back says how many sign-outs are lost with it', async () => {
      expect(await stopped.stop('SIGTERM')).toBe(0)
      expect(stopped.log().find((line) => line['event'] === 'revocations_lost')).toMatchObject({
        level: 'error',
        count: 2,
      })
      await killed.stop('SIGKILL')
    })

    test('when Redis is back all of them refuse it, also one that is started then', async () => {
      await restore()
      const { stolen } = atFirst as Theft
      await untilRefused(stolen)
      await using fresh = await fleet().add()
      await untilWhole([...fleet().all, fresh])
      expect(await statusesOf(stolen)).toEqual([302, 302, 302, 302])
      expect(await statusAt(fresh, stolen)).toBe(302)
      expect(await readMetric(fleet().first, 'vestibule_revocations_waiting')).toBe(0)
      expect(countEvents(fleet().first, 'revocations_flushed')).toBe(1)
    })

    test('what was lost with a replica counts again for whoever copied the cookies, and can be ended again', async () => {
      for (const { stolen, browser } of [atStopped, alsoAtStopped, atKilled] as Theft[]) {
        expect(await statusesOf(stolen)).toEqual([200, 200, 200, 200])
        putCookies(browser, stolen)
        expect((await signOut(move(browser, fleet().first))).status).toBe(303)
        await untilRefused(stolen)
      }
    })
  })
})

function putCookies(browser: Visitor, header: string): void {
  for (const pair of header.split('; ')) {
    browser.cookies.set(`${pair}; Path=/; Secure; HttpOnly`, new URL(APP))
  }
}
