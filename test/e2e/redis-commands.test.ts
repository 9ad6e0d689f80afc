import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { bearerRule, mintAccessToken } from '../support/bearers.ts'
import { until } from '../support/own-lag.ts'
import { prepared } from '../support/prepared.ts'
import { startRedisMonitor } from '../support/redis-monitor.ts'
import {
  describeWithRedis,
  PATIENT,
  startReplicasInProcess,
  untilStarted,
} from '../support/replicas.ts'
import { createRequestPool, forwardedNavigation } from '../support/request-pool.ts'
import * as steps from '../support/sign-in-steps.ts'
import type { RunningVestibule } from '../support/vestibule.ts'

const TIMES = 100

/** A line of the monitor: who sends, which command, and the rest of it. Newlines are those of scripts. */
const LINE = /^\+[\d.]+ \[\d+ (?<client>[^\]]+)\] "(?<name>[^"]*)"(?<rest>[^]*)$/

/** Commands that replicas send by themselves, with the most that each may send. */
const BACKGROUND: readonly (readonly [
  what: string,
  pattern: RegExp,
  most: (seconds: number) => number,
])[] = [
  ['heartbeat', /^PUBLISH "vestibule:0:events:[0-9a-f]+" /, (seconds) => 2 + Math.ceil(seconds)],
  ['ping', /^PING$/, (seconds) => 3 + Math.ceil(seconds)],
  // All who hear of a newcomer answer it.
  ['announcement', /^PUBLISH "vestibule:fleet" /, (seconds) => 5 + Math.ceil(seconds)],
  ['health', /"vestibule:\{dataset\}"/, (seconds) => 3 * (1 + Math.ceil(seconds / 30))],
  ['examination', /self-test|^(?:TIME|INFO)$/, (seconds) => 30 * (1 + Math.ceil(seconds / 45))],
  ['look', /^EVAL .*"vestibule:\{denied\}"/s, (seconds) => 1 + Math.ceil(seconds / 5)],
]
const JUNK = `v1.${'A'.repeat(43)}.${'B'.repeat(43)}`

type Commands = Readonly<Record<string, number>>
type Headers = Readonly<Record<string, string>>

describeWithRedis('what the check asks of Redis', () => {
  let replicaCount = 1
  const replicas = prepared(async () => {
    const started = await startReplicasInProcess({
      // A Redis that the machine keeps waiting for a moment is not what this is about.
      settings: PATIENT,
      rules: [
        { paths: ['/public/**'], access: 'public' },
        { paths: ['/denied/**'], access: 'signed-in', groups: ['nobody-is-in-it'] },
        bearerRule('/api/**'),
        { access: 'signed-in' },
      ],
    })
    const { browser } = await started.signedIn()
    const alice = `${steps.SESSION_COOKIE}=${browser.cookies.find(steps.SESSION_COOKIE)?.value}`
    return { ...started, alice }
  })

  /** Everything that Redis carried out meanwhile, scripts included, but for what replicas do without being asked. */
  const commandsDuring = async (work: () => Promise<unknown>): Promise<Commands> => {
    using monitor = await startRedisMonitor(replicas().redis)
    const startedAtMs = performance.now()
    await work()
    const lines = (await monitor.lines()).map(String)
    const seconds = (performance.now() - startedAtMs) / 1000
    const counts: Record<string, number> = {}
    const background: Record<string, number> = {}
    // Redis lists the commands of a script after the script.
    let isInBackground = false
    for (const line of lines) {
      const { client, name = '', rest = '' } = LINE.exec(line)?.groups ?? {}
      if (client !== 'lua') {
        const [what] = BACKGROUND.find(([, pattern]) => pattern.test(name + rest)) ?? []
        isInBackground = what !== undefined
        if (what !== undefined) background[what] = (background[what] ?? 0) + 1
      }
      const counted = name.toLowerCase()
      if (!isInBackground) counts[counted] = (counts[counted] ?? 0) + 1
    }
    for (const [what, , most] of BACKGROUND) {
      expect(background[what] ?? 0, what).toBeLessThanOrEqual(replicaCount * most(seconds))
    }
    return counts
  }

  /** One more replica, once it has looked around in its Redis. */
  const add = async (settings: Readonly<Record<string, string>>): Promise<RunningVestibule> => {
    const replica = await replicas().add(settings)
    replicaCount += 1
    await untilStarted(replica)
    await until('silence', async () => isEmpty(await commandsDuring(() => wait(50))))
    return replica
  }
  const isEmpty = (commands: Commands): boolean => Object.keys(commands).length === 0

  const ask = async (
    { internalPort }: RunningVestibule,
    headers: Headers,
  ): Promise<readonly number[]> => {
    using pool = createRequestPool(internalPort, 4)
    const statuses = new Set<number>()
    const request = { path: '/auth', headers: { ...forwardedNavigation, ...headers } }
    const note = ({ status }: { readonly status: number }) => statuses.add(status)
    await pool.sendMany(TIMES, () => request, note)
    return [...statuses]
  }

  const script = { 'Sec-Fetch-Mode': 'cors', Accept: '*/*' }
  const cookie = (value: string): Headers => ({ Cookie: `${steps.SESSION_COOKIE}=${value}` })
  const at = (path: string): Headers => ({ 'X-Forwarded-Uri': path })
  const signed =
    (further: Headers = {}) =>
    () => ({ Cookie: replicas().alice, ...further })
  const bearer = async () => `Bearer ${await mintAccessToken(replicas().provider)}`
  const bad = signed({ ...at('/api/'), Authorization: 'Bearer a.b.c' })
  const read: Commands = { get: TIMES }
  const cases: readonly (readonly [
    title: string,
    headers: () => Headers | Promise<Headers>,
    status: number,
    commands: Commands,
  ])[] = [
    ['a session is one GET', signed(), 200, read],
    ['a session that may not is one GET', signed(at('/denied/')), 403, read],
    ['a session on a public path is nothing', signed(at('/public/')), 200, {}],
    ['a stranger is nothing', () => ({}), 302, {}],
    ['a script of a stranger is nothing', () => script, 401, {}],
    ['a made-up cookie of the right form is one GET', () => cookie(JUNK), 302, read],
    ['a made-up cookie of a script is one GET', () => ({ ...cookie(JUNK), ...script }), 401, read],
    ['a cookie of a later version is nothing', () => cookie(JUNK.replace('v1', 'v2')), 302, {}],
    ['a cookie that is too short is nothing', () => cookie(JUNK.slice(0, -1)), 302, {}],
    ['a cookie that is too long is nothing', () => cookie(`${JUNK}B`), 302, {}],
    ['a cookie with a pattern is nothing', () => cookie(`v1.*.${'B'.repeat(43)}`), 302, {}],
    ['an empty cookie is nothing', () => cookie(''), 302, {}],
    [
      'two cookies are nothing',
      () => ({ Cookie: `${replicas().alice}; ${steps.SESSION_COOKIE}=${JUNK}` }),
      400,
      {},
    ],
    [
      'a token that may be used often is nothing',
      async () => ({ ...at('/api/'), Authorization: await bearer() }),
      200,
      {},
    ],
    ['a bad token is nothing', bad, 401, {}],
    ['a program without a token is nothing', () => ({ ...at('/api/'), Accept: '*/*' }), 401, {}],
    ['a foreign host is nothing', signed({ 'X-Forwarded-Host': 'x.example' }), 400, {}],
  ]

  test.for(cases)('%s', async ([, headers, status, commands]) => {
    const sent = await headers()
    let statuses: readonly number[] = []
    const carriedOut = await commandsDuring(async () => {
      statuses = await ask(replicas().first, sent)
    })
    expect(statuses).toEqual([status])
    expect(carriedOut).toEqual(commands)
  })

  test('with an idle timeout the first of many checks also writes, once for each record', async () => {
    const idle = await add({ SESSION_IDLE_TIMEOUT: '600' })
    const rounds = [{ get: TIMES, pexpire: 3 }, { get: TIMES }]
    for (const commands of rounds) {
      expect(await commandsDuring(() => ask(idle, { Cookie: replicas().alice }))).toEqual(commands)
    }
    expect(await commandsDuring(() => ask(idle, cookie(JUNK)))).toEqual({ get: TIMES })
  })

  test('where apps are given access tokens, a session is one MGET', async () => {
    const passing = await add({ PASS_ACCESS_TOKEN: 'true' })
    expect(await commandsDuring(() => ask(passing, { Cookie: replicas().alice }))).toEqual({
      mget: TIMES,
    })
    expect(await commandsDuring(() => ask(passing, {}))).toEqual({})
  })

  test('nobody can make the sign-in pages write anything before a provider has spoken', async () => {
    const browser = replicas().first.visitor()
    const commands = await commandsDuring(async () => {
      const visits = [
        await browser.get(steps.LOGIN),
        await browser.get(`${steps.LOGIN}?rd=${encodeURIComponent(`/${'x'.repeat(1500)}`)}`),
        await browser.get(`${steps.CALLBACK}?code=a&state=b`),
        await browser.get(`${steps.CALLBACK}?error=access_denied&state=b`),
      ]
      expect(visits.map(({ status }) => status)).toEqual([302, 302, 400, 400])
    })
    expect(browser.cookies.find(steps.BINDING_COOKIE)).toBeDefined()
    expect(commands).toEqual({})
  })

  test('a sign-in and a sign-out take a handful of commands', async () => {
    const signIn = await commandsDuring(() => replicas().signedIn('bob'))
    const { browser } = await replicas().signedIn('bob')
    const signOut = await commandsDuring(() => browser.post(steps.LOGOUT))
    const total = (commands: Commands) =>
      Object.values(commands).reduce((sum, calls) => sum + calls)
    expect(total(signIn)).toBeLessThanOrEqual(27)
    expect(total(signOut)).toBeLessThanOrEqual(12)
    expect(Object.keys({ ...signIn, ...signOut }).join()).not.toMatch(/keys|scan|flush|config/)
  })
})
