import { beforeAll, describe, expect, test } from 'vitest'
import { untilWhole } from '../../support/fleet-load.ts'
import { move } from '../../support/hybrid-replicas.ts'
import { countEvents, readHealth, readMetric, script, untilMetric } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, SERVER_KEY, startReplicas } from '../../support/replicas.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const OTHER_KEY = 'fedcba9876543210'.repeat(4)
const INTEGRITY = 'vestibule_store_integrity_failures_total'

/** Ten minutes ahead, from before the service reads the clock. */
const SHIFTED = 'const now=Date.now.bind(Date);Date.now=()=>now()+600000'
const KNOWN = [200, 200, 0] as const

/** Replicas that differ, the finding about each, and their answers about a session of the others. */
const unlike: readonly (readonly [
  what: string,
  settings: Readonly<Record<string, string>>,
  kind: 'keys' | 'mode' | 'clock',
  says: RegExp,
  answers: readonly [page: number, script: number, integrityFailures: number],
])[] = [
  [
    'another SESSION_ENCRYPTION_KEY',
    { SESSION_ENCRYPTION_KEY: OTHER_KEY },
    'keys',
    /has another SESSION_ENCRYPTION_KEY/,
    [302, 401, 2],
  ],
  [
    'a second key',
    { SESSION_ENCRYPTION_KEY: `${SERVER_KEY},${OTHER_KEY}` },
    'keys',
    /a key rotation is under way/,
    KNOWN,
  ],
  ['another REDIS_CACHE_MODE', { REDIS_CACHE_MODE: 'redis' }, 'mode', /in redis mode/, KNOWN],
  [
    'a clock ten minutes ahead',
    { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(SHIFTED)}` },
    'clock',
    /clock of replica \w+ is (?:599|600|601) s (?:ahead of|behind) ours/,
    KNOWN,
  ],
]

/** Mismatches that the first replica counts among all others. */
const COUNTS = { keys: 2, mode: 1, clock: 1, version: 0 }

describeWithRedis('replicas with unlike settings', () => {
  const fleet = prepared(() =>
    startReplicas({ count: 2, settings: { REDIS_CACHE_MODE: 'hybrid' } }),
  )
  let others: readonly RunningVestibule[]
  beforeAll(async () => void (await untilWhole(fleet().all)))
  const mismatches = (replica: RunningVestibule, kind: string): Promise<number> =>
    readMetric(replica, `vestibule_fleet_mismatches{kind="${kind}"}`)

  test('replicas that are alike count each other and have no finding', async () => {
    for (const replica of fleet().all) {
      await until('two replicas', async () => (await readHealth(replica)).fleet.replicas === 2)
      expect((await readHealth(replica)).fleet.findings).toEqual([])
      expect(await readMetric(replica, 'vestibule_fleet_replicas')).toBe(1)
      expect(countEvents(replica, 'fleet_finding')).toBe(0)
      expect((await replica.internal('/health?strict=1')).status).toBe(200)
    }
  })

  describe('with others beside them', () => {
    beforeAll(async () => {
      others = await Promise.all(unlike.map(([, settings]) => fleet().add(settings)))
      await untilWhole(others)
    })

    test.for(unlike)(
      '%s shows at all and breaks no session',
      async ([what, , kind, says, answers]) => {
        const other = others[unlike.findIndex(([each]) => each === what)] as RunningVestibule
        const { cookie } = await fleet().signedIn()
        const page = await other.check({}, { Cookie: cookie })
        const fetched = await other.check({}, { ...script, Cookie: cookie })
        const failures = await readMetric(other, INTEGRITY)
        expect([page.status, fetched.status, failures]).toEqual(answers)
        if (page.status !== 200) expect([page.setCookies, fetched.setCookies]).toEqual([[], []])
        for (const replica of [...fleet().all, other]) {
          const find = async () =>
            (await readHealth(replica)).fleet.findings.find(
              (each) => each.kind === kind && says.test(each.message),
            )
          await until('a finding', async () => (await find()) !== undefined)
          expect(await mismatches(replica, kind)).toBeGreaterThan(0)
          const lines = replica.log().filter((line) => line['event'] === 'fleet_finding')
          const line = lines.find(({ code, message }) => code === kind && says.test(`${message}`))
          expect(line).toMatchObject({ level: 'warn' })
          expect(JSON.stringify(lines)).not.toContain(OTHER_KEY)
          expect((await replica.internal('/health?strict=1')).status).toBe(503)
          expect((await replica.internal('/readyz')).status).toBe(200)
          expect((await readHealth(replica)).cache.redis.connected).toBe(true)
          expect(replica.output()).not.toMatch(/"level":"(?:error|fatal)"/)
        }
        for (const replica of fleet().all)
          expect((await replica.check({}, { Cookie: cookie })).status).toBe(200)
      },
    )

    test('a login that comes back to a replica with another key ends on a page', async () => {
      const { browser, callbackUrl } = await fleet().untilCallback()
      const refused = await move(browser, others[0] as RunningVestibule).get(callbackUrl)
      expect([refused.status, refused.setCookies]).toEqual([400, []])
      expect((await browser.get(callbackUrl)).status).toBe(302)
    })

    test('each mismatch is counted once by the replicas that are alike', async () => {
      for (const replica of fleet().all) {
        for (const [kind, count] of Object.entries(COUNTS)) {
          await untilMetric(replica, `vestibule_fleet_mismatches{kind="${kind}"}`, count)
        }
        const told = replica.log().filter(({ event }) => event === 'fleet_finding')
        const messages = told.map(({ message }) => String(message))
        expect(messages).toHaveLength(new Set(messages).size)
        // How wrong a clock is looks like another second when the announcement was under way for long.
        const kinds = new Set(messages.map((message) => message.replace(/\d+ s /, '')))
        expect(kinds.size).toBe(unlike.length)
      }
    })
  })
})
