import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { parseSessionCookie, type SessionCredential } from '../../src/core/session.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import { prepared } from '../support/prepared.ts'
import { startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { settingsFor } from '../support/redis-settings.ts'
import { until } from '../support/redis-state.ts'
import { SERVER_KEY } from '../support/replicas.ts'
import { openSessionReplica, type SessionReplica } from '../support/session-replica.ts'

const single = async () => {
  const redis = await startRedis()
  return { settings: { REDIS_URL: redis.url }, [Symbol.asyncDispose]: redis.stop }
}
const cluster = async () => {
  const redis = await startCluster({ shards: 3 })
  return {
    settings: settingsFor(redis.target),
    [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
  }
}

const ISSUER = 'https://id.example.com'
const REALM = 'app.example.com'
const OTHER_REALM = 'other.example.com'
/** TTL that a lost message would take to show. */
const L1_SECONDS = 30

const SETTINGS = {
  PROTECTED_HOSTS: REALM,
  ALLOW_ANY_USER: 'true',
  OIDC_ISSUER_URL: ISSUER,
  OIDC_CLIENT_ID: 'vestibule',
  SESSION_ENCRYPTION_KEY: SERVER_KEY,
  REDIS_ENABLED: 'true',
  REDIS_HYBRID_L1_TTL: String(L1_SECONDS),
}
const LOST = expect.objectContaining({ code: 'sign_in_failed' }) as Error

/** Begins a sign-in whose session is opened later. */
const begin = async ({ sessions }: SessionReplica, subject: string, sid: string) => {
  const generation = await sessions.currentGeneration()
  const owners = {
    user: userOwner(ISSUER, subject).id,
    providerSession: providerSessionOwner(ISSUER, sid).id,
  }
  return async (realm = REALM): Promise<SessionCredential> => {
    const cookie = await sessions.open({
      identity: { issuer: ISSUER, subject, groups: ['a'], claims: {} },
      tokens: { idToken: 'id', accessToken: 'access', generation },
      metadata: { subject, displayName: subject.toUpperCase(), owners },
      realm,
    })
    return parseSessionCookie(cookie) as SessionCredential
  }
}
/** Finds a session as a check does. */
const find = async ({ sessions }: SessionReplica, held: SessionCredential, realm = REALM) =>
  sessions.recall(held, realm) ?? (await sessions.find(held, realm))
const isRefused = async (...args: Parameters<typeof find>) => (await find(...args)) === undefined
const untilRefused = (...args: Parameters<typeof find>) =>
  until('a refusal', () => isRefused(...args))

describe.for([
  ['redis', 'a single server', single],
  ['hybrid', 'a single server', single],
  ['hybrid', 'a cluster', cluster],
] as const)('sessions of two replicas in %s mode over %s', ([mode, , reach]) => {
  const replicas = prepared(async () => {
    await using stack = new AsyncDisposableStack()
    const { settings } = stack.use(await reach())
    const openReplica = () =>
      stack.adopt(
        openSessionReplica({ ...SETTINGS, ...settings, REDIS_CACHE_MODE: mode }),
        (replica) => replica.close(),
      )
    const both = [openReplica(), openReplica()] as const
    await until('healthy backplanes', () =>
      both.every(({ state }) => state.backplane.epoch !== undefined),
    )
    const kept = stack.move()
    return { both, [Symbol.asyncDispose]: () => kept.disposeAsync() }
  })
  const both = () => replicas().both
  const open = async (sid = 'sid', realm = REALM, subject = 'u') =>
    (await begin(both()[0], subject, sid))(realm)
  const expectFound = async (held: SessionCredential) => {
    for (const replica of both()) expect(await find(replica, held)).toBeDefined()
  }

  test('a session opened at one is found at both, and is the same', async () => {
    const held = await open()
    for (const replica of both()) {
      const found = await find(replica, held)
      expect(found?.session.identity).toMatchObject({ subject: 'u', groups: ['a'] })
      const again = await find(replica, held)
      expect(again?.session).toEqual(found?.session)
      expect(again?.source).toBe(mode === 'hybrid' ? 'memory' : 'store')
    }
  })

  test('neither another secret nor another realm finds a session, cached or not', async () => {
    const held = await open()
    const forged = { ...held, secret: 'B'.repeat(43) }
    for (const replica of both()) {
      expect(await isRefused(replica, forged)).toBe(true)
      expect(await find(replica, held)).toBeDefined()
      expect(await isRefused(replica, forged)).toBe(true)
      expect(await isRefused(replica, held, OTHER_REALM)).toBe(true)
    }
  })

  test('a session ended at one is refused there at once, and at the other after the message', async () => {
    const held = await open()
    await expectFound(held)
    const [first, second] = both()
    expect(await second.sessions.endTogether(held)).toBe('done')
    expect(await isRefused(second, held)).toBe(true)
    await untilRefused(first, held)
  })

  test('the sessions of one session at the provider end together', async () => {
    const [here, there] = [await open('shared'), await open('shared', OTHER_REALM)]
    const bystander = await open('another')
    const [first, second] = both()
    expect(await find(second, there, OTHER_REALM)).toBeDefined()
    expect(await first.sessions.endTogether(here)).toBe('done')
    await untilRefused(second, there, OTHER_REALM)
    await expectFound(bystander)
  })

  test.for([
    ['a user', 'ending', userOwner(ISSUER, 'ending'), 3],
    ['a session at the provider', 'leaving', providerSessionOwner(ISSUER, 'leaving-1'), 2],
  ] as const)('all sessions of %s end at both', async ([, subject, owner, count], { expect }) => {
    const [first, second] = both()
    const openOf = (sid: number) => open(`${subject}-${sid}`, REALM, subject)
    const [here, there, elsewhere] = [await openOf(1), await openOf(1), await openOf(2)]
    const bystander = await open(`${subject}-3`, REALM, `not-${subject}`)
    for (const held of [here, there, elsewhere]) expect(await find(first, held)).toBeDefined()
    expect(await second.sessions.endAllOf(owner)).toBe(count)
    const ended = owner.kind === 'user' ? [here, there, elsewhere] : [here, there]
    for (const held of ended) {
      expect(await isRefused(second, held)).toBe(true)
      await untilRefused(first, held)
    }
    for (const replica of both()) {
      expect(await isRefused(replica, elsewhere)).toBe(ended.includes(elsewhere))
    }
    await expectFound(bystander)
  })

  test('a sign-in fails that began at one before the other ended all sessions of its user', async () => {
    const [first, second] = both()
    const user = userOwner(ISSUER, 'racing')
    const [before, ofAnother] = [await begin(first, 'racing', 'r'), await begin(first, 'calm', 'c')]
    expect(await second.sessions.endAllOf(user)).toBe(0)
    const after = await begin(first, 'racing', 'r')
    await expect(before()).rejects.toThrow(LOST)
    await expectFound(await after())
    for (const replica of both()) {
      const listed = await replica.sessions.list(user.id, 10)
      expect(listed).toEqual([
        expect.objectContaining({ subject: 'racing', displayName: 'RACING' }),
      ])
    }
    expect(await find(second, await ofAnother())).toBeDefined()
  })

  test('no sign-in that races with the end of all sessions of its user survives', async () => {
    const [first, second] = both()
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
      for (const each of held) await untilRefused(replica, each)
      expect(await replica.sessions.list(user.id, 100)).toEqual([])
    }
  })

  test('all sessions end at both, and a later sign-in works', async () => {
    const [first, second] = both()
    const held = await Promise.all(
      Array.from({ length: 150 }, (_, index) => open(`s${index}`, REALM, `user-${index}`)),
    )
    const before = await begin(first, 'late', 'l')
    for (const each of held) expect(await find(first, each)).toBeDefined()
    expect((await second.sessions.list(undefined, 100)).length).toBe(100)
    expect(await second.sessions.endAll()).toBeGreaterThanOrEqual(150)
    for (const each of held) await untilRefused(first, each)
    await expect(before()).rejects.toThrow(LOST)
    for (const replica of both()) expect(await replica.sessions.list(undefined, 10)).toEqual([])
    const anew = await open()
    await expectFound(anew)
  })

  test('a session cleared by an operator is read again and not signed out', async () => {
    const held = await open()
    const [first, second] = both()
    await find(second, held)
    await first.state.backplane.publish({ type: 'clear', region: 'sessions' })
    await until('an empty memory', () => second.cache.size === 0)
    expect((await find(second, held))?.source).toBe('store')
  })
})
