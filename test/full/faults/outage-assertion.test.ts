import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectStatus } from '../../support/check-status.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import {
  describeSeen,
  type FleetLoad,
  type Person,
  readSources,
  signInPeople,
  startFleetLoad,
  untilWhole,
} from '../../support/fleet-load.ts'
import {
  expectComeAgain,
  OUTAGE_COOKIE,
  readHealth,
  readMetric,
  script,
  signOut,
} from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { takeAssertion } from '../../support/prepared-replicas.ts'
import { print } from '../../support/printed.ts'
import { HYBRID, PATIENT, type Replicas, startReplicas } from '../../support/replicas.ts'
import { type WrittenRules, writeRules } from '../../support/rules-file.ts'
import { SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { storedSession } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

/** Grace that leaves a replica time to start in its first half, also on a busy machine. */
const GRACE_MS = 8000
const L1_MS = 1000
const SETTINGS = { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: `${L1_MS / 1000}` }
const SETUP_WITHIN_MS = 120_000
const USERS = Array.from({ length: 10 }, (_, at) => `user-${at}`)

describeWithRedis(
  'four replicas with a short grace, of which Redis is killed a second after a sign-out',
  () => {
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
      await expectStatus(200, fleet().all, stolen)
      confirmedAtMs = performance.now()
      expect((await signOut(browser)).status).toBe(303)
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
      let [allowed, lastAllowedMs] = [0, Number.NEGATIVE_INFINITY]
      for (;;) {
        const sentAtMs = performance.now()
        const visit = await newcomer.check({}, { Cookie: stolen })
        if (visit.status !== 200) {
          expectComeAgain(visit)
          break
        }
        allowed += 1
        lastAllowedMs = sentAtMs - confirmedAtMs
        await wait(20)
      }
      print(
        `T2: a replica started after the sign-out let a stolen copy in ${allowed} times, the last ` +
          `${lastAllowedMs.toFixed(0)} ms after the session was last confirmed`,
      )
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
      const backMs = await untilWhole([...fleet().all, newcomer])
      const lastAtMs = performance.now()
      await load.more(100)
      const seen = await load.stop()

      print(`T1: all back after ${backMs.toFixed(0)} ms; ${describeSeen(seen)}`)
      const firstRefusal = seen.serverErrors.find(({ sentAtMs }) => sentAtMs > killedAtMs)
      print(
        `T1: first 503 ${(Number(firstRefusal?.sentAtMs) - killedAtMs).toFixed(0)} ms after the kill; ` +
          `the newcomer allowed ${assertion} checks`,
      )
      expect([...seen.wrongAllows, ...seen.signOuts, ...seen.oddities]).toEqual([])
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
      await expectStatus(302, [...fleet().all, newcomer], stolen)
    })
  },
)

describeWithRedis('the limits of an outage assertion', () => {
  let fleet: Replicas
  let rules: WrittenRules
  /** Replica that has seen alice and never bob. */
  let stranger: RunningVestibule
  let alice: Carried
  let bob: Carried
  beforeAll(async () => {
    rules = await writeRules([
      { paths: ['/vault/**'], access: 'signed-in', degraded: 'deny' },
      { access: 'signed-in' },
    ])
    fleet = await startReplicas({
      settings: { ...SETTINGS, VESTIBULE_CONFIG: rules.path },
      provider: { users: ['alice', 'bob', 'carol', 'dave'].map((sub) => ({ sub })) },
    })
    stranger = await fleet.add()
    await untilWhole([fleet.first, stranger])
    alice = await carry('alice')
    bob = await carry('bob')
  })
  afterAll(async () => {
    await fleet[Symbol.asyncDispose]()
    await rules[Symbol.asyncDispose]()
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
        const health = await readHealth(replica)
        expect(health).toHaveProperty('circuit_breakers', { read: CLOSED, write: CLOSED })
        const opened = 'vestibule_circuit_breaker_changes_total{breaker="read",state="open"}'
        expect(await readMetric(replica, opened)).toBe(0)
        expect((await ask(replica, alice.session)).statuses).toEqual([200, 200])
      }
    })

    test('the id of a session in memory with another secret is no session', async () => {
      expect(await ask(fleet.first, alice.session)).toEqual({ statuses: [200, 200], user: 'alice' })
      for (const secret of otherSecrets(alice.session, bob.session)) {
        expect((await ask(fleet.first, secret, alice.assertion)).statuses).toEqual([302, 401])
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
      const backMs = await untilWhole([fleet.first, stranger])
      print(`outage assertions: both replicas back after ${backMs.toFixed(0)} ms`)
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

    test('an assertion without the session’s cookie does not count', async () => {
      await expectAt([fleet.first, stranger], [302, 401], alice.assertion)
    })

    test('another secret opens neither the entry in memory nor the assertion', async () => {
      for (const secret of otherSecrets(alice.session, bob.session)) {
        await expectAt([fleet.first, stranger], [503, 503], secret, alice.assertion)
      }
    })

    test('a changed assertion does not count', async () => {
      const [start, end] = [bob.assertion.slice(0, -20), bob.assertion.slice(-20)]
      const changed = [
        `${start}${end.startsWith('A') ? 'B' : 'A'}${end.slice(1)}`,
        start,
        `${OUTAGE_COOKIE}=v1.zzzzzz.${'A'.repeat(400)}`,
      ]
      for (const each of changed) await expectAt([stranger], [503, 503], bob.session, each)
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
  const fetched = await replica.check({}, { ...script, Cookie })
  return { statuses: [page.status, fetched.status], user: page.headers['x-auth-request-user'] }
}

interface Carried {
  readonly session: string
  readonly assertion: string
}

function sessionOf({ browser }: Person): string | undefined {
  return browser.cookies.find(SESSION_COOKIE)?.value
}

/** The id of one session with another's secret, and with one that differs in its first character alone. */
function otherSecrets(session: string, other: string): readonly string[] {
  const [version = '', id = '', secret = ''] = session.split('.')
  const changed = `${secret.startsWith('A') ? 'B' : 'A'}${secret.slice(1)}`
  return [changed, other.split('.')[2]].map((each) => `${version}.${id}.${each}`)
}
