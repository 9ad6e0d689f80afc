import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { connectProvider } from '../../src/oidc/provider.ts'
import { takeTime } from '../support/passing-time.ts'
import { faults, startTestProvider, type TestProvider } from '../support/provider.ts'
import { until } from '../support/redis-state.ts'
import { APP } from '../support/relying-party.ts'
import { type RunningVestibule, startVestibule } from '../support/vestibule.ts'

/** So that no test waits for the second in which a provider is not asked again (finding C13). */
const time = takeTime()
let provider: TestProvider
let vestibule: RunningVestibule

beforeAll(async () => {
  provider = await startTestProvider({ origins: [APP] })
  provider.set('discovery', faults.unavailable)
  vestibule = await startVestibule({
    OIDC_ISSUER_URL: provider.issuer,
    OIDC_CLIENT_ID: provider.clientId,
    OIDC_CLIENT_SECRET: provider.clientSecret,
  })
})
afterAll(async () => {
  await vestibule.stop()
  await provider.close()
  time[Symbol.dispose]()
})
beforeEach(() => time.pass(1000))
afterEach(() => void vi.useRealTimers())

const login = () => vestibule.visitor().get(`${APP}/oauth2/login?rd=/`)
const discovered = async () =>
  /^vestibule_provider_discovered (\d)$/m.exec((await vestibule.internal('/metrics')).body)?.[1]

const HOUR_MS = 60 * 60 * 1000

describe('A96 discovery issuer mismatch and changed issuer', () => {
  test.for<[string, (issuer: string) => unknown]>([
    ['a slash more', (issuer) => `${issuer}/`],
    ['a path more', (issuer) => `${issuer}/tenant`],
    ['a query more', (issuer) => `${issuer}?tenant=a`],
    ['a fragment more', (issuer) => `${issuer}#a`],
    ['the scheme in capitals', (issuer) => issuer.replace('http', 'HTTP')],
    ['https', (issuer) => issuer.replace('http', 'https')],
    ['another port', (issuer) => issuer.replace(/:\d+$/, ':1')],
    ['no port', (issuer) => issuer.replace(/:\d+$/, '')],
    ['another spelling of the address', (issuer) => issuer.replace('127.0.0.1', '127.1')],
    ['a name for the address', (issuer) => issuer.replace('127.0.0.1', 'localhost')],
    ['user info', (issuer) => issuer.replace('//', '//user@')],
    ['a blank behind it', (issuer) => `${issuer} `],
    ['another host', () => 'https://evil.example'],
    ['a template', () => 'https://login.example/{tenantid}/v2.0'],
    ['nothing', () => undefined],
    ['an empty text', () => ''],
    ['a list', (issuer) => [issuer]],
    ['null', () => null],
  ])('metadata whose issuer has %s are rejected', async ([, change], { expect }) => {
    provider.set('discovery', {
      rewrite: (metadata) => ({ ...metadata, issuer: change(provider.issuer) }),
    })
    const page = await login()
    expect(page.status).toBe(503)
    expect(page.headers['retry-after']).toBe('5')
    expect(page.headers['cache-control']).toBe('no-store')
    expect(page.location).toBeUndefined()
    expect(await discovered()).toBe('0')
  })

  test('the log says what to set, and the check goes on answering', async () => {
    const issuer = `${provider.issuer}/tenant`
    provider.set('discovery', { rewrite: (metadata) => ({ ...metadata, issuer }) })
    const says = `the provider calls itself ${issuer}; set OIDC_ISSUER_URL to exactly that`
    await until(
      'the reason in the log',
      async () => {
        await login()
        return vestibule.log().some(({ reason }) => reason === says)
      },
      15_000,
    )
    expect((await vestibule.check()).status).toBe(302)
    expect((await vestibule.check()).status).toBe(302)
    expect((await vestibule.internal('/readyz')).status).toBe(200)
    expect((await vestibule.internal('/health?strict=1')).status).toBe(503)
  })

  test('the issuer as configured is accepted at once, without a restart', async () => {
    provider.reset()
    expect((await login()).location).toMatch(`${provider.issuer}/auth?`)
    expect(await discovered()).toBe('1')
    expect(vestibule.isAlive()).toBe(true)
  })

  test('metadata that are wrong an hour later leave the good ones in use and are reported', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const outcomes: unknown[] = []
    const connection = connectProvider({
      issuerUrl: provider.issuer,
      clientId: provider.clientId,
      credentials: { method: 'none' },
      onDiscovered: () => outcomes.push(undefined),
      onDiscoveryFailed: (cause) => outcomes.push(cause),
    })
    try {
      await connection.firstAttempt
      expect(outcomes).toEqual([undefined])
      provider.set('discovery', {
        rewrite: (metadata) => ({
          ...metadata,
          issuer: 'https://evil.example',
          token_endpoint: 'x',
        }),
      })
      await vi.advanceTimersByTimeAsync(HOUR_MS)
      await vi.waitUntil(() => outcomes.length === 2, { timeout: 30_000 })
      expect(outcomes[1]).toBeInstanceOf(Error)
      expect(connection.isDiscovered).toBe(true)
      const metadata = (await connection.configuration()).serverMetadata()
      expect(metadata).toMatchObject({
        issuer: provider.issuer,
        token_endpoint: `${provider.issuer}/token`,
      })
    } finally {
      connection.close()
      provider.reset()
    }
  })
})
