import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ConfiguredSessions, openConfiguredSessions } from '../../src/compose-sessions.ts'
import { loadConfig } from '../../src/config.ts'
import { parseSessionCookie, type SessionCredential } from '../../src/core/session.ts'
import { createKeyRing } from '../../src/seal.ts'
import { consumptionKey } from '../../src/store/one-time-keys.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createAuthority } from '../support/certificates.ts'
import { startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startWatchedRedis } from '../support/redis-sentinel.ts'
import { settingsFor } from '../support/redis-settings.ts'
import { until } from '../support/redis-state.ts'
import { SERVER_KEY } from '../support/replicas.ts'

type Settings = Readonly<Record<string, string>>

interface Reached {
  readonly settings: Settings
  readonly stop: () => Promise<void>
}

const TOPOLOGIES: Readonly<Record<string, () => Promise<Reached>>> = {
  'a single server': async () => {
    const redis = await startRedis()
    return { settings: { REDIS_URL: redis.url }, stop: redis.stop }
  },
  TLS: async () => {
    const redis = await startRedis({ tls: { authority: await createAuthority() } })
    const settings = {
      REDIS_ADDRESS: `127.0.0.1:${redis.port},ssl=True`,
      REDIS_CA_FILE: redis.clientFiles.ca,
    }
    return { settings, stop: redis.stop }
  },
  Sentinel: async () => {
    const redis = await startWatchedRedis()
    return { settings: settingsFor(redis.target), stop: async () => redis[Symbol.asyncDispose]() }
  },
  Cluster: async () => {
    const redis = await startCluster({ shards: 3 })
    return { settings: settingsFor(redis.target), stop: async () => redis[Symbol.asyncDispose]() }
  },
}

const REALM = 'app.example.com'
const OTHER_REALM = 'other.example.com'
/** A lost message would show only after it. */
const L1_SECONDS = 30

const openReplica = (settings: Settings, mode: string): ConfiguredSessions => {
  const config = loadConfig({
    PROTECTED_HOSTS: REALM,
    ALLOW_ANY_USER: 'true',
    OIDC_ISSUER_URL: 'https://id.example.com',
    OIDC_CLIENT_ID: 'vestibule',
    SESSION_ENCRYPTION_KEY: SERVER_KEY,
    REDIS_ENABLED: 'true',
    REDIS_CACHE_MODE: mode,
    REDIS_HYBRID_L1_TTL: String(L1_SECONDS),
    ...settings,
  })
  const nothing = { clear: () => undefined, size: 0, recall: () => undefined }
  return openConfiguredSessions({
    config,
    log: createLog('silent'),
    metrics: createMetrics({
      openedSessions: () => 0,
      isProviderDiscovered: () => true,
      revocationsWaiting: () => 0,
    }),
    ring: createKeyRing(config.keys ?? []),
    verifier: { ...nothing, verify: () => Promise.reject(new Error('no tokens here')) },
    version: '1.0.0',
    now: Date.now,
  })
}

describe.for(
  Object.entries(TOPOLOGIES).flatMap(([name, reach]) =>
    ['redis', 'hybrid'].map((mode) => [mode, name, reach] as const),
  ),
)('sessions of two replicas in %s mode over %s', ([mode, , reach]) => {
  let reached: Reached
  let [one, other]: ConfiguredSessions[] = []
  const both = () => [one as ConfiguredSessions, other as ConfiguredSessions]
  beforeAll(async () => {
    reached = await reach()
    one = openReplica(reached.settings, mode)
    other = openReplica(reached.settings, mode)
    for (const { state } of both()) {
      await until('a healthy backplane', () => state.backplane.epoch !== undefined, 10_000)
    }
  })
  afterAll(async () => {
    for (const { closeState } of both()) await closeState()
    await reached.stop()
  })

  const open = async (sid = 'sid', realm = REALM): Promise<SessionCredential> => {
    const cookie = await (one as ConfiguredSessions).sessions.open({
      identity: { issuer: 'https://id.example.com', subject: 'u', groups: ['a'], claims: {} },
      tokens: { idToken: 'id', accessToken: 'access' },
      metadata: {
        subject: 'u',
        displayName: 'U',
        owners: { user: consumptionKey('u'), providerSession: consumptionKey(sid) },
      },
      realm,
    })
    return parseSessionCookie(cookie) as SessionCredential
  }
  /** As a check does it. */
  const find = async ({ sessions }: ConfiguredSessions, held: SessionCredential, realm = REALM) =>
    sessions.recall(held, realm) ?? (await sessions.find(held, realm))
  const isRefused = async (replica: ConfiguredSessions, held: SessionCredential, realm = REALM) =>
    (await find(replica, held, realm)) === undefined

  test('one that is opened at one is found at both, and is the same', async () => {
    const held = await open()
    for (const replica of both()) {
      const found = await find(replica, held)
      expect(found?.session.identity).toMatchObject({ subject: 'u', groups: ['a'] })
      const again = await find(replica, held)
      expect(again?.session).toEqual(found?.session)
      expect(again?.source).toBe(mode === 'hybrid' ? 'memory' : 'store')
    }
  })

  test('neither another secret nor another realm finds it, warm or not', async () => {
    const held = await open()
    const forged = { ...held, secret: 'B'.repeat(43) }
    for (const replica of both()) {
      expect(await isRefused(replica, forged)).toBe(true)
      expect(await find(replica, held)).toBeDefined()
      expect(await isRefused(replica, forged)).toBe(true)
      expect(await isRefused(replica, held, OTHER_REALM)).toBe(true)
    }
  })

  test('one that is ended at one is refused there at once, and at the other as soon as it hears', async () => {
    const held = await open()
    for (const replica of both()) expect(await find(replica, held)).toBeDefined()
    const [first, second] = both() as [ConfiguredSessions, ConfiguredSessions]
    expect(await second.sessions.signOut(held)).toBe('done')
    expect(await isRefused(second, held)).toBe(true)
    await until('a refusal', () => isRefused(first, held), 1000)
  })

  test('all of one session at the provider end together', async () => {
    const [here, there] = [await open('shared'), await open('shared', OTHER_REALM)]
    const bystander = await open('another')
    const [first, second] = both() as [ConfiguredSessions, ConfiguredSessions]
    expect(await find(second, there, OTHER_REALM)).toBeDefined()
    expect(await first.sessions.signOut(here)).toBe('done')
    await until('a refusal', () => isRefused(second, there, OTHER_REALM), 1000)
    for (const replica of both()) expect(await find(replica, bystander)).toBeDefined()
  })

  test('what an operator clears is read again, and nobody is signed out', async () => {
    const held = await open()
    const [first, second] = both() as [ConfiguredSessions, ConfiguredSessions]
    await find(second, held)
    await first.state.backplane.publish({ type: 'clear', region: 'sessions' })
    await until('an empty memory', () => second.caches.size('sessions') === 0)
    expect((await find(second, held))?.source).toBe('store')
  })
})
