import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { connectProvider } from '../../src/oidc/discovery/provider.ts'
import { readMetric } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import { takeTime } from '../support/passing-time.ts'
import { faults } from '../support/provider.ts'
import { providerFetch } from '../support/provider-fetch.ts'
import { startLogin } from '../support/sign-in-steps.ts'
import { useParty } from '../support/used-party.ts'
import { rows } from '../support/words.ts'

/** Passes the second in which a provider is not asked again (finding C13). */
const time = takeTime()

const party = useParty({}, {}, ({ set }) => set('discovery', faults.unavailable))

beforeEach(() => time.pass(1000))

afterEach(() => void vi.useRealTimers())

function login() {
  return startLogin(party.visitor())
}

function discovered() {
  return readMetric(party.vestibule, 'vestibule_provider_discovered')
}

function announce(changes: Readonly<Record<string, unknown>>): void {
  party.provider.set('discovery', { rewrite: (metadata) => ({ ...metadata, ...changes }) })
}

const HOUR_MS = 60 * 60 * 1000

test.for<[string | undefined]>([
  ...rows`
    "http://127.0.0.1:{port}/" "http://127.0.0.1:{port}/tenant" "http://127.0.0.1:{port}?tenant=a"
    "http://127.0.0.1:{port}#a" "HTTP://127.0.0.1:{port}" "https://127.0.0.1:{port}"
    "http://127.0.0.1:1" "http://127.0.0.1" "http://127.1:{port}" "http://localhost:{port}"
    "http://user@127.0.0.1:{port}" "http://127.0.0.1:{port}\x20" "https://evil.example"
    "https://login.example/{tenantid}/v2.0" "" ["http://127.0.0.1:{port}"] null
  `(),
  [undefined],
])('metadata with another issuer are rejected: %s', async ([issuer]) => {
  const { port } = new URL(party.provider.issuer)
  announce({ issuer: issuer && JSON.parse(issuer.replace('{port}', port)) })
  const page = await login()
  expect([page.status, page.location]).toEqual([503, undefined])
  expect(page.headers).toMatchObject({ 'retry-after': '5', 'cache-control': 'no-store' })
  expect(await discovered()).toBe(0)
})

test('the log names the setting to change, and the check goes on answering', async () => {
  const { vestibule, provider } = party
  const issuer = `${provider.issuer}/tenant`
  announce({ issuer })
  const says = `the provider calls itself ${issuer}; set OIDC_ISSUER_URL to exactly that`
  await until(
    'the reason in the log',
    async () => {
      await login()
      return vestibule.log().some(({ reason }) => reason === says)
    },
    15_000,
  )
  expect([(await vestibule.check()).status, (await vestibule.check()).status]).toEqual([302, 302])
  expect((await vestibule.internal('/readyz')).status).toBe(200)
  expect((await vestibule.internal('/health?strict=1')).status).toBe(503)
})

test('the issuer as configured is accepted at once, without a restart', async () => {
  expect((await login()).location).toMatch(`${party.provider.issuer}/auth?`)
  expect(await discovered()).toBe(1)
})

test('metadata that are wrong an hour later leave the good ones in use and are reported', async () => {
  const { issuer } = party.provider
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const outcomes: unknown[] = []
  const connection = connectProvider({
    fetch: providerFetch,
    issuerUrl: issuer,
    clientId: party.provider.clientId,
    credentials: { method: 'none' },
    onDiscovered: () => outcomes.push(undefined),
    onDiscoveryFailed: (cause) => outcomes.push(cause),
  })
  try {
    await connection.firstAttempt
    expect(outcomes).toEqual([undefined])
    announce({ issuer: 'https://evil.example', token_endpoint: 'x' })
    await vi.advanceTimersByTimeAsync(HOUR_MS)
    await vi.waitUntil(() => outcomes.length === 2, { timeout: 30_000 })
    expect(outcomes[1]).toBeInstanceOf(Error)
    expect(connection.isDiscovered).toBe(true)
    const metadata = (await connection.configuration()).serverMetadata()
    expect(metadata).toMatchObject({ issuer, token_endpoint: `${issuer}/token` })
  } finally {
    connection.close()
  }
})
