import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type FleetLoad,
  type Person,
  readSources,
  signInPeople,
  startFleetLoad,
  untilWhole,
} from '../../support/fleet-load.ts'
import * as outage from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import {
  describeWithRedis,
  HYBRID,
  PATIENT,
  type Replicas,
  startReplicas,
} from '../../support/replicas.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** Grace that leaves a replica time to start in its first half, also on a busy machine. */
const GRACE_MS = 8000
const L1_MS = 1000
const SETTINGS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: `${L1_MS / 1000}` }
const SETUP_WITHIN_MS = 120_000
const USERS = Array.from({ length: 10 }, (_, at) => `user-${at}`)

describeWithRedis('Redis is killed a second after a sign-out, with a short grace', () => {
  const fleet = prepared(
    () =>
      startReplicas({
        count: 4,
        settings: { ...SETTINGS, SESSION_OUTAGE_GRACE: `${GRACE_MS / 1000}` },
        provider: { users: ['victim', ...USERS].map((sub) => ({ sub })) },
      }),
    SETUP_WITHIN_MS,
  )
  let newcomer: RunningVestibule
  let people: readonly Person[]
  let load: FleetLoad
  /** Stolen cookies of a user who has signed out. */
  let stolen: string
  let confirmedAtMs: number
  let killedAtMs: number
  beforeAll(async () => {
    await untilWhole(fleet().all)
    people = await signInPeople(fleet(), USERS)
    load = await startFleetLoad(fleet().all, people)
    const { browser, cookie } = await fleet().signedIn('victim')
    stolen = `${cookie}; ${await takeAssertion(fleet().first, cookie)}`
    await outage.expectStatus(200, fleet().all, stolen)
    confirmedAtMs = performance.now()
    expect((await outage.signOut(browser)).status).toBe(303)
    await wait(1000)
    await fleet().redis.cli('SAVE')
    await fleet().redis.kill()
    killedAtMs = performance.now()
    newcomer = await fleet().add()
    await load.join(newcomer)
  }, SETUP_WITHIN_MS)

  test('T2 those who heard of the sign-out refuse at once, and a replica that did not refuses at the end of the grace', async () => {
    for (const replica of fleet().all) {
      expect((await ask(replica, stolen)).statuses).toEqual([302, 401])
    }
    let lastAllowedMs = Number.NEGATIVE_INFINITY
    for (;;) {
      const sentAtMs = performance.now()
      const visit = await newcomer.check({}, { Cookie: stolen })
      if (visit.status !== 200) {
        outage.expectComeAgain(visit)
        break
      }
      lastAllowedMs = sentAtMs - confirmedAtMs
      await wait(20)
    }
    expect(lastAllowedMs).toBeLessThan(GRACE_MS)
  })

  test('T1 everybody else goes on for the grace, also at a replica that was started meanwhile, and nobody after it', async () => {
    const sessions = people.map(sessionOf)
    await wait(killedAtMs + GRACE_MS - performance.now())
    await load.more(100)
    const { assertion = 0, ...others } = await readSources(newcomer)
    // Taken before the restart, because somebody may be let in before the test learns that Redis runs.
    const restartedAtMs = performance.now()
    await fleet().redis.restart({ keepData: true })
    await untilWhole([...fleet().all, newcomer])
    const lastAtMs = performance.now()
    await load.more(100)
    const seen = await load.stop()

    const refusals = load.answers.filter(({ status }) => status >= 500)
    const firstRefusal = refusals.find(({ sentAtMs }) => sentAtMs > killedAtMs)
    expect(seen.mistakes).toEqual([])
    expect(Object.keys(seen.statuses)).toEqual(['200', '503'])
    expect(assertion).toBeGreaterThan(50)
    expect(Object.values(others).filter((count) => count > 0)).toEqual([])
    // An assertion is renewed after a fifth of the grace, so an active user goes on for at least four fifths of it.
    expect(Number(firstRefusal?.sentAtMs)).toBeGreaterThan(killedAtMs + 0.75 * GRACE_MS)
    const between = (fromMs: number, toMs: number) =>
      load.answers.filter(({ sentAtMs }) => sentAtMs > fromMs && sentAtMs < toMs)
    const afterGrace = between(killedAtMs + GRACE_MS, restartedAtMs)
    expect(afterGrace.length).toBeGreaterThan(50)
    expect(afterGrace.filter(({ status }) => status !== 503)).toEqual([])
    const atLast = between(lastAtMs, Number.POSITIVE_INFINITY)
    expect(atLast.filter(({ status }) => status !== 200)).toEqual([])
    expect(people.map(sessionOf)).toEqual(sessions)
  })

  test('T2 with Redis the sign-out counts everywhere', async () => {
    await outage.expectStatus(302, [...fleet().all, newcomer], stolen)
  })
})

describeWithRedis('the limits of an outage assertion', () => {
  const prepare = prepared(() =>
    startReplicas({
      count: 2,
      settings: SETTINGS,
      rules: [
        { paths: ['/vault/**'], access: 'signed-in', degraded: 'deny' },
        { access: 'signed-in' },
      ],
      provider: { users: ['alice', 'bob', 'carol', 'dave'].map((sub) => ({ sub })) },
    }),
  )
  let fleet: Replicas
  /** Replica that has seen alice and never bob. */
  let stranger: RunningVestibule
  let alice: Carried
  let bob: Carried
  beforeAll(async () => {
    fleet = prepare()
    stranger = fleet.all[1] as RunningVestibule
    await untilWhole(fleet.all)
    alice = await carry('alice')
    bob = await carry('bob')
  })
  const carry = async (user: string): Promise<Carried> => {
    const { browser } = await fleet.signedIn(user)
    const session = `${SESSION_COOKIE}=${browser.cookies.find(SESSION_COOKIE)?.value}`
    return { session, assertion: await takeAssertion(fleet.first, session) }
  }
  const expectAt = async (
    replicas: readonly RunningVestibule[],
    statuses: readonly number[],
    ...cookies: readonly string[]
  ) => {
    for (const replica of replicas)
      expect((await ask(replica, ...cookies)).statuses).toEqual(statuses)
  }
  const BOB = { statuses: [200, 200], user: 'bob' }
  const CLOSED = { state: 'closed', failures: 0 }

  describe('while Redis is there', () => {
    test('T5 an assertion without the session’s cookie does not count', async () => {
      await expectAt([fleet.first, stranger], [302, 401], alice.assertion)
    })

    test('T5 an assertion beside a session that Redis has lost does not count', async () => {
      const carol = await carry('carol')
      const stored = storedSession(carol.session)
      const keys = (['identity', 'tokens', 'metadata'] as const).map(stored.keyOf)
      await fleet.redis.cli('DEL', ...keys)
      await wait(L1_MS + 100)
      await expectAt([fleet.first, stranger], [302, 401], carol.session, carol.assertion)
    })

    test('T6 a broken record is no outage: its session is refused, and no breaker opens', async () => {
      const dave = await carry('dave')
      const key = storedSession(dave.session).keyOf('identity')
      await fleet.redis.cli('DEL', key)
      await fleet.redis.cli('LPUSH', key, 'not a record')
      await wait(L1_MS + 100)
      for (const replica of [fleet.first, stranger]) {
        for (let round = 0; round < 10; round += 1) {
          await expectAt([replica], [302, 401], dave.session, dave.assertion)
        }
        const health = await outage.readHealth(replica)
        expect(health).toHaveProperty('circuit_breakers', { read: CLOSED, write: CLOSED })
        const opened = 'vestibule_circuit_breaker_changes_total{breaker="read",state="open"}'
        expect(await outage.readMetric(replica, opened)).toBe(0)
        expect((await ask(replica, alice.session)).statuses).toEqual([200, 200])
      }
    })
  })

  describe('while Redis is away', () => {
    beforeAll(async () => {
      for (const { session } of [alice, bob]) await ask(fleet.first, session)
      await expectVault(200)
      await fleet.network.refuse()
    })
    afterAll(async () => {
      await fleet.network.accept()
      await untilWhole([fleet.first, stranger])
      await expectVault(200)
    })
    const expectVault = async (status: number): Promise<void> => {
      for (const replica of [fleet.first, stranger]) {
        const Cookie = `${alice.session}; ${alice.assertion}`
        expect((await replica.check({ uri: '/vault/gold' }, { Cookie })).status).toBe(status)
      }
    }

    test('an assertion counts for its own session at a replica that does not know it', async () => {
      const { session, assertion } = bob
      expect(await ask(stranger, session, assertion)).toEqual({ statuses: [200, 200], user: 'bob' })
      expect((await ask(stranger, session)).statuses).toEqual([503, 503])
    })

    test('T4 an assertion beside the session of another user does not count', async () => {
      expect((await ask(stranger, bob.session, alice.assertion)).statuses).toEqual([503, 503])
      expect(await ask(fleet.first, bob.session, alice.assertion)).toEqual(BOB)
      await expectAt([stranger], [503, 503], bob.session, alice.assertion, bob.assertion)
    })

    test('a rule with degraded: deny accepts neither memory nor assertion', async () => {
      await expectVault(503)
      expect((await ask(stranger, alice.session, alice.assertion)).statuses).toEqual([200, 200])
    })
  })
})

/** Returns the answers to a page and to a program, and whom the app of the page was told. */
async function ask(replica: RunningVestibule, ...cookies: readonly string[]) {
  const Cookie = cookies.join('; ')
  const page = await replica.check({}, { Cookie })
  const fetched = await replica.check({}, { ...outage.script, Cookie })
  return { statuses: [page.status, fetched.status], user: page.headers['x-auth-request-user'] }
}

interface Carried {
  readonly session: string
  readonly assertion: string
}

function sessionOf({ browser }: Person): string | undefined {
  return browser.cookies.find(SESSION_COOKIE)?.value
}
