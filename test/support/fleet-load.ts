import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { OUTAGE_COOKIE } from './outage.ts'
import { watchOwnLag } from './own-lag.ts'
import { until } from './redis-state.ts'
import { APP } from './relying-party.ts'
import type { Replicas } from './replicas.ts'
import { createRequestPool, forwardedNavigation, type RequestPool } from './request-pool.ts'
import { cookieHeader, SESSION_COOKIE } from './sign-in-steps.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visitor } from './visitor.ts'

/** Signed-in user with the cookies of a browser. */
export interface Person {
  readonly user: string
  readonly browser: Visitor
}

export function signInPeople(replicas: Replicas, users: readonly string[]): Promise<Person[]> {
  return Promise.all(
    users.map(async (user) => ({ user, browser: (await replicas.signedIn(user)).browser })),
  )
}

/** Outcome of one request of one person. */
export interface Answered {
  readonly user: string
  readonly status: number
  readonly sentAtMs: number
  readonly tookMs: number
}

/** People who go on using the app while something happens, and what they see of it. */
export interface FleetLoad {
  readonly answers: readonly Answered[]
  /** Requests go to this replica as well. */
  readonly join: (replica: RunningVestibule) => Promise<void>
  /** Sends no more requests to this replica. */
  readonly leave: (replica: RunningVestibule) => void
  /** The session is about to be ended: it is no fault any more when it is refused. */
  readonly ending: (user: string) => void
  /** The session has just been ended: who is let in with it after `withinMs` is let in wrongly. */
  readonly ended: (user: string, withinMs: number) => void
  /** Everybody has been given an outage assertion: from now on nobody is to notice anything. */
  readonly warm: () => Promise<void>
  /** Answers are there that were asked for after this call. */
  readonly more: (count: number) => Promise<void>
  /** Resolves when the last answer is there. */
  readonly stop: () => Promise<Seen>
}

/** Outcome of a load: the answers, and the sources that they rested on. */
export interface Seen {
  readonly statuses: Readonly<Record<number, number>>
  readonly slowestMs: number
  /** Count of allowed checks by `source`. */
  readonly sources: Readonly<Record<string, number>>
  /** An answer that named another user, or let somebody in whose session had ended. */
  readonly wrongAllows: readonly string[]
  /** Somebody signed in was told to sign in, or lost a cookie. */
  readonly signOuts: readonly string[]
  readonly serverErrors: readonly Answered[]
  /** Requests without an answer, with another status, or with a cookie that should not come. */
  readonly oddities: readonly string[]
}

export interface FleetLoadOptions {
  /** Requests per second of all people together. */
  readonly perSecond?: number
}

/** A person's requests, one after the other: a page, then what it fetches. */
const turns = [
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
  { perSecond = 250 }: FleetLoadOptions = {},
): Promise<FleetLoad> {
  const routed = new Map<RunningVestibule, Routed>()
  const left: Routed[] = []
  const ends = new Map<string, number>()
  const answers: Answered[] = []
  const tally = createTally(ends)
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
      const setCookies = got['set-cookie'] ?? []
      for (const line of setCookies) browser.cookies.set(line, new URL(APP))
      const isAsset = what['Sec-Fetch-Dest'] === 'image'
      tally(answered, { named: got['x-auth-request-user'], setCookies, isAsset })
    } catch (error) {
      tally.odd(`${user}: ${String(error)}`)
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
    leave: (replica) => {
      const leaving = routed.get(replica)
      if (leaving) left.push(leaving)
      routed.delete(replica)
    },
    ending: (user) => void ends.set(user, Number.POSITIVE_INFINITY),
    ended: (user, withinMs) => void ends.set(user, performance.now() + withinMs),
    warm: () =>
      until('an assertion for everybody', () =>
        people.every(({ browser }) => browser.cookies.find(OUTAGE_COOKIE) !== undefined),
      ),
    more: async (count) => {
      const sinceMs = performance.now()
      while (answers.filter(({ sentAtMs }) => sentAtMs > sinceMs).length < count) await wait(10)
    },
    stop: async () => {
      isOver = true
      await users
      lag.end()
      const sources = await sumSources([...routed.values(), ...left])
      for (const { pool } of [...routed.values(), ...left]) pool[Symbol.dispose]()
      return { ...tally.seen(answers), sources }
    },
  }
}

interface AnswerDetails {
  readonly named: string | string[] | undefined
  readonly setCookies: readonly string[]
  readonly isAsset: boolean
}

const REFUSED = new Set([302, 303, 401])

function createTally(ends: ReadonlyMap<string, number>) {
  const wrongAllows: string[] = []
  const signOuts: string[] = []
  const oddities: string[] = []

  const take = (answered: Answered, { named, setCookies, isAsset }: AnswerDetails): void => {
    const { user, status, sentAtMs } = answered
    const endMs = ends.get(user) ?? Number.POSITIVE_INFINITY
    const text = `${user}: ${status} at ${sentAtMs.toFixed(0)}`
    if (status === 200 && named !== user) wrongAllows.push(`${text} as ${String(named)}`)
    if (status === 200 && sentAtMs > endMs) wrongAllows.push(`${text}, ended`)
    if (REFUSED.has(status) && !ends.has(user)) signOuts.push(text)
    if (status !== 200 && status < 500 && !REFUSED.has(status)) oddities.push(text)
    for (const line of setCookies) {
      const name = line.slice(0, line.indexOf('='))
      if (name === SESSION_COOKIE || /max-age=0(?:;|$)/i.test(line))
        signOuts.push(`${text} ${name}`)
      if (name !== OUTAGE_COOKIE || status !== 200 || isAsset) oddities.push(`${text} ${name}`)
    }
  }
  return Object.assign(take, {
    odd: (text: string) => void oddities.push(text),
    seen: (answers: readonly Answered[]) => ({
      statuses: countStatuses(answers),
      slowestMs: Math.max(0, ...answers.map(({ tookMs }) => tookMs)),
      wrongAllows,
      signOuts,
      serverErrors: answers.filter(({ status }) => status >= 500),
      oddities,
    }),
  })
}

function countStatuses(answers: readonly Answered[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** Asserts what somebody sees who was active when it began: nothing at all. */
export function expectUnnoticed({ statuses, wrongAllows, signOuts, oddities }: Seen): void {
  expect([...wrongAllows, ...signOuts, ...oddities]).toEqual([])
  expect(Object.keys(statuses)).toEqual(['200'])
}

/** Describes the outcome in one line for the log of the run. */
export function describeSeen({ statuses, sources, slowestMs, ...rest }: Seen): string {
  const counts = (of: object): string =>
    Object.entries(of)
      .map(([name, count]) => `${name} ×${count}`)
      .join(', ')
  return (
    `${counts(statuses)}, slowest ${slowestMs.toFixed(0)} ms; from ${counts(sources)}; ` +
    `${rest.wrongAllows.length} wrong allows, ${rest.signOuts.length} sign-outs, ` +
    `${rest.serverErrors.length} 5xx`
  )
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
