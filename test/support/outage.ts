import { expect } from 'vitest'
import { BUSY_MS, timed, until } from './own-lag.ts'
import { APP } from './relying-party.ts'
import { cookieHeader, LOGOUT, SESSION_COOKIE } from './sign-in-steps.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visit, VisitHeaders, Visitor } from './visitor.ts'

export const WITHOUT_GRACE = { SESSION_OUTAGE_GRACE: '0' } as const

export const OUTAGE_COOKIE = `${SESSION_COOKIE}_outage`

/** The time a check gives the store. */
export const CHECK_WITHIN_MS = 250 + BUSY_MS
/** Bounds a recovery: the longest pause between attempts to connect, and the interval of a breaker's probes. */
export const RECOVERY_WITHIN_MS = 1500 + 1000 + 2 * BUSY_MS
/**
 * Attempts to connect within so many seconds: pauses grow from 25 ms to a second, and are half of that at least.
 */
export function mostAttempts(connections: number, seconds: number): number {
  return connections * (8 + 2 * seconds)
}
/** Time after which a replica that has not recovered is given up. */
export const GIVEN_UP_AFTER_MS = 60_000

export const script: VisitHeaders = {
  Accept: 'application/json',
  'Sec-Fetch-Mode': 'cors',
  'Sec-Fetch-Dest': 'empty',
}

/** Asserts the one answer to somebody whose session cannot be told: come again, with all that you have. */
export function expectComeAgain(
  visit: Visit,
  kind: 'page' | 'quiet page' | 'json' = 'page',
  error: 'store_unavailable' | 'provider_unavailable' = 'store_unavailable',
): void {
  const { status, headers, setCookies, location, body } = visit
  expect(status).toBe(503)
  expect(headers).toMatchObject({ 'retry-after': '5', 'cache-control': 'no-store' })
  expect(setCookies).toEqual([])
  expect(location).toBeUndefined()
  expect(headers['x-auth-request-user']).toBeUndefined()
  if (kind === 'json') {
    expect(headers['content-type']).toMatch(/^application\/json/)
    expect(JSON.parse(body)).toMatchObject({ error })
  } else {
    expect(headers['content-type']).toMatch(/^text\/html/)
    expect(body.includes('http-equiv="refresh"')).toBe(kind === 'page')
    expect(body.includes('tries again by itself')).toBe(kind === 'page')
  }
}

const asks = [
  ['page', { uri: '/reports?id=1' }, {}],
  ['json', { uri: '/api' }, script],
  ['quiet page', { method: 'POST' }, {}],
  ['json', { method: 'POST' }, script],
] as const

function askAll(
  vestibule: RunningVestibule,
  cookie: string,
  expectAnswer: (visit: Visit, kind: (typeof asks)[number][0]) => void,
): Promise<unknown> {
  return Promise.all(
    asks.map(async ([kind, forwarded, headers]) => {
      const asked = vestibule.check(forwarded, { ...headers, Cookie: cookie })
      const { value, ownMs } = await timed(asked)
      expectAnswer(value, kind)
      expect(ownMs).toBeLessThan(CHECK_WITHIN_MS)
    }),
  )
}

/** Asserts what a signed-in visitor's checks are told, and in what time, where nothing stands in for Redis. */
export async function expectChecksRefused(
  vestibule: RunningVestibule,
  cookie: string,
): Promise<void> {
  await askAll(vestibule, cookie, expectComeAgain)
}

/** Asserts that a visitor's checks pass while Redis cannot be read, and what they rest on. */
export async function expectChecksStoodIn(
  vestibule: RunningVestibule,
  cookie: string,
  reason: 'l1' | 'assertion',
  user = 'alice',
): Promise<void> {
  const sample = `vestibule_degraded_decisions_total{use="session",reason="${reason}"}`
  const before = await readMetric(vestibule, sample)
  await askAll(vestibule, cookie, ({ status, headers, setCookies }) => {
    expect([status, headers['x-auth-request-user']]).toEqual([200, user])
    expect(setCookies).toEqual([])
  })
  expect(await readMetric(vestibule, sample)).toBeGreaterThanOrEqual(before + asks.length)
}

/** Asserts that whoever does not need Redis does not feel that it is away. */
export async function expectOthersServed(vestibule: RunningVestibule): Promise<void> {
  const [stranger, program, anyone, live, ready] = await Promise.all([
    vestibule.check(),
    vestibule.check({}, script),
    vestibule.check({ uri: '/public/logo.svg' }, { Cookie: `${SESSION_COOKIE}=of-no-use` }),
    vestibule.internal('/livez'),
    vestibule.internal('/readyz'),
  ])
  expect(stranger.status).toBe(302)
  expect(stranger.setCookies).toEqual([])
  expect(program.status).toBe(401)
  expect(anyone.status).toBe(200)
  expect(live.status).toBe(200)
  expect(ready.status).toBe(200)
  expect(vestibule.isAlive()).toBe(true)
}

interface Health {
  readonly status: string
  readonly cache: {
    readonly redis: {
      readonly connected: boolean
      readonly findings: readonly { readonly code: string; readonly message: string }[]
    }
  }
  readonly fleet: {
    readonly replicas: number
    readonly findings: readonly { readonly kind: string; readonly message: string }[]
  }
}

export async function readHealth(vestibule: RunningVestibule): Promise<Health> {
  return JSON.parse((await vestibule.internal('/health')).body) as Health
}

/** `connected` where Redis answers and refuses writes. */
export function expectUnhealthy(vestibule: RunningVestibule, connected = false): Promise<void> {
  return expectHealth(vestibule, 'degraded', connected)
}

export function expectHealthy(vestibule: RunningVestibule): Promise<void> {
  return expectHealth(vestibule, 'healthy', true)
}

async function expectHealth(vestibule: RunningVestibule, status: string, connected: boolean) {
  expect(await readHealth(vestibule)).toMatchObject({ status, cache: { redis: { connected } } })
  expect((await vestibule.internal('/health?strict=1')).status).toBe(
    status === 'healthy' ? 200 : 503,
  )
}

export async function readMetric(vestibule: RunningVestibule, sample: string): Promise<number> {
  const { body } = await vestibule.internal('/metrics')
  const line = body.split('\n').find((each) => each.startsWith(`${sample} `))
  return Number(line?.slice(sample.length + 1) ?? 0)
}

export function redisErrors(vestibule: RunningVestibule, failure: string): Promise<number> {
  return readMetric(vestibule, `vestibule_redis_errors_total{class="${failure}"}`)
}

export function countEvents(vestibule: Pick<RunningVestibule, 'log'>, event: string): number {
  return vestibule
    .log()
    .reduce((count, line) => count + (line['event'] === event ? 1 : 0) + leftOut(line, event), 0)
}

/** Lines of which only the number is told, a second later. */
function leftOut(line: Readonly<Record<string, unknown>>, event: string): number {
  const { of, suppressed } = line as { of?: { event?: string }; suppressed?: number }
  return of?.event === event ? (suppressed ?? 0) : 0
}

/** Waits until the visitor's check passes again, with the cookie that there was. */
export async function expectRecovery(
  vestibule: RunningVestibule,
  cookie: string,
  user = 'alice',
): Promise<void> {
  const { ownMs } = await timed(
    until(
      'a check that passes',
      async () => {
        const visit = await vestibule.check({}, { Cookie: cookie })
        if (visit.status !== 200) expectComeAgain(visit)
        else expect(visit.headers['x-auth-request-user']).toBe(user)
        return visit.status === 200
      },
      GIVEN_UP_AFTER_MS,
    ),
  )
  expect(ownMs).toBeLessThan(RECOVERY_WITHIN_MS)
}

/** Finishes a sign-in that could not be finished before. The breaker may have opened, and is tried again each second. */
export async function expectSignInFinished(browser: Visitor, callbackUrl: string): Promise<void> {
  return until(
    'a sign-in',
    async () => {
      const visit = await browser.get(callbackUrl)
      if (visit.status === 503) expectComeAgain(visit)
      else expect(visit.location).toBe(`${APP}/`)
      return visit.status !== 503
    },
    GIVEN_UP_AFTER_MS,
  )
}

export function signOut(browser: Visitor): Promise<Visit> {
  return browser.post(LOGOUT)
}

function revocationsWaiting(vestibule: RunningVestibule): Promise<number> {
  return readMetric(vestibule, 'vestibule_revocations_waiting')
}

/** Asserts that a sign-out counts, and that its user reads that it may not count everywhere yet. */
export function expectSignOutPending(browser: Visitor, { status, location }: Visit): void {
  const state = URL.parse(location ?? '')?.searchParams.get('state')
  expect([status, typeof state]).toEqual([303, 'string'])
  expect(browser.cookies.find(SESSION_COOKIE)).toBeUndefined()
  expect(browser.cookies.find(OUTAGE_COOKIE)).toBeUndefined()
}

/**
 * Signs out, while Redis cannot be written, at the replica that the browser reaches: there the session has ended, and
 * the page says that it may not have elsewhere.
 */
export async function expectSignOutDeferred(
  vestibule: RunningVestibule,
  browser: Visitor,
): Promise<void> {
  const cookie = cookieHeader(browser)
  const waitingBefore = await revocationsWaiting(vestibule)
  const visit = await signOut(browser)
  expectSignOutPending(browser, visit)
  const state = URL.parse(visit.location ?? '')?.searchParams.get('state')
  const page = await browser.get(`${APP}/oauth2/signed-out?state=${state}`)
  expect(page.body).toContain('cannot reach all our servers right now')
  expect(await revocationsWaiting(vestibule)).toBe(waitingBefore + 1)
  expect(vestibule.log().findLast((line) => line['event'] === 'sign_out')).toMatchObject({
    ending: 'pending',
  })
  expect((await vestibule.check({}, { Cookie: cookie })).status).toBe(302)
  expect((await vestibule.check({}, { ...script, Cookie: cookie })).status).toBe(401)
}

/** Waits until Redis has been told of what was signed out meanwhile, and asserts that no replica lets it in. */
export async function expectEndedEverywhere(
  all: readonly RunningVestibule[],
  cookies: readonly string[],
): Promise<void> {
  await until('a Redis that has been told of all', async () => {
    const waiting = await Promise.all(all.map(revocationsWaiting))
    return waiting.every((count) => count === 0)
  })
  await expectStatus(302, all, ...cookies)
}

export async function untilMetric(
  replica: RunningVestibule,
  sample: string,
  value: number,
  withinMs?: number,
): Promise<void> {
  await until(sample, async () => (await readMetric(replica, sample)) === value, withinMs)
}

/** Waits until this event stands in the log as often, or more often. */
export async function untilEvent(replica: RunningVestibule, event: string, count = 1) {
  await until(event, () => countEvents(replica, event) >= count)
}

export function untilHealthy(replica: RunningVestibule, withinMs?: number): Promise<void> {
  const isHealthy = async () => (await replica.internal('/health?strict=1')).status === 200
  return until('health', isHealthy, withinMs)
}

export async function statusAt(replica: RunningVestibule, cookie?: string): Promise<number> {
  return (await replica.check({}, { Cookie: cookie })).status
}

export function statusesAt(all: readonly RunningVestibule[], cookie?: string): Promise<number[]> {
  return Promise.all(all.map((replica) => statusAt(replica, cookie)))
}

/** Asserts that each of these replicas answers a page request with each of these cookies with this status. */
export async function expectStatus(
  status: number,
  at: RunningVestibule | readonly RunningVestibule[],
  ...cookies: readonly (string | undefined)[]
): Promise<void> {
  const all = 'check' in at ? [at] : at
  for (const cookie of cookies) {
    expect(await statusesAt(all, cookie)).toEqual(all.map(() => status))
  }
}
