import { beforeAll, describe, expect, test } from 'vitest'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { countEvents, readHealth, readMetric } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { until } from '../../support/redis-state.ts'
import { SERVER_KEY, startReplicas } from '../../support/replicas.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const OTHER_KEY = 'fedcba9876543210'.repeat(4)
const SETUP_WITHIN_MS = 120_000

/** Ten minutes ahead, from before the service reads the clock. */
const SHIFTED = 'const now=Date.now.bind(Date);Date.now=()=>now()+600000'

const unlike: readonly {
  readonly kind: string
  readonly what: string
  readonly settings: Readonly<Record<string, string>>
  readonly says: RegExp
}[] = [
  {
    kind: 'keys',
    what: 'another SESSION_ENCRYPTION_KEY',
    settings: { SESSION_ENCRYPTION_KEY: OTHER_KEY },
    says: /has another SESSION_ENCRYPTION_KEY/,
  },
  {
    kind: 'keys',
    what: 'a second key',
    settings: { SESSION_ENCRYPTION_KEY: `${SERVER_KEY},${OTHER_KEY}` },
    says: /a key rotation is under way/,
  },
  {
    kind: 'mode',
    what: 'another REDIS_CACHE_MODE',
    settings: { REDIS_CACHE_MODE: 'redis' },
    says: /in redis mode/,
  },
  {
    kind: 'place',
    what: 'another REDIS_KEY_PREFIX beside the same key',
    settings: { REDIS_KEY_PREFIX: 'elsewhere:' },
    says: /elsewhere:0.*REDIS_KEY_PREFIX/,
  },
  {
    kind: 'place',
    what: 'another REDIS_DB beside the same key',
    settings: { REDIS_DB: '1' },
    says: /vestibule:1.*REDIS_DB/,
  },
  {
    kind: 'clock',
    what: 'a clock ten minutes ahead',
    settings: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(SHIFTED)}` },
    says: /clock of replica \w+ is (?:599|600|601) s (?:ahead of|behind) ours/,
  },
]

/** Mismatches that the first replica counts among all others. */
const COUNTS = { keys: 2, mode: 1, place: 2, clock: 1, version: 0 }

describeWithRedis('replicas with unlike settings', () => {
  const fleet = prepared(
    () => startReplicas({ count: 2, settings: { REDIS_CACHE_MODE: 'hybrid' } }),
    SETUP_WITHIN_MS,
  )
  let alike: RunningVestibule
  let others: readonly RunningVestibule[]
  beforeAll(async () => {
    alike = fleet().all[1] as RunningVestibule
    await untilWhole(fleet().all)
  }, SETUP_WITHIN_MS)

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
      others = await Promise.all(unlike.map(({ settings }) => fleet().add(settings)))
      await untilWhole(others)
    }, SETUP_WITHIN_MS)

    test.for(unlike.map((each, at) => ({ ...each, at })))(
      '$what shows at it and at the replicas that are alike, in log, health and metrics',
      async ({ at, kind, says }, { expect }) => {
        const other = others[at] as RunningVestibule
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
        }
      },
    )

    test('each mismatch is counted once by the replicas that are alike', async () => {
      for (const replica of [fleet().first, alike]) {
        const counted = await Promise.all(
          Object.keys(COUNTS).map(async (kind) => [kind, await mismatches(replica, kind)]),
        )
        expect(Object.fromEntries(counted)).toEqual(COUNTS)
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
