import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type SubscriptionProxy,
  startSubscriptionProxy,
} from '../../../stand-ins/network/subscription-proxy.ts'
import { statusAt, statusesAt } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  describeSeen,
  type FleetLoad,
  type Person,
  quantile,
  signInPeople,
  startFleetLoad,
  untilWhole,
} from '../../support/fleet-load.ts'
import { bypassed } from '../../support/hybrid-replicas.ts'
import { countEvents, readMetric, signOut, untilMetric } from '../../support/outage.ts'
import { BUSY_MS } from '../../support/own-lag.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { print } from '../../support/printed.ts'
import { until } from '../../support/redis-state.ts'
import { APP } from '../../support/relying-party.ts'
import { HYBRID, PATIENT, type ReplicaProcesses, startReplicas } from '../../support/replicas.ts'
import { createRequestPool, forwardedNavigation } from '../../support/request-pool.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'
import type { Visitor } from '../../support/visitor.ts'

const DEAF_AFTER_MS = 3000 + BUSY_MS
const SETUP_WITHIN_MS = 120_000

const EVENTS = 'vestibule:0:events'
const OTHERS = Array.from({ length: 8 }, (_, at) => `user-${at}`)
describeWithRedis('a session ended at one of four replicas', () => {
  let fleet: ReplicaProcesses
  let network: SubscriptionProxy
  /** Replica whose messages arrive over a network of its own. */
  let remote: VestibuleProcess
  let people: readonly Person[]
  beforeAll(async () => {
    fleet = await startReplicas({
      count: 3,
      // Memory outlives every bound below, and stands in for a Redis that is merely slow where that counts as away.
      settings: { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30' },
      provider: { users: ['victim', ...OTHERS].map((sub) => ({ sub })) },
    })
    network = await startSubscriptionProxy(fleet.redis.port)
    remote = await fleet.add({ REDIS_ADDRESS: `127.0.0.1:${network.port}` })
    people = await signInPeople(fleet, OTHERS)
  })
  afterAll(async () => {
    await fleet[Symbol.asyncDispose]()
    await network[Symbol.asyncDispose]()
  })
  const all = () => [...fleet.all, remote]

  /** The others go on; whoever has the victim's cookies uses them as well. */
  const startLoad = async (): Promise<Victim> => {
    await untilWhole(all())
    const { browser } = await fleet.signedIn('victim')
    const stolen = { user: 'victim', browser: browser.copy() }
    const users = [...people, stolen, stolen, stolen]
    const load = await startFleetLoad(all(), users, { perSecond: 220 })
    await load.more(200)
    return { load, browser }
  }
  const endWithin = async (
    what: string,
    { load, browser }: Victim,
    boundMs: number,
    afterwards: () => void = () => undefined,
  ): Promise<void> => {
    const endedAtMs = performance.now()
    load.ending('victim')
    expect((await signOut(browser)).status).toBe(303)
    load.ended('victim', boundMs)
    const answeredAtMs = performance.now()
    await wait(boundMs + 500)
    const allowed = load.answers.filter(
      ({ user, status, sentAtMs }) => user === 'victim' && status === 200 && sentAtMs > endedAtMs,
    )
    const lastMs = Math.max(0, ...allowed.map(({ sentAtMs }) => sentAtMs - answeredAtMs))
    afterwards()
    await untilWhole(all())
    const seen = await load.stop()
    print(
      `${what}: ${allowed.length} checks let in after the sign-out began, the last ` +
        `${lastMs.toFixed(0)} ms after it was answered; ${describeSeen(seen)}`,
    )
    expect(seen.wrongAllows).toEqual([])
    expect([...seen.signOuts, ...seen.oddities, ...seen.serverErrors]).toEqual([])
    expect(load.answers.findLast(({ user }) => user === 'victim')?.status).not.toBe(200)
  }

  /** A browser with a session, and its cookies in the hands of somebody else, assertion included. */
  const steal = async (at: VestibuleProcess): Promise<Theft> => {
    const { browser, cookie } = await fleet.signedIn('victim')
    const assertion = await takeAssertion(fleet.first, cookie)
    const stolen = `${cookie}; ${assertion}`
    putCookies(browser, assertion)
    expect(await statusesOf(stolen)).toEqual([200, 200, 200, 200])
    return { browser: browserAt(at, browser), stolen }
  }
  const statusesOf = (cookie: string) => statusesAt(all(), cookie)
  const untilRefused = (stolen: string) =>
    until('a session that is refused everywhere', async () =>
      (await statusesOf(stolen)).every((status) => status === 302),
    )
  const breakOff = async (): Promise<void> => {
    await fleet.redis.cli('SAVE')
    await fleet.redis.kill()
  }
  const restore = (): Promise<void> => fleet.redis.restart({ keepData: true })

  test('is refused by all of them when its user reads that it has ended', async () =>
    endWithin('healthy', await startLoad(), BUSY_MS))

  test('is refused at once while Redis ends the subscriptions of all of them', async () => {
    const victim = await startLoad()
    const lossesBefore = await bypassed(remote)
    expect(await fleet.redis.cli('PUBSUB', 'NUMSUB', EVENTS)).toBe(`${EVENTS}\n4`)
    const killed = fleet.redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await endWithin('subscriptions killed', victim, BUSY_MS)
    // A replica that examines Redis subscribes for a moment over its other connection, too.
    expect(Number(await killed)).toBeGreaterThanOrEqual(4)
    expect(await bypassed(remote)).toBeGreaterThan(lossesBefore)
  })

  test('is refused at once by one that cannot subscribe, whatever is in its memory', async () => {
    const victim = await startLoad()
    network.refuse()
    await untilMetric(remote, 'vestibule_backplane_healthy', 0)
    await endWithin('without a subscription', victim, BUSY_MS, network.accept)
  })

  test('is refused within three seconds by one whose subscription is open and dead', async () => {
    const victim = await startLoad()
    network.forget()
    await endWithin('half-open subscription', victim, DEAF_AFTER_MS)
    expect(countEvents(remote, 'backplane_broken')).toBeGreaterThan(0)
  })

  test('ended while Redis is away, at a replica that drains: Redis is told before the replica ends', async () => {
    await using leaving = await fleet.add({ DRAIN_SECONDS: '5' })
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
    await untilWhole(all())
    expect(await statusesOf(stolen)).toEqual([302, 302, 302, 302])
  })

  describe('ended while Redis is away', () => {
    let [atFirst, atStopped, alsoAtStopped, atKilled]: Theft[] = []
    let stopped: VestibuleProcess
    let killed: VestibuleProcess
    beforeAll(async () => {
      ;[stopped, killed] = await Promise.all([fleet.add(), fleet.add()])
      await untilWhole([...all(), stopped, killed])
      ;[atFirst, atStopped, alsoAtStopped, atKilled] = await Promise.all(
        [fleet.first, stopped, stopped, killed].map(steal),
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
      expect(await readMetric(fleet.first, 'vestibule_revocations_waiting')).toBe(1)
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
      const sinceMs = performance.now()
      const { stolen } = atFirst as Theft
      await untilRefused(stolen)
      const backMs = performance.now() - sinceMs
      print(`ended during an outage: refused everywhere ${backMs.toFixed(0)} ms after it`)
      await using fresh = await fleet.add()
      await untilWhole([...all(), fresh])
      expect(await statusesOf(stolen)).toEqual([302, 302, 302, 302])
      expect(await statusAt(fresh, stolen)).toBe(302)
      expect(await readMetric(fleet.first, 'vestibule_revocations_waiting')).toBe(0)
      expect(countEvents(fleet.first, 'revocations_flushed')).toBe(1)
    })

    test('what was lost with a replica counts again for whoever copied the cookies, and can be ended again', async () => {
      for (const { stolen, browser } of [atStopped, alsoAtStopped, atKilled] as Theft[]) {
        expect(await statusesOf(stolen)).toEqual([200, 200, 200, 200])
        putCookies(browser, stolen)
        expect((await signOut(browserAt(fleet.first, browser))).status).toBe(303)
        await untilRefused(stolen)
      }
    })
  })

  test(`is refused by the others ${BUSY_MS} ms after the sign-out was answered, 99 times in 100`, async () => {
    await untilWhole(all())
    const sinceAnswer: number[] = []
    const sinceAsked: number[] = []
    const pools = fleet.all.slice(1).map(({ internalPort }) => createRequestPool(internalPort, 1))
    for (let round = 0; round < 50; round += 1) {
      const { browser, cookie } = await fleet.signedIn('victim')
      const headers = { ...forwardedNavigation, Cookie: cookie }
      const ask = async ({ send }: (typeof pools)[number]) =>
        (await send({ path: '/auth', headers })).status
      /** Returns when the last allowed check was sent; a replica that stands still allows nobody. */
      const lastAllowed = async (pool: (typeof pools)[number]): Promise<number> => {
        let lastAllowedAtMs = Number.NEGATIVE_INFINITY
        for (;;) {
          // Resolution of the measured delays.
          await wait(1)
          const sentAtMs = performance.now()
          const status = await ask(pool)
          if (status !== 200) {
            expect(status).toBe(302)
            return lastAllowedAtMs
          }
          lastAllowedAtMs = sentAtMs
        }
      }
      for (const pool of pools) expect(await ask(pool)).toBe(200)
      const refusals = Promise.all(pools.map(lastAllowed))
      const askedAtMs = performance.now()
      expect((await signOut(browser)).status).toBe(303)
      const answeredAtMs = performance.now()
      for (const lastAllowedAtMs of await refusals) {
        sinceAnswer.push(Math.max(0, lastAllowedAtMs - answeredAtMs))
        sinceAsked.push(Math.max(0, lastAllowedAtMs - askedAtMs))
      }
    }
    for (const pool of pools) pool[Symbol.dispose]()
    for (const [what, delays] of Object.entries({
      'asked for': sinceAsked,
      answered: sinceAnswer,
    })) {
      const [median, p90, p99] = [0.5, 0.9, 0.99].map((share) => quantile(delays, share).toFixed(1))
      print(
        `sign-out: let in elsewhere after it was ${what}: median ${median} ms, 90 % ${p90} ms, ` +
          `99 % ${p99} ms, of ${delays.length}`,
      )
    }
    expect(quantile(sinceAnswer, 0.99)).toBeLessThan(BUSY_MS)
  })
})

interface Theft {
  readonly browser: Visitor
  readonly stolen: string
}

interface Victim {
  readonly load: FleetLoad
  readonly browser: Visitor
}

/** The same browser, led to this replica from now on. */
function browserAt(replica: VestibuleProcess, browser: Visitor): Visitor {
  const led = replica.visitor()
  for (const cookie of browser.cookies.all()) led.cookies.put(cookie)
  return led
}

function putCookies(browser: Visitor, header: string): void {
  for (const pair of header.split('; ')) {
    browser.cookies.set(`${pair}; Path=/; Secure; HttpOnly`, new URL(APP))
  }
}
