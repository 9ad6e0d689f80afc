import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, expect } from 'vitest'
import type { RefreshResult } from '../../src/session/refresh/result.ts'
import type { SeenProviderRequest } from '../../stand-ins/provider/front.ts'
import { OUTAGE_COOKIE, readMetric } from './outage.ts'
import { until } from './own-lag.ts'
import type { Behaviour, TestProvider } from './provider.ts'
import { HYBRID, type ReplicaOptions, startReplicas, untilStarted } from './replicas.ts'
import type { RunningVestibule } from './vestibule.ts'
import type { Visit, Visitor } from './visitor.ts'

export interface EndingSession {
  readonly browser: Visitor
  readonly cookie: string
  readonly sub: string
  readonly issuedAtMs: number
}

export type RefreshingReplicas = Awaited<ReturnType<typeof startRefreshingReplicas>>

/** Due for a refresh is who has used up three quarters of the life of the access token. */
const DUE_AFTER = 3 / 4

export async function startRefreshingReplicas(options: ReplicaOptions = {}) {
  const settings = { ...HYBRID, ...options.settings }
  const replicas = await startReplicas({ count: 3, ...options, settings })
  return {
    ...replicas,
    add: async (more?: Readonly<Record<string, string>>) => {
      const replica = await replicas.add(more)
      await untilStarted(replica)
      return replica
    },
    /** A fresh session at the first replica, whose access token lives this long; later ones live for an hour. */
    signedInFor: async (seconds: number, sub: string = 'alice') => {
      replicas.provider.set('token', tokensFor(seconds))
      const { browser, cookie } = await replicas.signedIn(sub)
      replicas.provider.reset('token')
      return { browser, cookie, sub, issuedAtMs: performance.now() }
    },
  }
}

/** Signs in so many sessions before the tests of a `describe` and waits until they are due; the result takes one. */
export function prepareDue(
  replicas: () => RefreshingReplicas,
  count: number,
  lifeSeconds: number,
  untilReady = untilDue,
): () => EndingSession {
  const due: EndingSession[] = []
  beforeAll(async () => {
    while (due.length < count) due.push(await replicas().signedInFor(lifeSeconds))
    await untilReady(performance.now(), lifeSeconds)
  })
  return () => {
    replicas().provider.forgetRequests()
    return due.pop() as EndingSession
  }
}

/** A token endpoint that does its work; its access tokens end after this, and its answer waits for what is done meanwhile. */
export function tokensFor(seconds: number, meanwhile?: () => unknown): Behaviour {
  return {
    rewrite: async (body) => {
      await meanwhile?.()
      return 'access_token' in body ? { ...body, expires_in: seconds } : body
    },
  }
}

/** Waits until an access token that was given with this life is to be refreshed, or has ended. */
export function untilDue(issuedAtMs: number, lifeSeconds: number): Promise<void> {
  return waitUntil(issuedAtMs + lifeSeconds * 1000 * DUE_AFTER)
}

export function untilEnded(issuedAtMs: number, lifeSeconds: number): Promise<void> {
  return waitUntil(issuedAtMs + lifeSeconds * 1000)
}

async function waitUntil(atMs: number): Promise<void> {
  await wait(Math.max(0, atMs - performance.now()) + 20)
}

export function refreshRequests(
  provider: Pick<TestProvider, 'requests'>,
): readonly SeenProviderRequest[] {
  return provider
    .requests('token')
    .filter(({ body }) => fieldOf(body, 'grant_type') === 'refresh_token')
}

export function presentedTokens(provider: Pick<TestProvider, 'requests'>): readonly string[] {
  return refreshRequests(provider).map(({ body }) => fieldOf(body, 'refresh_token'))
}

/** After a failure the provider is left alone for half a second at least. */
const LEFT_ALONE_MS = 500

/** Asserts that since then the provider was asked once about this session, and again only where a busy machine took too long. */
export function expectAskedOnce(provider: Pick<TestProvider, 'requests'>, sinceMs: number): void {
  const { length } = refreshRequests(provider)
  expect(length).toBeGreaterThan(0)
  expect(length).toBeLessThanOrEqual(1 + Math.floor((performance.now() - sinceMs) / LEFT_ALONE_MS))
}

function fieldOf(body: string, name: string): string {
  return new URLSearchParams(body).get(name) ?? ''
}

export function askEverywhere(
  all: readonly RunningVestibule[],
  cookie: string,
  times = 1,
): Promise<readonly Visit[]> {
  return Promise.all(
    all.flatMap((replica) =>
      Array.from({ length: times }, () => replica.check({}, { Cookie: cookie })),
    ),
  )
}

/** Asserts that all of these were let in as this user, and that no session cookie was touched. */
export function expectLetIn(visits: readonly Visit[], user = 'alice'): void {
  for (const { status, headers, setCookies } of visits) {
    expect([status, headers['x-auth-request-user']]).toEqual([200, user])
    expect(setCookies.filter((line) => !line.startsWith(`${OUTAGE_COOKIE}=`))).toEqual([])
  }
}

export async function expectGoesOn(
  all: readonly RunningVestibule[],
  cookie: string,
  user?: string,
): Promise<void> {
  return expectLetIn(await askEverywhere(all, cookie), user)
}

/** Asserts that each replica asks people to sign in, and programs too. */
export async function expectEnded(all: readonly RunningVestibule[], cookie: string): Promise<void> {
  for (const replica of all) {
    const page = await replica.check({}, { Cookie: cookie })
    const program = await replica.check(
      {},
      { Cookie: cookie, Accept: 'application/json', 'Sec-Fetch-Mode': 'cors' },
    )
    expect([page.status, program.status]).toEqual([302, 401])
    expect([...page.setCookies, ...program.setCookies]).toEqual([])
    expect(page.headers['x-auth-request-user']).toBeUndefined()
  }
}

/** How often that came of a refresh, over all replicas. */
export async function countResults(
  all: readonly RunningVestibule[],
  result: RefreshResult,
): Promise<number> {
  const sample = `vestibule_refreshes_total{result="${result}"}`
  const counts = await Promise.all(all.map((replica) => readMetric(replica, sample)))
  return counts.reduce((sum, count) => sum + count)
}

/** Waits until that came of a refresh so often, over all replicas. */
export function untilResult(
  all: readonly RunningVestibule[],
  result: RefreshResult,
  count: number,
): Promise<void> {
  const isSo = async () => (await countResults(all, result)) >= count
  return until(`${count} refreshes that are ${result}`, isSo, 60_000)
}

/** Access token that the app is given where `PASS_ACCESS_TOKEN` is set; empty when there is none. */
export function accessTokenOf({ headers }: Visit): string {
  return String(headers['x-auth-request-access-token'] ?? '')
}
