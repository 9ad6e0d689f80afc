import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { quantile } from '../../support/fleet-load.ts'
import { expectStatus, statusAt, untilMetric } from '../../support/outage.ts'
import { print } from '../../support/own-lag.ts'
import { prepared } from '../../support/prepared.ts'
import { describeWithRedis, HYBRID, startReplicas } from '../../support/replicas.ts'
import {
  createRequestPool,
  forwardedNavigation,
  type PooledRequest,
  type RequestPool,
  statusOver,
} from '../../support/request-pool.ts'
import * as steps from '../../support/sign-in-steps.ts'

const HOSTILE_EACH_MS = 10
const HOSTILE_LOGINS = 20

/** Slices alternate with and without strangers, so that other work of the machine affects both alike. */
const SLICES = 16
const SLICE_MS = 1000
const MAX_RATIO = 1.5
const STRANGER = '203.0.113.66'
const timeout = 120_000
const headers = { Host: 'app.example.com', 'X-Forwarded-For': STRANGER, Accept: 'text/html' }

function madeUp(at: number): string {
  return `${steps.SESSION_COOKIE}=v1.${String(at).padStart(43, 'i')}.${'s'.repeat(43)}`
}

/** Options of a request from an address of its own. */
function from(at: number) {
  return { headers: { 'X-Forwarded-For': `198.51.100.${at}` } }
}

describeWithRedis('C11, C12, C13: a stranger at a hundred requests a second', () => {
  const fleet = prepared(() => startReplicas({ settings: HYBRID }))
  let browsers: RequestPool
  let checks: RequestPool
  let hostileChecks: RequestPool
  let logins: readonly { readonly cookie: string; readonly state: string }[]
  beforeAll(async () => {
    const { publicPort, internalPort, visitor } = fleet().first
    browsers = createRequestPool(publicPort, 64)
    checks = createRequestPool(internalPort, 1)
    hostileChecks = createRequestPool(internalPort, 16)
    logins = await Promise.all(
      Array.from({ length: HOSTILE_LOGINS }, async () => {
        const browser = visitor()
        const state = steps.sentAlong(await steps.startLogin(browser), 'state')
        return { state, cookie: steps.cookieHeader(browser) ?? '' }
      }),
    )
  })
  afterAll(() => [browsers, checks, hostileChecks].forEach((pool) => pool[Symbol.dispose]()))

  const kinds: readonly ((at: number) => readonly [RequestPool, PooledRequest])[] = [
    () => [browsers, { path: '/oauth2/login?rd=/', headers }],
    (at) => {
      const { state = '', cookie = '' } = logins[at % logins.length] ?? {}
      const iss = fleet().provider.issuer
      const query = new URLSearchParams({ state, code: `made-up-${at}`, iss }).toString()
      return [
        browsers,
        { path: `/oauth2/callback?${query}`, headers: { ...headers, Cookie: cookie } },
      ]
    },
    (at) => {
      const own = { 'Sec-Fetch-Site': 'same-origin', 'Content-Length': '0', Cookie: madeUp(at) }
      return [browsers, { method: 'POST', path: '/oauth2/logout', headers: { ...headers, ...own } }]
    },
    (at) => {
      const own = { ...forwardedNavigation, 'X-Forwarded-For': STRANGER, Cookie: madeUp(at) }
      return [hostileChecks, { path: '/auth', headers: own }]
    },
  ]
  let sent = 0
  const startStranger = (): NodeJS.Timeout =>
    setInterval(() => {
      const [pool, request] = (kinds[sent % kinds.length] as (typeof kinds)[number])(sent)
      sent += 1
      void pool.send(request)
    }, HOSTILE_EACH_MS)
  /** Asserts that checks with this cookie take no longer beside the stranger, by their medians. */
  const expectUnfelt = async (what: string, cookie: string) => {
    const samples: [quietMs: number[], hostileMs: number[]] = [[], []]
    for (let slice = 0; slice < SLICES; slice += 1) {
      const timer = slice % 2 ? startStranger() : undefined
      for (const endMs = performance.now() + SLICE_MS; performance.now() < endMs; ) {
        const startedAtMs = performance.now()
        expect(await statusOver(checks, cookie)).toBe(200)
        samples[slice % 2]?.push(performance.now() - startedAtMs)
        await wait(1)
      }
      clearInterval(timer)
    }
    const [quiet, hostile] = samples.map((each) => quantile(each, 0.5)) as [number, number]
    print(
      `strangers, Redis ${what}: p50 ${quiet.toFixed(2)} ms, beside them ${hostile.toFixed(2)} ms`,
    )
    expect(hostile / quiet).toBeLessThan(MAX_RATIO)
  }

  test('is not felt by who is signed in, and nobody’s sign-in or sign-out is refused', {
    timeout,
  }, async () => {
    await expectUnfelt('up', (await fleet().signedIn()).cookie)
    const timer = startStranger()
    for (let at = 0; at < 20; at += 1) {
      const { browser, callbackUrl } = await fleet().untilCallback()
      expect((await browser.get(callbackUrl, from(at))).status).toBe(302)
      expect((await browser.post(steps.LOGOUT, {}, from(at))).status).toBe(303)
    }
    clearInterval(timer)
  })

  test('is not felt while Redis is away, and nobody’s sign-out is refused', {
    timeout,
  }, async () => {
    const { first, network } = fleet()
    const people = await Promise.all(Array.from({ length: 20 }, () => fleet().signedIn()))
    const { cookie } = await fleet().signedIn('bob')
    expect(await statusAt(first, cookie)).toBe(200)
    await network.refuse()
    await untilMetric(first, 'vestibule_redis_connected', 0)
    await expectUnfelt('away', cookie)
    const timer = startStranger()
    for (const [at, { browser }] of people.entries()) {
      expect((await browser.post(steps.LOGOUT, {}, from(at))).status).toBe(303)
    }
    clearInterval(timer)
    await network.accept()
    await untilMetric(first, 'vestibule_revocations_waiting', 0)
    await expectStatus(302, first, ...people.map((each) => each.cookie))
    await expectStatus(200, first, cookie)
  })

  test('beside a provider that is down causes one discovery a second', { timeout }, async () => {
    const { provider } = fleet()
    await provider.pause()
    const late = await fleet().add()
    using pool = createRequestPool(late.publicPort, 64)
    const startedAtMs = performance.now()
    const statuses = new Set<number>()
    await provider.resume()
    provider.set('discovery', { status: 503, body: '' })
    provider.forgetRequests()
    await pool.sendMany(
      500,
      () => ({ path: '/oauth2/login?rd=/', headers }),
      ({ status }) => statuses.add(status),
    )
    const seconds = (performance.now() - startedAtMs) / 1000
    expect([...statuses]).toEqual([503])
    expect(provider.count('discovery')).toBeLessThanOrEqual(1 + seconds)
    const failures = late.log().filter(({ event }) => event === 'provider_discovery_failed')
    expect(failures.length).toBeLessThanOrEqual(2 + seconds)
    provider.reset()
    const browser = late.visitor()
    // The first may join an attempt that began before.
    await expect.poll(async () => (await steps.startLogin(browser)).status).toBe(302)
  })
})
