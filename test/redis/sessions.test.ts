import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseSessionCookie, type SessionCredential } from '../../src/core/session.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import { startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { settingsFor } from '../support/redis-settings.ts'
import { until } from '../support/redis-state.ts'
import { SERVER_KEY } from '../support/replicas.ts'
import { openSessionReplica, type SessionReplica } from '../support/session-replica.ts'

type Settings = Readonly<Record<string, string>>

interface Reached {
  readonly settings: Settings
  readonly stop: () => Promise<void>
}

const single = async (): Promise<Reached> => {
  const redis = await startRedis()
  return { settings: { REDIS_URL: redis.url }, stop: redis.stop }
}
const cluster = async (): Promise<Reached> => {
  const redis = await startCluster({ shards: 3 })
  return { settings: settingsFor(redis.target), stop: async () => redis[Symbol.asyncDispose]() }
}

const ISSUER = 'https://id.example.com'
const REALM = 'app.example.com'
const OTHER_REALM = 'other.example.com'
/** A lost message would show only after it. */
const L1_SECONDS = 30

const openReplica = (settings: Settings, mode: string): SessionReplica => {
  return openSessionReplica({
    PROTECTED_HOSTS: REALM,
    ALLOW_ANY_USER: 'true',
    OIDC_ISSUER_URL: ISSUER,
    OIDC_CLIENT_ID: 'vestibule',
    SESSION_ENCRYPTION_KEY: SERVER_KEY,
    REDIS_ENABLED: 'true',
    REDIS_CACHE_MODE: mode,
    REDIS_HYBRID_L1_TTL: String(L1_SECONDS),
    ...settings,
  })
}

describe.for([
  ['redis', 'a single server', single],
  ['hybrid', 'a single server', single],
  ['hybrid', 'a cluster', cluster],
] as const)('sessions of two replicas in %s mode over %s', ([mode, , reach]) => {
  let reached: Reached
  let [one, other]: SessionReplica[] = []
  const both = () => [one as SessionReplica, other as SessionReplica]
  beforeAll(async () => {
    reached = await reach()
    one = openReplica(reached.settings, mode)
    other = openReplica(reached.settings, mode)
    for (const { state } of both()) {
      await until('a healthy backplane', () => state.backplane.epoch !== undefined)
    }
  })
  afterAll(async () => {
    for (const replica of both()) await replica.close()
    await reached.stop()
  })

  /** A sign-in at one of them that begins now and opens its session later. */
  const begin = async ({ sessions }: SessionReplica, subject: string, sid: string) => {
    const generation = await sessions.currentGeneration()
    return async (realm = REALM): Promise<SessionCredential> => {
      const cookie = await sessions.open({
        identity: { issuer: ISSUER, subject, groups: ['a'], claims: {} },
        tokens: { idToken: 'id', accessToken: 'access', generation },
        metadata: {
          subject,
          displayName: subject.toUpperCase(),
          owners: {
            user: userOwner(ISSUER, subject).id,
            providerSession: providerSessionOwner(ISSUER, sid).id,
          },
        },
        realm,
      })
      return parseSessionCookie(cookie) as SessionCredential
    }
  }
  const open = async (sid = 'sid', realm = REALM, subject = 'u') => {
    const signIn = await begin(one as SessionReplica, subject, sid)
    return signIn(realm)
  }
  /** As a check does it. */
  const find = async ({ sessions }: SessionReplica, held: SessionCredential, realm = REALM) =>
    sessions.recall(held, realm) ?? (await sessions.find(held, realm))
  const isRefused = async (replica: SessionReplica, held: SessionCredential, realm = REALM) =>
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
    const [first, second] = both() as [SessionReplica, SessionReplica]
    expect(await second.sessions.endTogether(held)).toBe('done')
    expect(await isRefused(second, held)).toBe(true)
    await until('a refusal', () => isRefused(first, held))
  })

  test('all of one session at the provider end together', async () => {
    const [here, there] = [await open('shared'), await open('shared', OTHER_REALM)]
    const bystander = await open('another')
    const [first, second] = both() as [SessionReplica, SessionReplica]
    expect(await find(second, there, OTHER_REALM)).toBeDefined()
    expect(await first.sessions.endTogether(here)).toBe('done')
    await until('a refusal', () => isRefused(second, there, OTHER_REALM))
    for (const replica of both()) expect(await find(replica, bystander)).toBeDefined()
  })

  test.for([
    ['a user', 'ending', userOwner(ISSUER, 'ending'), 3],
    ['a session at the provider', 'leaving', providerSessionOwner(ISSUER, 'leaving-1'), 2],
  ] as const)(
    'all of %s end at both, whoever is told',
    async ([, subject, owner, count], { expect }) => {
      const [first, second] = both() as [SessionReplica, SessionReplica]
      const [here, there] = [
        await open(`${subject}-1`, REALM, subject),
        await open(`${subject}-1`, REALM, subject),
      ]
      const elsewhere = await open(`${subject}-2`, REALM, subject)
      const bystander = await open(`${subject}-3`, REALM, `not-${subject}`)
      for (const held of [here, there, elsewhere]) expect(await find(first, held)).toBeDefined()
      expect(await second.sessions.endAllOf(owner)).toBe(count)
      const ended = owner.kind === 'user' ? [here, there, elsewhere] : [here, there]
      for (const held of ended) {
        expect(await isRefused(second, held)).toBe(true)
        await until('a refusal', () => isRefused(first, held))
      }
      for (const replica of both()) {
        expect(await isRefused(replica, elsewhere)).toBe(ended.includes(elsewhere))
        expect(await find(replica, bystander)).toBeDefined()
      }
    },
  )

  test('a sign-in that began at one before the other ended all of its user loses', async () => {
    const [first, second] = both() as [SessionReplica, SessionReplica]
    const user = userOwner(ISSUER, 'racing')
    const [before, ofAnother] = [await begin(first, 'racing', 'r'), await begin(first, 'calm', 'c')]
    expect(await second.sessions.endAllOf(user)).toBe(0)
    const after = await begin(first, 'racing', 'r')
    const lost = expect.objectContaining({ code: 'sign_in_failed' }) as Error
    await expect(before()).rejects.toThrow(lost)
    const won = await after()
    for (const replica of both()) {
      expect(await find(replica, won)).toBeDefined()
      const listed = await replica.sessions.list(user.id, 10)
      expect(listed.map(({ subject, displayName }) => [subject, displayName])).toEqual([
        ['racing', 'RACING'],
      ])
    }
    expect(await find(second, await ofAnother())).toBeDefined()
  })

  test('whoever races with the end of all of a user, nobody is left behind', async () => {
    const [first, second] = both() as [SessionReplica, SessionReplica]
    const user = userOwner(ISSUER, 'hurried')
    const signIns = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        begin(index % 2 === 0 ? first : second, 'hurried', `h${index}`),
      ),
    )
    const opening = Promise.allSettled(
      signIns.map(async (signIn, index) => {
        for (let left = index; left > 0; left -= 1) await turn()
        return signIn()
      }),
    )
    for (let left = 10; left > 0; left -= 1) await turn()
    await second.sessions.endAllOf(user)
    const held = (await opening).flatMap((outcome) =>
      outcome.status === 'fulfilled' ? [outcome.value] : [],
    )
    for (const replica of both()) {
      for (const each of held) await until('a refusal', () => isRefused(replica, each))
      expect(await replica.sessions.list(user.id, 100)).toEqual([])
    }
  })

  test('everything ends at both, and whoever signs in after that is let in', async () => {
    const [first, second] = both() as [SessionReplica, SessionReplica]
    const held = await Promise.all(
      Array.from({ length: 150 }, (_, index) => open(`s${index}`, REALM, `user-${index}`)),
    )
    const before = await begin(first, 'late', 'l')
    for (const each of held) expect(await find(first, each)).toBeDefined()
    expect((await second.sessions.list(undefined, 100)).length).toBe(100)
    expect(await second.sessions.endAll()).toBeGreaterThanOrEqual(150)
    for (const each of held) await until('a refusal', () => isRefused(first, each))
    await expect(before()).rejects.toThrow(
      expect.objectContaining({ code: 'sign_in_failed' }) as Error,
    )
    for (const replica of both()) expect(await replica.sessions.list(undefined, 10)).toEqual([])
    const anew = await open()
    for (const replica of both()) expect(await find(replica, anew)).toBeDefined()
  })

  test('what an operator clears is read again, and nobody is signed out', async () => {
    const held = await open()
    const [first, second] = both() as [SessionReplica, SessionReplica]
    await find(second, held)
    await first.state.backplane.publish({ type: 'clear', region: 'sessions' })
    await until('an empty memory', () => second.cache.size === 0)
    expect((await find(second, held))?.source).toBe('store')
  })
})
