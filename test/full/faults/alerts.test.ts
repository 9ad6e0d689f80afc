import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { steadyPort } from '../../../stand-ins/steady-port.ts'
import { INCIDENTS, type IncidentName } from '../../support/alerts/incidents.ts'
import { signInAgainAndAgain } from '../../support/alerts/loops.ts'
import { firedIn, promtoolMissing } from '../../support/alerts/promtool.ts'
import {
  packRecordings,
  type Recording,
  recordingOf,
  scrape,
} from '../../support/alerts/recording.ts'
import { sendLogoutToken } from '../../support/backchannel-logout.ts'
import { openEvents, publicOrigin } from '../../support/event-client.ts'
import { untilWhole } from '../../support/fleet-load.ts'
import { signInAt } from '../../support/hybrid-replicas.ts'
import { makeTlsFiles } from '../../support/internal-tls.ts'
import { ADMIN_TOKEN } from '../../support/operator.ts'
import * as outage from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { faults } from '../../support/provider.ts'
import { tokensFor, untilDue } from '../../support/refreshing-replicas.ts'
import {
  HYBRID,
  type ReplicaOptions,
  type ReplicaProcesses,
  settingsFor,
  startReplicas,
} from '../../support/replicas.ts'
import { createRequestPool } from '../../support/request-pool.ts'
import { writeRules } from '../../support/rules-file.ts'
import { addShifted } from '../../support/shifted-replica.ts'
import { CALLBACK, SESSION_COOKIE } from '../../support/sign-in-steps.ts'
import { makeUnreadPipe } from '../../support/unread-pipe.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'
import { startVestibuleLoggingTo } from '../../support/vestibule-process.ts'

/** File for the recordings; npm test reads the one that is committed. */
const RECORD_TO = process.env['RECORD_ALERTS']

/** Incident under way: each step happens between two readings of the metrics. */
interface Steps {
  readonly replicas: () => readonly (RunningVestibule | undefined)[]
  readonly begin?: () => unknown
  /** Use of the service, which happens before the incident, at its begin, and again in it. */
  readonly use?: () => unknown
  readonly end?: () => unknown
  /** Time that is let pass before each reading, on the clock of Prometheus alone. */
  readonly aheadSeconds?: number
}

type Prepare = (stack: AsyncDisposableStack) => Promise<Steps>

const many = (count: number, act: (at: number) => Promise<unknown>) =>
  Promise.all(Array.from({ length: count }, (_, at) => act(at)))
/** Cookie of a session that nobody has, in the form of this one. */
const unknownCookie = (cookie: string) =>
  cookie.replace(
    new RegExp(`(${SESSION_COOKIE}=v1)\\.([^.;]+)`),
    (_, name: string, id: string) =>
      `${name}.${randomBytes(id.length).toString('base64url').slice(0, id.length)}`,
  )
const OTHER_KEY = 'fedcba9876543210'.repeat(4)
const LIFE_SECONDS = 2

/** Starts replicas with people who are signed in, whose checks are the use of each incident of Redis. */
async function startUsed(stack: AsyncDisposableStack, options: ReplicaOptions = {}) {
  const replicas = stack.use(
    await startReplicas({ ...options, settings: { ...HYBRID, ...options.settings } }),
  )
  const { first, all } = replicas
  const { cookie } = await replicas.signedIn()
  const leaving = await Promise.all([1, 2, 3].map(() => replicas.signedIn()))
  if (all.length > 1) await untilWhole(all)
  return {
    ...replicas,
    cookie,
    replicas: () => all,
    checks: () => many(20, () => first.check({}, { Cookie: cookie })),
    strangers: () => many(20, () => first.check({}, { Cookie: unknownCookie(cookie) })),
    signOut: async () =>
      void (await outage.signOut((leaving.pop() ?? leaving[0])?.browser ?? first.visitor())),
  }
}

/** Has the self-test run, which else happens once a minute. */
const untilTested = (replica: RunningVestibule, sample: string, value: number) =>
  until(sample, async () => {
    await replica.internal('/health')
    return (await outage.readMetric(replica, sample)) === value
  })

const STOPS = 'vestibule_redis_stops_sign_in'

function redisIncident(
  begin: (used: Used) => unknown,
  sample: string,
  value: number,
  end: (used: Used) => unknown,
): Prepare {
  return async (stack) => {
    const used = await startUsed(stack, { count: 2 })
    const { first, checks, strangers, signOut, replicas } = used
    return {
      replicas,
      begin: async () => {
        await begin(used)
        await untilTested(first, sample, value)
        // People count as known from before once messages are missed.
        if (sample === CONNECTED) await outage.untilMetric(first, 'vestibule_backplane_healthy', 0)
      },
      use: async () => {
        await Promise.all([checks(), strangers()])
        await signOut()
      },
      end: async () => {
        await end(used)
        await outage.untilHealthy(first)
        await outage.untilMetric(first, 'vestibule_revocations_waiting', 0)
        for (const each of replicas())
          await outage.untilMetric(each, 'vestibule_backplane_healthy', 1)
      },
    }
  }
}

type Used = Awaited<ReturnType<typeof startUsed>>
const set =
  (name: string, value: string) =>
  ({ redis }: Used) =>
    redis.cli('CONFIG', 'SET', name, value)
const CONNECTED = 'vestibule_redis_connected'

async function signInInVain({ untilCallback }: Pick<Used, 'untilCallback'>) {
  const { browser, callbackUrl } = await untilCallback()
  await browser.get(callbackUrl)
}

/** Each use refreshes some sessions, with this answer of the provider. */
function refreshIncident(behaviour: Parameters<ReplicaProcesses['provider']['set']>[1]): Prepare {
  return async (stack) => {
    const replicas = stack.use(await startReplicas({ settings: HYBRID }))
    const { first, provider } = replicas
    let isBroken = false
    return {
      replicas: () => [first],
      begin: () => void (isBroken = true),
      use: async () => {
        provider.set('token', tokensFor(LIFE_SECONDS))
        const people = await many(4, () => signInAt(first))
        const cookies = people.map((each) => (each as { cookie: string }).cookie)
        await untilDue(performance.now(), LIFE_SECONDS)
        if (isBroken) provider.set('token', behaviour)
        else provider.reset('token')
        const ended = () =>
          outage.readMetric(first, 'vestibule_refreshes_total{result="refreshed"}')
        const before = await ended()
        for (const cookie of cookies) await first.check({}, { Cookie: cookie })
        const bad = async () =>
          (
            await Promise.all(
              ['failed', 'refused', 'rejected'].map((result) =>
                outage.readMetric(first, `vestibule_refreshes_total{result="${result}"}`),
              ),
            )
          ).reduce((sum, each) => sum + each)
        const badBefore = isBroken ? lastBad : 0
        await until('refreshes', async () =>
          isBroken ? (await bad()) >= badBefore + 4 : (await ended()) >= before + 4,
        )
        lastBad = await bad()
      },
      end: () => void (isBroken = false),
    }
  }
}
let lastBad = 0

const incidents: Readonly<Record<IncidentName, Prepare>> = {
  calm: async (stack) => {
    const { replicas, checks, signedIn } = await startUsed(stack)
    return { replicas, use: async () => void (await Promise.all([checks(), signedIn()])) }
  },
  'Redis is killed': redisIncident(
    ({ redis }) => redis.kill(),
    CONNECTED,
    0,
    ({ redis }) => redis.restart({ keepData: true }),
  ),
  'Redis is frozen': redisIncident(
    ({ redis }) => redis.pause(),
    CONNECTED,
    0,
    ({ redis }) => redis.resume(),
  ),
  'Redis is a replica': redisIncident(
    ({ redis }) => redis.cli('REPLICAOF', '127.0.0.1', '9'),
    STOPS,
    1,
    ({ redis }) => redis.cli('REPLICAOF', 'NO', 'ONE'),
  ),
  'Redis is full': redisIncident(set('maxmemory', '200kb'), STOPS, 1, set('maxmemory', '0')),
  'Redis is nearly full': async (stack) => {
    const used = await startUsed(stack)
    const { first, redis, checks, replicas } = used
    return {
      replicas,
      use: checks,
      begin: async () => {
        const bytes = Number(/used_memory:(\d+)/.exec(await redis.cli('INFO', 'memory'))?.[1])
        await redis.cli('CONFIG', 'SET', 'maxmemory', `${Math.round(bytes * 1.15)}`)
        await until('a limit', async () => {
          await first.internal('/health')
          return !(await first.internal('/metrics')).body.includes('memory_max_bytes +Inf')
        })
      },
      end: async () => {
        await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
        await until('no limit', async () => {
          await first.internal('/health')
          return (await first.internal('/metrics')).body.includes('memory_max_bytes +Inf')
        })
      },
    }
  },
  'Redis evicts': async (stack) => {
    const used = await startUsed(stack)
    const evicts = (value: number) =>
      untilTested(used.first, 'vestibule_redis_findings{code="eviction"}', value)
    return {
      replicas: used.replicas,
      use: used.checks,
      begin: async () => (await set('maxmemory-policy', 'allkeys-lru')(used), await evicts(1)),
      end: async () => (await set('maxmemory-policy', 'noeviction')(used), await evicts(0)),
    }
  },
  'Redis is slow': async (stack) => {
    const settings = { REDIS_CACHE_MODE: 'redis', CHECK_STORE_TIMEOUT_MS: '1000' }
    const { network, replicas, checks } = await startUsed(stack, { settings })
    const use = async () => {
      for (let round = 0; round < 5; round += 1) await checks()
    }
    return { replicas, use, begin: () => network.delay(60), end: () => network.delay(0) }
  },
  'Redis comes back empty': async (stack) => {
    const { redis, first, replicas } = await startUsed(stack)
    const begin = async () => {
      await redis.restart()
      await outage.untilMetric(first, 'vestibule_redis_dataset_changes_total', 1)
      await outage.untilMetric(first, 'vestibule_backplane_healthy', 1)
    }
    return { replicas, begin }
  },
  'messages do not arrive': async (stack) => {
    const { redis, first, replicas, checks } = await startUsed(stack)
    const allow = async (rule: string, value: number) => {
      await redis.cli('ACL', 'SETUSER', 'default', rule)
      await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await outage.untilMetric(first, 'vestibule_backplane_healthy', value)
    }
    return {
      replicas,
      use: checks,
      begin: () => allow('-subscribe', 0),
      end: () => allow('+subscribe', 1),
    }
  },
  'the provider is away at the start': async (stack) => {
    const fleet = stack.use(await startReplicas({ count: 0 }))
    let first: RunningVestibule | undefined
    return {
      replicas: () => [first],
      begin: async () => {
        await fleet.provider.pause()
        first = await fleet.add()
      },
      use: () => first && many(5, () => (first as RunningVestibule).check()),
      end: async () => {
        await fleet.provider.resume()
        await outage.untilMetric(
          first as RunningVestibule,
          'vestibule_provider_discovered',
          1,
          outage.GIVEN_UP_AFTER_MS,
        )
      },
    }
  },
  'the token endpoint fails': async (stack) => {
    const fleet = await startUsed(stack)
    return {
      replicas: fleet.replicas,
      begin: () => fleet.provider.set('token', faults.serverError),
      use: () => many(3, () => signInInVain(fleet)),
      end: () => fleet.provider.reset(),
    }
  },
  'the provider refuses the client': async (stack) => {
    const fleet = await startUsed(stack)
    return {
      replicas: fleet.replicas,
      begin: () =>
        fleet.provider.set('token', { ...faults.invalidGrant, body: '{"error":"invalid_client"}' }),
      use: () => many(3, () => signInInVain(fleet)),
      end: () => fleet.provider.reset(),
    }
  },
  'strangers forge callbacks': async (stack) => {
    const { first, replicas } = await startUsed(stack)
    let count = 0
    return {
      replicas,
      begin: () => void (count = 30),
      use: () => many(count, () => first.visitor().get(`${CALLBACK}?code=x&state=forged`)),
      end: () => void (count = 0),
    }
  },
  'sign-ins start over': async (stack) => {
    const fleet = await startUsed(stack)
    return {
      replicas: fleet.replicas,
      begin: () => fleet.provider.set('userinfo', faults.serverError),
      use: () => signInAgainAndAgain(fleet),
      end: () => fleet.provider.reset(),
    }
  },
  'the provider refreshes nothing': refreshIncident(faults.serverError),
  'the provider refuses its refresh tokens': refreshIncident(faults.invalidGrant),
  'the provider sends tokens without a type': refreshIncident({
    rewrite: (body) => ({ ...body, id_token: 'no.id.token' }),
  }),
  'the keys for logouts are away': async (stack) => {
    const { first, provider, replicas } = await startUsed(stack)
    const use = async () => {
      await sendLogoutToken(first, await provider.mintLogoutToken({ sub: 'alice', sid: 'one' }))
    }
    return {
      replicas,
      use,
      begin: async () => {
        await provider.rotateKeys()
        provider.set('jwks', faults.serverError)
      },
      end: () => provider.reset(),
    }
  },
  'a logout is sent again and again': async (stack) => {
    const { first, provider, replicas } = await startUsed(stack)
    const token = await provider.mintLogoutToken({ sub: 'bob', sid: 'one' })
    let count = 0
    return {
      replicas,
      begin: () => void (count = 25),
      use: async () => {
        for (let at = 0; at < count; at += 1) await sendLogoutToken(first, token)
      },
      end: () => void (count = 0),
    }
  },
  'a clock is wrong': async (stack) => {
    const fleet = await startUsed(stack)
    const all: RunningVestibule[] = [fleet.first]
    return {
      replicas: () => all,
      begin: async () => {
        all.push(await addShifted(fleet, 600_000))
        await untilTested(all[1] as RunningVestibule, 'vestibule_redis_findings{code="clock"}', 1)
        await outage.untilMetric(fleet.first, 'vestibule_fleet_mismatches{kind="clock"}', 1)
      },
      end: async () => {
        await all.pop()?.stop()
        await outage.untilMetric(fleet.first, 'vestibule_fleet_mismatches{kind="clock"}', 0)
      },
    }
  },
  'keys differ': async (stack) => {
    const fleet = await startUsed(stack)
    const all: RunningVestibule[] = [fleet.first]
    return {
      replicas: () => all,
      begin: async () => {
        all.push(await fleet.add({ SESSION_ENCRYPTION_KEY: OTHER_KEY }))
        await outage.untilMetric(fleet.first, 'vestibule_fleet_mismatches{kind="keys"}', 1)
      },
      use: () =>
        many(5, () => (all.at(-1) as RunningVestibule).check({}, { Cookie: fleet.cookie })),
    }
  },
  'a replica is killed': async (stack) => {
    const { replicas, all, first } = await startUsed(stack, { count: 2 })
    const begin = async () => {
      await all[1]?.stop('SIGKILL')
      await outage.untilMetric(first, 'vestibule_fleet_replicas', 0, outage.GIVEN_UP_AFTER_MS)
    }
    return { replicas, begin }
  },
  'all replicas are killed': async (stack) => {
    const { replicas, all } = await startUsed(stack, { count: 2 })
    return { replicas, begin: () => Promise.all(all.map((each) => each.stop('SIGKILL'))) }
  },
  'a replica restarts': async (stack) => {
    const fleet = stack.use(await startReplicas({ settings: HYBRID }))
    let current = fleet.first
    let isBegun = false
    const use = async () => {
      if (!isBegun) return
      // The time of a start is told in whole seconds.
      await setTimeout(1000)
      await current.stop()
      current = await fleet.add()
      await outage.untilMetric(current, 'vestibule_provider_discovered', 1)
      await setTimeout(300)
    }
    return {
      replicas: () => [current],
      begin: () => void (isBegun = true),
      use,
      end: () => void (isBegun = false),
    }
  },
  'rules cannot be used': async (stack) => {
    const rules = stack.use(await writeRules([{ paths: ['/open'], access: 'public' }]))
    const { first, replicas } = await startUsed(stack, {
      settings: { VESTIBULE_CONFIG: rules.path },
    })
    const change = async (text: string, value: number) => {
      await writeFile(rules.path, text)
      await outage.untilMetric(first, 'vestibule_rules_outdated', value)
    }
    return { replicas, begin: () => change('rules: [', 1), end: () => change('rules: []', 0) }
  },
  'a certificate ends': async (stack) => {
    const files = await makeTlsFiles()
    stack.defer(() => rm(files.folder, { recursive: true }))
    const { certificate, privateKey } = await files.authority.issue(['127.0.0.1'], 10 * 86_400_000)
    await files.write(certificate, privateKey)
    const { replicas } = await startUsed(stack, { settings: files.settings })
    return { replicas, end: () => undefined, aheadSeconds: 4.25 * 86_400 }
  },
  'nobody reads the log': async (stack) => {
    const pipe = stack.use(makeUnreadPipe())
    pipe.fill()
    const { provider, network } = stack.use(await startReplicas({ count: 0 }))
    const settings = {
      ...settingsFor(provider, network),
      SESSION_ENCRYPTION_KEY: OTHER_KEY,
      ADMIN_TOKEN,
    }
    const vestibule = stack.use(await startVestibuleLoggingTo(pipe.path, settings))
    await outage.untilMetric(vestibule, 'vestibule_provider_discovered', 1)
    const pool = stack.use(createRequestPool(vestibule.internalPort, 8))
    const request = { path: '/admin/cache', headers: { Authorization: `Bearer ${ADMIN_TOKEN}` } }
    const ask = (count: number) =>
      pool.sendMany(
        count,
        () => request,
        () => undefined,
      )
    return { replicas: () => [vestibule], begin: () => ask(6000), use: () => ask(10) }
  },
  'somebody sends look-alikes of headers': async (stack) => {
    const { first, replicas } = await startUsed(stack)
    let count = 0
    return {
      replicas,
      begin: () => void (count = 5),
      use: () => many(count, () => first.check({}, { X_Auth_Request_User: 'admin' })),
      end: () => void (count = 0),
    }
  },
  'cookies of sessions that are over': async (stack) => {
    const { strangers, checks, replicas } = await startUsed(stack)
    let isBegun = false
    return {
      replicas,
      begin: () => void (isBegun = true),
      use: async () =>
        void (await Promise.all([checks(), isBegun && strangers(), isBegun && strangers()])),
      end: () => void (isBegun = false),
    }
  },
  'the event loop is kept busy': async (stack) => {
    const port = await steadyPort()
    const fleet = stack.use(await startReplicas({ count: 0 }))
    const { busy, keepBusy } = await import('../../support/alerts/busy.ts')
    const first = await fleet.add(busy(port))
    let isBegun = false
    return {
      replicas: () => [first],
      begin: () => void (isBegun = true),
      use: async () => {
        await first.internal('/metrics')
        if (isBegun) await keepBusy(port, 400, first)
      },
      end: () => void (isBegun = false),
    }
  },
  'a replica has no room for streams': async (stack) => {
    const small = { NODE_OPTIONS: '--max-old-space-size=64 --max-semi-space-size=1' }
    const { first, replicas } = await startUsed(stack, { settings: small })
    const origin = publicOrigin(first)
    let count = 0
    return {
      replicas,
      begin: async () => {
        for (let person = 0; person < 10; person += 1) {
          const { cookie } = await signInAt(first)
          for (let own = 0; own < 10; own += 1) {
            const stream = await openEvents({ origin, cookie })
            stack.defer(() => stream.close())
          }
        }
        count = 2
      },
      use: async () => {
        const { cookie } = await signInAt(first)
        for (let at = 0; at < count; at += 1) await openEvents({ origin, cookie })
      },
      end: () => void (count = 0),
    }
  },
}

/** Alerts that are right about a machine on which other tests run, too. */
const OF_A_BUSY_MACHINE = new Set([
  'VestibuleEventLoopBusy',
  'VestibuleRedisSlow',
  'VestibuleChecksSlow',
])

async function record(name: IncidentName): Promise<Recording> {
  await using stack = new AsyncDisposableStack()
  const { replicas, begin, use, end, aheadSeconds = 0 } = await incidents[name](stack)
  const originSeconds = Date.now() / 1000
  const read = (moment: number) => scrape(replicas(), originSeconds + moment * aheadSeconds)
  await use?.()
  // Ends the interval in which the process has started, and leaves time for another.
  await read(0)
  await setTimeout(300)
  const before = await read(0)
  await begin?.()
  await use?.()
  const begun = await read(2)
  await use?.()
  const later = await read(2)
  await end?.()
  return recordingOf(name, [before, begun, later, end ? await read(3) : later])
}

describe.skipIf(promtoolMissing())(`alerts in real incidents${promtoolMissing()}`, () => {
  const recordings: Recording[] = []
  afterAll(() => {
    if (RECORD_TO) writeFileSync(RECORD_TO, packRecordings(recordings))
  })

  test.for(Object.entries(INCIDENTS))('%s', { timeout: 180_000 }, async ([name, expected]) => {
    const recording = await record(name as IncidentName)
    recordings.push(recording)
    const fired = firedIn(recording)
    const names = (of: object) =>
      Object.keys(of)
        .filter((alert) => alert in expected.during || !OF_A_BUSY_MACHINE.has(alert))
        .toSorted()
    expect(names(fired.before)).toEqual([])
    expect(names(fired.during)).toEqual(names(expected.during))
    expect(fired.after.toSorted()).toEqual(expected.after ?? [])
  })
})
