import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { OUTAGE_COOKIE } from './outage.ts'
import { until, watchOwnLag } from './own-lag.ts'
import { APP } from './relying-party.ts'
import type { Replicas } from './replicas.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type PooledAnswer,
  type RequestPool,
} from './request-pool.ts'
import { cookieHeader } from './sign-in-steps.ts'
import { tally } from './tally.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visitor } from './visitor.ts'

export interface Person {
  readonly user: string
  readonly browser: Visitor
}

export function signInPeople(replicas: Replicas, users: readonly string[]): Promise<Person[]> {
  return Promise.all(
    users.map(async (user) => ({ user, browser: (await replicas.signedIn(user)).browser })),
  )
}

export interface Answered {
  readonly user: string
  readonly status: number
  readonly sentAtMs: number
  readonly tookMs: number
}

/** People who go on using the app while something happens, and what they see of it. */
export type FleetLoad = Awaited<ReturnType<typeof startFleetLoad>>

/** Outcome of a load: the number of answers by status and by the sources that they rested on, and the mistakes. */
export type Seen = Awaited<ReturnType<FleetLoad['stop']>>

/** Headers of a page, of a script and of an image. */
export const turns = [
  { Accept: 'text/html', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' },
  { Accept: '*/*', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
  { Accept: 'image/*', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
] as const

const CONNECTIONS_PER_REPLICA = 16

interface Routed {
  readonly replica: RunningVestibule
  readonly pool: RequestPool
  readonly sourcesBefore: Sources
}

/** Starts people who each ask at a steady pace, at a random replica each time, and keep cookies as a browser does. */
export async function startFleetLoad(
  replicas: readonly RunningVestibule[],
  people: readonly Person[],
  { perSecond = 250 } = {},
) {
  const routed = new Map<RunningVestibule, Routed>()
  const left: Routed[] = []
  const answers: Answered[] = []
  const mistakes: string[] = []
  const lag = watchOwnLag()
  let isOver = false

  const join = async (replica: RunningVestibule): Promise<void> => {
    const sourcesBefore = await readSources(replica)
    const pool = createRequestPool(replica.internalPort, CONNECTIONS_PER_REPLICA)
    routed.set(replica, { replica, pool, sourcesBefore })
  }
  const ask = async ({ user, browser }: Person, turn: number): Promise<void> => {
    const all = [...routed.values()]
    const { pool } = all[Math.floor(Math.random() * all.length)] as Routed
    const what = turns[turn % turns.length] as (typeof turns)[number]
    const headers = { ...forwardedNavigation, ...what, Cookie: cookieHeader(browser) }
    const sentAtMs = performance.now()
    const lagBeforeMs = lag.lagMs()
    try {
      const { status, headers: got } = await pool.send({ path: '/auth', headers })
      const tookMs = performance.now() - sentAtMs - (lag.lagMs() - lagBeforeMs)
      const answered = { user, status, sentAtMs, tookMs }
      answers.push(answered)
      for (const line of got['set-cookie'] ?? []) browser.cookies.set(line, new URL(APP))
      mistakes.push(...mistakesOf(answered, got, what['Sec-Fetch-Dest'] === 'image'))
    } catch (error) {
      mistakes.push(`${user}: ${String(error)}`)
    }
  }
  const use = async (person: Person, at: number): Promise<void> => {
    const pauseMs = (1000 * people.length) / perSecond
    await wait(Math.random() * pauseMs)
    for (let turn = at; !isOver; turn += 1) {
      const nextAtMs = performance.now() + pauseMs
      await ask(person, turn)
      await wait(Math.max(1, nextAtMs - performance.now()))
    }
  }

  for (const replica of replicas) await join(replica)
  const users = Promise.all(people.map(use))
  return {
    answers,
    join,
    leave: (replica: RunningVestibule) => {
      const leaving = routed.get(replica)
      if (leaving) left.push(leaving)
      routed.delete(replica)
    },
    /** Everybody has been given an outage assertion: from now on nobody is to notice anything. */
    warm: () =>
      until('an assertion for everybody', () =>
        people.every(({ browser }) => browser.cookies.find(OUTAGE_COOKIE) !== undefined),
      ),
    /** Answers are there that were asked for after this call. */
    more: async (count: number) => {
      const sinceMs = performance.now()
      while (answers.filter(({ sentAtMs }) => sentAtMs > sinceMs).length < count) await wait(10)
    },
    stop: async () => {
      isOver = true
      await users
      lag.end()
      const sources = await sumSources([...routed.values(), ...left])
      for (const { pool } of [...routed.values(), ...left]) pool[Symbol.dispose]()
      return { statuses: tally(answers.map(({ status }) => status)), sources, mistakes }
    },
  }
}

/**
 * Returns what is wrong with an answer: it names another user, asks somebody signed in to sign in, takes a cookie away,
 * has another status, or has a cookie that should not come.
 */
function mistakesOf(
  { user, status, sentAtMs }: Answered,
  got: PooledAnswer['headers'],
  isAsset: boolean,
): readonly string[] {
  const text = `${user}: ${status} at ${sentAtMs.toFixed(0)}`
  const named = got['x-auth-request-user']
  const isWrong = status === 200 ? named !== user : status < 500
  const wrongCookies = (got['set-cookie'] ?? []).filter(
    (line) =>
      !line.startsWith(`${OUTAGE_COOKIE}=`) ||
      /max-age=0(?:;|$)/i.test(line) ||
      status !== 200 ||
      isAsset,
  )
  return [
    ...(isWrong ? [`${text} as ${String(named)}`] : []),
    ...wrongCookies.map((line) => `${text} ${line.split('=')[0]}`),
  ]
}

/** Asserts what somebody sees who was active when it began: nothing at all. */
export function expectUnnoticed({ mistakes, statuses }: Seen): void {
  expect([mistakes, Object.keys(statuses)]).toEqual([[], ['200']])
}

export type Sources = Readonly<Record<string, number>>

const ALLOWED = /^vestibule_checks_total\{outcome="allow",source="(\w+)"\} (\d+)$/gm

/** Checks that a replica has allowed so far, by what they rested on. */
export async function readSources(replica: RunningVestibule): Promise<Sources> {
  const { body } = await replica.internal('/metrics')
  const sources: Record<string, number> = {}
  for (const [, name = '', count] of body.matchAll(ALLOWED)) sources[name] = Number(count)
  return sources
}

async function sumSources(all: readonly Routed[]): Promise<Sources> {
  const sums: Record<string, number> = {}
  for (const { replica, sourcesBefore } of all) {
    if (!replica.isAlive()) continue
    for (const [name, count] of Object.entries(await readSources(replica))) {
      sums[name] = (sums[name] ?? 0) + count - (sourcesBefore[name] ?? 0)
    }
  }
  return sums
}

const WHOLE: readonly (readonly [sample: string, value: number])[] = [
  ['vestibule_redis_connected', 1],
  ['vestibule_circuit_breaker_state{breaker="read"}', 0],
  ['vestibule_circuit_breaker_state{breaker="write"}', 0],
  ['vestibule_backplane_healthy', 1],
]

/** Waits until every replica uses Redis again and hears the others; resolves with how long that took. */
export async function untilWhole(
  replicas: readonly RunningVestibule[],
  withinMs = 60_000,
): Promise<number> {
  const sinceMs = performance.now()
  for (const replica of replicas) {
    while (!(await isWhole(replica))) {
      if (performance.now() - sinceMs > withinMs) throw new Error('a replica never came back')
      await wait(20)
    }
  }
  return performance.now() - sinceMs
}

async function isWhole(replica: RunningVestibule): Promise<boolean> {
  const lines = new Set((await replica.internal('/metrics')).body.split('\n'))
  return WHOLE.every(([sample, value]) => lines.has(`${sample} ${value}`))
}

/** The value below which this share of them lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}
