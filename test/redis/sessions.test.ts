import { describe, expect, test } from 'vitest'
import { parseSessionCookie, type SessionCredential } from '../../src/core/session.ts'
import { providerSessionOwner, userOwner } from '../../src/session/owners.ts'
import { until } from '../support/own-lag.ts'
import { prepared } from '../support/prepared.ts'
import { startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { settingsFor } from '../support/redis-settings.ts'
import { openSessionReplica, type SessionReplica } from '../support/session-replica.ts'
import { identity, newSession, REALM, sessionOf } from '../support/started-sessions.ts'

const single = async () => {
  const { url, stop } = await startRedis()
  return { settings: { REDIS_URL: url }, [Symbol.asyncDispose]: stop }
}
const cluster = async () => {
  const redis = await startCluster({ shards: 3 })
  return Object.assign(redis, { settings: settingsFor(redis.target) })
}
/** TTL that a lost message would take to show. */
const L1 = { REDIS_HYBRID_L1_TTL: '30' }

const find = async ({ sessions }: SessionReplica, held: SessionCredential) =>
  sessions.recall(held, REALM) ?? (await sessions.find(held, REALM))
const isRefused = async (...args: Parameters<typeof find>) => (await find(...args)) === undefined

describe.for([
  ['redis', 'a single server', single],
  ['hybrid', 'a single server', single],
  ['hybrid', 'a cluster', cluster],
] as const)('sessions of two replicas in %s mode over %s', ([mode, , reach]) => {
  const replicas = prepared(async () => {
    await using stack = new AsyncDisposableStack()
    const settings = { ...L1, ...stack.use(await reach()).settings, REDIS_CACHE_MODE: mode }
    const openReplica = () => stack.adopt(openSessionReplica(settings), ({ close }) => close())
    const both = [openReplica(), openReplica()] as const
    await until('healthy backplanes', () =>
      both.every(({ state }) => state.backplane.subscription !== undefined),
    )
    const kept = stack.move()
    return { both, [Symbol.asyncDispose]: () => kept.disposeAsync() }
  })
  const open = async (subject = 'u', sid = 'sid') => {
    const [{ sessions }] = replicas().both
    const tokens = { ...newSession.tokens, generation: await sessions.currentGeneration() }
    const cookie = await sessions.open({ ...sessionOf(subject, sid), tokens, realm: REALM })
    return parseSessionCookie(cookie) as SessionCredential
  }
  const expectFound = async (...all: readonly SessionCredential[]) => {
    for (const replica of replicas().both)
      for (const held of all) expect(await find(replica, held)).toBeDefined()
  }
  const expectEnded = async (held: SessionCredential) => {
    const [first, second] = replicas().both
    expect(await isRefused(second, held)).toBe(true)
    await until('a refusal', () => isRefused(first, held))
  }

  test('a session opened at one is found at both, and is the same', async () => {
    const held = await open()
    for (const replica of replicas().both) {
      const found = await find(replica, held)
      expect(found?.session.identity).toEqual(sessionOf('u').identity)
      const source = mode === 'hybrid' ? 'memory' : 'store'
      expect(await find(replica, held)).toMatchObject({ session: found?.session, source })
    }
  })

  test('a session ended at one is refused there at once, and at the other after the message', async () => {
    const held = await open()
    await expectFound(held)
    expect(await replicas().both[1].sessions.endTogether(held)).toBe('done')
    await expectEnded(held)
  })

  test.for([
    ['a user', 'ending', userOwner(identity.issuer, 'ending'), 3],
    ['a session at the provider', 'leaving', providerSessionOwner(identity.issuer, 'leaving-1'), 2],
  ] as const)('all sessions of %s end at both', async ([, subject, owner, count]) => {
    const openOf = (sid: number) => open(subject, `${subject}-${sid}`)
    const all = [await openOf(1), await openOf(1), await openOf(2)]
    const bystander = await open(`not-${subject}`, `${subject}-3`)
    await expectFound(...all)
    expect(await replicas().both[1].sessions.endAllOf(owner, { reason: 'operator' })).toBe(count)
    for (const held of all.slice(0, count)) await expectEnded(held)
    await expectFound(...all.slice(count), bystander)
  })

  test('the sessions of everybody end at both, on every server', async () => {
    const [first, second] = replicas().both
    const all = await Promise.all(Array.from({ length: 150 }, (_, at) => open(`user-${at}`)))
    await expectFound(...all)
    expect(await second.sessions.endAll({ reason: 'operator' })).toBeGreaterThanOrEqual(all.length)
    for (const held of all) await expectEnded(held)
    expect(await first.sessions.list(undefined, 10)).toEqual([])
    await expectFound(await open())
  })
})
