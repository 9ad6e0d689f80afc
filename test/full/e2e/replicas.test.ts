import { hash } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { type CookieJar, createCookieJar } from '../../support/cookie-jar.ts'
import { describeWithRedis } from '../../support/describe-with-redis.ts'
import { readHealth, readMetric } from '../../support/outage.ts'
import { BUSY_MS } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { print } from '../../support/printed.ts'
import { givenTo } from '../../support/protected-app.ts'
import { givenToApp } from '../../support/proxied-browser.ts'
import {
  entranceMissing,
  entrances,
  type ProxiedReplicas,
  startProxiedReplicas,
} from '../../support/proxied-replicas.ts'
import { until } from '../../support/redis-state.ts'
import { PATIENT } from '../../support/replicas.ts'
import type { VestibuleProcess } from '../../support/vestibule-process.ts'
import type { Visit, Visitor } from '../../support/visitor.ts'

const HOST = 'app.localhost'
const APP = `http://${HOST}`
const HEADERS = `${APP}/headers`
const here = entrances.filter((entrance) => !entranceMissing(entrance))
for (const missing of new Set(entrances.map(entranceMissing))) {
  if (missing) print(`left out: ${missing}`)
}

/** Whom the app was told about; everything but the app's own answer is an error. */
function userOf(visit: Visit): string {
  return givenTo(givenToApp(visit), 'X-Auth-Request-User').join()
}

function checkAt(
  replica: VestibuleProcess,
  cookies: CookieJar,
  headers: Readonly<Record<string, string>> = {},
): Promise<Visit> {
  return replica.check(
    { host: HOST, proto: 'http' },
    { ...headers, Cookie: cookies.header(new URL(APP)) },
  )
}

/** Replicas announce themselves every ten seconds. */
const FOUND_WITHIN_MS = 60_000

const asScript = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty', Accept: '*/*' }

async function checksOf(replica: VestibuleProcess): Promise<number> {
  return readMetric(replica, 'vestibule_checks_total{outcome="allow",source="store"}')
}

describeWithRedis('three replicas that share a Redis', () => {
  const fleet = prepared(() => startProxiedReplicas({ count: 3, hosts: [HOST], settings: PATIENT }))
  let alice: CookieJar
  beforeAll(async () => {
    alice = createCookieJar()
    await here.map((entrance) => fleet().browser(entrance, alice))[0]?.signIn(HEADERS, 'alice')
  })

  const visitAll = (count: number): Promise<Visit[]> =>
    Promise.all(
      here.flatMap((entrance) => {
        const browser = fleet().browser(entrance, alice)
        return Array.from({ length: count }, () => browser.fetch(HEADERS))
      }),
    )
  const expectSignedIn = async (): Promise<void> => {
    expect(new Set((await visitAll(6)).map(userOf))).toEqual(new Set(['alice']))
    for (const replica of fleet().all()) {
      expect((await checkAt(replica, alice)).status).toBe(200)
    }
  }

  test('a login that begins at one ends at another, and counts at the third', async () => {
    const [a, b, c] = fleet().all() as [VestibuleProcess, VestibuleProcess, VestibuleProcess]
    const cookies = createCookieJar()
    const started = await fleet().browserAt(a, cookies).get(`${APP}/oauth2/login?rd=/reports`)
    const callbackUrl = await returnUrl(fleet().browserAt(a, cookies), started)
    const landed = await fleet().browserAt(b, cookies).get(callbackUrl)
    expect([landed.status, landed.location]).toEqual([302, `${APP}/reports`])
    for (const replica of [c, a, b]) {
      const { status, headers } = await checkAt(replica, cookies)
      expect([status, headers['x-auth-request-user']]).toEqual([200, 'bob'])
    }
  })

  test.for(entrances)(
    'whoever signs in through %s is the same person at every replica',
    async (entrance, { skip }) => {
      if (entranceMissing(entrance)) skip(entranceMissing(entrance))
      const browser = fleet().browser(entrance)
      expect(userOf(await browser.signIn(HEADERS, 'bob'))).toBe('bob')
      const before = await Promise.all(fleet().all().map(checksOf))
      const visits = await Promise.all(Array.from({ length: 60 }, () => browser.fetch(HEADERS)))
      expect(visits.map(({ status }) => status)).toEqual(Array.from({ length: 60 }, () => 200))
      expect(new Set(visits.map(userOf))).toEqual(new Set(['bob']))
      const after = await Promise.all(fleet().all().map(checksOf))
      const answered = after.map((count, at) => count - Number(before[at]))
      print(`${entrance}: 60 requests answered by ${answered.join(', ')}`)
      expect(Math.min(...answered)).toBeGreaterThan(0)
      expect(answered.reduce((sum, each) => sum + each)).toBe(60)
    },
  )

  test('a session that began behind one proxy counts behind all of them', expectSignedIn)

  test('no user notices a rolling restart', async () => {
    const load = startVisits(fleet(), alice)
    for (const at of fleet().all().keys()) {
      await wait(200)
      await fleet().restart(at, 'SIGTERM')
    }
    await wait(200)
    const visits = await load.stop()
    print(`rolling restart: ${visits.length} requests meanwhile`)
    expect(visits.filter(({ status }) => status !== 200)).toEqual([])
    expect(load.errors).toEqual([])
    expect(new Set(visits.map(userOf))).toEqual(new Set(['alice']))
    await expectSignedIn()
  })

  test('killing all replicas at once signs nobody out', async () => {
    const load = startVisits(fleet(), alice)
    await Promise.all([...fleet().all().keys()].map((at) => fleet().restart(at, 'SIGKILL')))
    await expectSignedIn()
    const visits = await load.stop()
    expect(visits.filter(({ status }) => status !== 200 && status < 500)).toEqual([])
    expect(visits.flatMap(({ setCookies }) => setCookies)).toEqual([])
  })

  const strangers: readonly (readonly [
    what: string,
    settings: Readonly<Record<string, string>>,
    integrityFailures: number,
    kind: 'keys' | 'place',
  ])[] = [
    [
      'another SESSION_ENCRYPTION_KEY',
      { SESSION_ENCRYPTION_KEY: 'fedcba9876543210'.repeat(4) },
      2,
      'keys',
    ],
    ['another REDIS_KEY_PREFIX', { REDIS_KEY_PREFIX: 'elsewhere:' }, 0, 'place'],
    ['another REDIS_DB', { REDIS_DB: '1' }, 0, 'place'],
  ]
  test.for(strangers)(
    'at a replica with %s nobody is signed in, nothing breaks, and it says what is wrong',
    async ([, settings, integrityFailures, kind]) => {
      await using stranger = await fleet().addAside(settings)
      const page = await checkAt(stranger, alice)
      const script = await checkAt(stranger, alice, asScript)
      expect([page.status, script.status]).toEqual([302, 401])
      expect([...page.setCookies, ...script.setCookies]).toEqual([])
      const failures = await readMetric(stranger, 'vestibule_store_integrity_failures_total')
      expect(failures).toBe(integrityFailures)
      await until(
        'a finding',
        async () => {
          const { fleet: seen, cache } = await readHealth(stranger)
          expect(cache.redis).toMatchObject({ connected: true, findings: [] })
          return seen.findings.some((finding) => finding.kind === kind)
        },
        FOUND_WITHIN_MS,
      )
      expect((await stranger.internal('/health?strict=1')).status).toBe(503)
      expect(stranger.output()).not.toMatch(/"level":"(?:error|fatal)"/)
      await expectSignedIn()
    },
  )

  test('a login that comes back to a replica with another key ends on a page', async () => {
    await using stranger = await fleet().addAside({
      SESSION_ENCRYPTION_KEY: 'fedcba9876543210'.repeat(4),
    })
    const cookies = createCookieJar()
    const browser = fleet().browserAt(fleet().all()[0] as VestibuleProcess, cookies)
    const callbackUrl = await returnUrl(browser, await browser.get(`${APP}/oauth2/login`))
    const refused = await fleet().browserAt(stranger, cookies).get(callbackUrl)
    expect([refused.status, refused.setCookies]).toEqual([400, []])
    expect((await browser.get(callbackUrl)).status).toBe(302)
  })

  test('a sign-out at one is known to the others at once', async () => {
    const [a, ...others] = fleet().all() as [VestibuleProcess, ...VestibuleProcess[]]
    const cookies = createCookieJar()
    const browser = fleet().browserAt(a, cookies)
    await signedIn(browser)
    const kept = cookies.copy()
    const polls = others.map((replica) => pollUntilRefused(replica, kept))
    await wait(50)
    const sentAtMs = performance.now()
    const { status } = await browser.post(`${APP}/oauth2/logout`)
    const answeredAtMs = performance.now()
    const polled = await Promise.all(polls)
    const refused = await Promise.all(others.map((replica) => checkAt(replica, kept)))
    expect([status, ...refused.map((visit) => visit.status)]).toEqual([303, 302, 302])
    expect(refused.flatMap(({ setCookies }) => setCookies)).toEqual([])
    for (const { lastAllowedSentAtMs, refusedAtMs } of polled) {
      // Redis tells the others before it answers whoever signs out; a busy machine may keep one of them waiting.
      expect(lastAllowedSentAtMs).toBeLessThan(answeredAtMs + BUSY_MS)
      const delayMs = refusedAtMs - sentAtMs
      process.stdout.write(
        `sign-out: refused elsewhere ${delayMs.toFixed(1)} ms after it was asked for, ` +
          `${(refusedAtMs - answeredAtMs).toFixed(1)} ms after it was answered\n`,
      )
    }
  })

  test('every key in Redis expires', async () => {
    const { redis } = fleet().replicas
    // Each replica tries its commands from time to time, on keys that are gone a moment later.
    const isTrial = (key: string) => key.includes('{self-test-')
    const all = (await redis.cli('KEYS', '*')).split('\n').filter((key) => !isTrial(key))
    const names = all.filter((key) => key.endsWith('{dataset}'))
    expect(names).toContain('vestibule:{dataset}')
    for (const name of names) {
      const ttlMs = Number(await redis.cli('PTTL', name))
      expect(ttlMs, name).toBeGreaterThan(0)
      expect(ttlMs, name).toBeLessThanOrEqual(30 * 86_400_000)
    }
    const keys = all.filter((key) => !names.includes(key))
    const suffixes = new Set(keys.map((key) => /^vestibule:(?:\{.*\}:.|.:)/.exec(key)?.[0].at(-1)))
    expect(suffixes).toEqual(new Set(['s', 't', 'm', 'x', ':']))
    for (const key of keys) {
      const ttlMs = Number(await redis.cli('PTTL', key))
      expect(ttlMs, key).toBeGreaterThan(0)
      expect(ttlMs, key).toBeLessThanOrEqual(86_400_000)
    }
  })

  test('use at one replica prolongs the session at all', async () => {
    const idle = await Promise.all(
      [1, 2].map(() => fleet().addAside({ SESSION_IDLE_TIMEOUT: '60' })),
    )
    const cookies = createCookieJar()
    await signedIn(fleet().browserAt(idle[0] as VestibuleProcess, cookies))
    const records = recordsOf(cookies)
    const { redis } = fleet().replicas
    for (const replica of idle) {
      // Shortens the lives as 40 s without a request would.
      for (const key of records) await redis.cli('PEXPIRE', key, '20000')
      expect((await checkAt(replica, cookies)).status).toBe(200)
      await until('longer life', async () => Number(await redis.cli('PTTL', records[2])) > 20_000)
      for (const key of records) {
        const ttlMs = Number(await redis.cli('PTTL', key))
        expect(ttlMs, key).toBeGreaterThan(30_000)
        expect(ttlMs, key).toBeLessThanOrEqual(60_000)
      }
    }
    for (const key of records) await redis.cli('PEXPIRE', key, '1')
    await wait(5)
    for (const replica of idle) expect((await checkAt(replica, cookies)).status).toBe(302)
  })
})

describeWithRedis('replicas that sign in for several hosts at one of them', () => {
  const [home, one, two] = ['auth.apps.localhost', 'one.apps.localhost', 'two.apps.localhost']
  const fleet = prepared(() =>
    startProxiedReplicas({
      count: 3,
      hosts: [home, one, two],
      settings: { ...PATIENT, PUBLIC_URL: `http://${home}`, COOKIE_DOMAIN: 'apps.localhost' },
    }),
  )

  test.for(entrances)('one sign-in serves both apps behind %s', async (entrance, { skip }) => {
    if (entranceMissing(entrance)) skip(entranceMissing(entrance))
    const browser = fleet().browser(entrance)
    const landed = await browser.signIn(`http://${one}/headers`, 'alice')
    expect([landed.url, userOf(landed)]).toEqual([`http://${one}/headers`, 'alice'])
    const visits = await Promise.all(
      Array.from({ length: 30 }, (_, at) =>
        browser.fetch(`http://${at % 2 === 0 ? one : two}/headers`),
      ),
    )
    expect(new Set(visits.map(userOf))).toEqual(new Set(['alice']))

    const signedOut = await browser.post(`http://${two}/oauth2/logout`)
    expect([signedOut.status, signedOut.refusedCookies]).toEqual([303, []])
    for (const host of [one, two]) {
      expect((await browser.get(`http://${host}/headers`)).status).toBe(302)
    }
  })
})

/** The sign-in pages alone, without an app behind them. */
async function signedIn(browser: Visitor): Promise<void> {
  await browser.signIn(`${APP}/oauth2/login`, 'bob')
  expect(browser.cookies.find('vestibule')?.value).toMatch(/^v1\./)
}

/** Follows a started login through the provider up to the callback, as bob. */
async function returnUrl(browser: Visitor, started: Visit): Promise<string> {
  if (started.location?.startsWith(`${APP}/oauth2/callback`)) return started.location
  if (started.location) return returnUrl(browser, await browser.get(started.location))
  return returnUrl(browser, await browser.post(started.url, { login: 'bob' }))
}

function recordsOf(cookies: CookieJar): readonly [string, string, string] {
  const [, id = ''] = cookies.find('vestibule')?.value.split('.') ?? []
  const name = (part: string) => `vestibule:{${hash('sha256', id, 'base64url')}}:${part}`
  return [name('s'), name('t'), name('m')]
}

/** Somebody who goes on using the app through every proxy until told to stop. */
function startVisits(fleet: ProxiedReplicas, cookies: CookieJar) {
  const visits: Visit[] = []
  const errors: unknown[] = []
  let isOver = false
  const use = async (browser: Visitor): Promise<void> => {
    while (!isOver) {
      await browser.fetch(HEADERS).then(
        (visit) => visits.push(visit),
        (error: unknown) => errors.push(error),
      )
      await wait(20)
    }
  }
  const users = here.flatMap((entrance) => [1, 2].map(() => use(fleet.browser(entrance, cookies))))
  return {
    errors,
    stop: async (): Promise<readonly Visit[]> => {
      isOver = true
      await Promise.all(users)
      return visits
    },
  }
}

/** Checks without a pause, until one is refused. */
async function pollUntilRefused(replica: VestibuleProcess, cookies: CookieJar) {
  let lastAllowedSentAtMs = 0
  for (;;) {
    const sentAtMs = performance.now()
    const { status } = await checkAt(replica, cookies)
    if (status !== 200) return { lastAllowedSentAtMs, refusedAtMs: performance.now() }
    lastAllowedSentAtMs = sentAtMs
  }
}
