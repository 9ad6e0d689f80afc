import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ConfiguredSessions, openConfiguredSessions } from '../../src/compose-sessions.ts'
import { loadConfig } from '../../src/config.ts'
import { parseSessionCookie, type SessionCredential } from '../../src/core/session.ts'
import { createKeyRing } from '../../src/seal.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { describeWithRedis } from '../support/describe-with-redis.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { openRedisBytes } from '../support/redis-bytes.ts'
import { until } from '../support/redis-state.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { SERVER_KEY } from '../support/replicas.ts'
import {
  DAY_MS,
  digestOf,
  newSession,
  outage,
  REALM,
  type StartedSessionsOptions,
  sessionOf,
  startSessions,
} from '../support/started-sessions.ts'

const alice = sessionOf('alice', 'sid')
const { user } = alice.metadata.owners

/** Sessions of which a user may have three. */
const start = (changes: StartedSessionsOptions = {}) => {
  const started = startSessions({ perUser: 3, ...changes })
  const openMany = async (count: number, of: Partial<typeof newSession> = alice) => {
    const opened: SessionCredential[] = []
    for (let at = 0; at < count; at += 1) {
      started.elapse(1000)
      opened.push(await started.open(of))
    }
    return opened
  }
  const alive = async (credentials: readonly SessionCredential[], realm = REALM) => {
    const found = credentials.map((each) => started.sessions.find(each, realm))
    return (await Promise.all(found)).map((each) => each !== undefined)
  }
  return { ...started, openMany, alive }
}

describe('C14: a user has at most so many sessions', () => {
  test('C14: the oldest goes, and nobody else’s', async () => {
    const { openMany, alive, replaced, index } = start()
    const bobs = await openMany(3, sessionOf('bob', 'sid'))
    const hers = await openMany(5)
    expect(await alive(hers)).toEqual([false, false, true, true, true])
    expect(await alive(bobs)).toEqual([true, true, true])
    expect(replaced).toEqual([1, 1])
    expect(await index.list('user', user)).toEqual(hers.slice(2).map(digestOf))
  })

  test('C14: those of all hosts count together', async () => {
    const { openMany, alive } = start()
    const elsewhere = await openMany(2, { ...alice, realm: 'other.example.com' })
    const here = await openMany(2)
    expect(await alive(elsewhere, 'other.example.com')).toEqual([false, true])
    expect(await alive(here)).toEqual([true, true])
  })

  test('C14: what counts is when they began, not when they end', async () => {
    const { openMany, alive, index } = start()
    const hers = await openMany(3)
    await index.add(digestOf(hers[0] as SessionCredential), { user }, 30 * DAY_MS)
    const last = await openMany(1)
    expect(await alive([...hers, ...last])).toEqual([false, true, true, true])
  })

  test('C14: at one moment it is the same one everywhere', async () => {
    const { open, sessions } = start({ perUser: 1 })
    const hers = [await open(alice), await open(alice)]
    const found = await Promise.all(hers.map((each) => sessions.find(each, REALM)))
    const [first, second] = hers.map(digestOf) as [string, string]
    expect(found.map((each) => each !== undefined)).toEqual([first > second, second > first])
  })

  test('C14: entries that lead nowhere do not count, and go', async () => {
    const { openMany, alive, index, replaced } = start()
    for (let at = 0; at < 150; at += 1) await index.add(`lost-${at}`, { user }, DAY_MS)
    const hers = await openMany(3)
    expect(await alive(hers)).toEqual([true, true, true])
    expect(await index.list('user', user)).toEqual(hers.map(digestOf))
    expect(replaced).toEqual([])
  })

  test('C14: an entry that leads to somebody else’s session ends nothing', async () => {
    const { openMany, alive, index } = start()
    const bobs = await openMany(3, sessionOf('bob'))
    for (const each of bobs) await index.add(digestOf(each), { user }, DAY_MS)
    const hers = await openMany(3)
    expect(await alive([...bobs, ...hers])).toEqual(Array(6).fill(true))
  })

  test('C14: a session that comes while its entry is removed keeps its entry', async () => {
    const started = start({
      wrap: (store) => ({
        ...store,
        create: async (digest, records, ttlMs) => {
          await started.index.remove(digest, { user })
          await store.create(digest, records, ttlMs)
        },
      }),
    })
    const [hers] = await started.openMany(1)
    expect(await started.index.list('user', user)).toEqual([digestOf(hers as SessionCredential)])
  })

  test('C14: and so does one that was not there yet', async () => {
    let isLate = true
    const { openMany, index } = start({
      wrap: (store) => ({
        ...store,
        read: async (digest, parts) => {
          if (digest !== 'late') return store.read(digest, parts)
          const found = isLate ? {} : { m: Buffer.from('of another key') }
          isLate = false
          return found
        },
      }),
    })
    await index.add('late', { user }, DAY_MS)
    const hers = await openMany(3)
    expect((await index.list('user', user)).toSorted()).toEqual(
      ['late', ...hers.map(digestOf)].toSorted(),
    )
  })

  test('C14: a store that goes away in between spoils no sign-in', async () => {
    let isAway = false
    const { openMany, alive } = start({
      wrap: (store) => ({ ...store, end: (...args) => (isAway ? outage() : store.end(...args)) }),
    })
    const hers = await openMany(3)
    isAway = true
    hers.push(...(await openMany(1)))
    expect(await alive(hers)).toEqual([true, true, true, true])
    isAway = false
    hers.push(...(await openMany(1)))
    expect(await alive(hers)).toEqual([false, false, true, true, true])
  })

  test('C14: and a fault of ours is not taken for that', async () => {
    const { openMany } = start({
      wrap: (store) => ({ ...store, end: () => Promise.reject(new TypeError('a fault')) }),
    })
    await openMany(3)
    await expect(openMany(1)).rejects.toThrow('a fault')
  })
})

test('C14: a sign-in beyond SESSIONS_PER_USER ends the oldest, and the log says so', async () => {
  await using party = await startRelyingParty({ SESSIONS_PER_USER: '2' })
  const { vestibule } = party
  const others = await vestibule.signIn('bob')
  const hers: string[] = []
  for (let at = 0; at < 3; at += 1) hers.push(await vestibule.signIn('alice'))
  const statuses = [others, ...hers].map(async (Cookie) => {
    return (await vestibule.check({}, { Cookie })).status
  })
  expect(await Promise.all(statuses)).toEqual([200, 302, 200, 200])
  const lines = vestibule.log().filter(({ event }) => event === 'sessions_replaced')
  expect(lines).toMatchObject([{ level: 'info', count: 1, user: expect.any(String) as string }])
})

describeWithRedis('C14: over replicas', () => {
  let redis: RunningRedis
  let replicas: ConfiguredSessions[]

  beforeAll(async () => {
    redis = await startRedis()
    replicas = [openReplica(redis.url), openReplica(redis.url), openReplica(redis.url)]
    for (const { state } of replicas) {
      await until('a healthy backplane', () => state.backplane.epoch !== undefined, 10_000)
    }
  })
  afterAll(async () => {
    for (const { closeState } of replicas ?? []) await closeState()
    await redis?.stop()
  })

  const openAt = async (replica: number, of: Pick<typeof newSession, 'identity' | 'metadata'>) => {
    const { sessions } = replicas[replica % replicas.length] as ConfiguredSessions
    const generation = await sessions.currentGeneration()
    const tokens = { idToken: 'id', accessToken: 'access', generation }
    return parseSessionCookie(
      await sessions.open({ ...of, tokens, realm: REALM }),
    ) as SessionCredential
  }
  const findAt = ({ sessions }: ConfiguredSessions, credential: SessionCredential) =>
    sessions.recall(credential, REALM) ?? sessions.find(credential, REALM)

  test('C14: sign-ins side by side end up at the bound, on every replica', async () => {
    const opening = Array.from({ length: 30 }, (_, at) => openAt(at, sessionOf('carol')))
    const hers = await Promise.all(opening)
    for (const replica of replicas) {
      const countAlive = async () => {
        const found = await Promise.all(hers.map((each) => findAt(replica, each)))
        return found.filter((each) => each !== undefined).length
      }
      await expect.poll(countAlive).toBe(3)
    }
  })

  test('C14: one user who signs in again and again does not grow Redis', async () => {
    await using bytes = await openRedisBytes(redis)
    const dave = sessionOf('dave')
    const count = async () => {
      const all = [...(await bytes.dump())]
      const of = (part: string) => all.filter(([key]) => key.endsWith(part)).length
      const indexed = all.find(([key]) => key.endsWith(`u:{${dave.metadata.owners.user}}`))?.[1]
      return { s: of(':s'), t: of(':t'), m: of(':m'), indexed: indexed?.length }
    }
    for (let at = 0; at < 5; at += 1) await openAt(at, dave)
    const before = await count()
    expect(before.indexed).toBe(3)
    for (let at = 0; at < 50; at += 1) await openAt(at, dave)
    expect(await count()).toEqual(before)
    // What is left of each is a mark that ends soon.
    for (const key of await bytes.keys('*:x')) {
      expect(Number(await redis.cli('PTTL', key))).toBeLessThanOrEqual(5 * 60 * 1000)
    }
  })
})

const openReplica = (url: string): ConfiguredSessions => {
  const config = loadConfig({
    PROTECTED_HOSTS: REALM,
    ALLOW_ANY_USER: 'true',
    OIDC_ISSUER_URL: newSession.identity.issuer,
    OIDC_CLIENT_ID: 'vestibule',
    SESSION_ENCRYPTION_KEY: SERVER_KEY,
    SESSIONS_PER_USER: '3',
    REDIS_ENABLED: 'true',
    REDIS_CACHE_MODE: 'hybrid',
    REDIS_URL: url,
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
    bearerIssuers: new Set(),
    version: '1.0.0',
    now: Date.now,
  })
}
