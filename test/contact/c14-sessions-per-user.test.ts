import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseSessionCookie, type SessionCredential } from '../../src/core/session.ts'
import { until } from '../support/own-lag.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { openRedisBytes } from '../support/redis-bytes.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { describeWithRedis } from '../support/replicas.ts'
import { openSessionReplica, type SessionReplica } from '../support/session-replica.ts'
import { newSession, REALM, sessionOf } from '../support/started-sessions.ts'

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
  let replicas: SessionReplica[]

  beforeAll(async () => {
    redis = await startRedis()
    const settings = { SESSIONS_PER_USER: '3', REDIS_URL: redis.url }
    replicas = [1, 2, 3].map(() => openSessionReplica(settings))
    for (const { state } of replicas) {
      await until('a healthy backplane', () => state.backplane.subscription !== undefined, 10_000)
    }
  })
  afterAll(async () => {
    for (const replica of replicas ?? []) await replica.close()
    await redis?.stop()
  })

  const openAt = async (replica: number, of: Pick<typeof newSession, 'identity' | 'metadata'>) => {
    const { sessions } = replicas[replica % replicas.length] as SessionReplica
    const generation = await sessions.currentGeneration()
    const tokens = { idToken: 'id', accessToken: 'access', generation }
    return parseSessionCookie(
      await sessions.open({ ...of, tokens, realm: REALM }),
    ) as SessionCredential
  }
  const findAt = async ({ sessions }: SessionReplica, credential: SessionCredential) =>
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
    for (const key of await bytes.keys('*:x')) {
      expect(Number(await redis.cli('PTTL', key))).toBeLessThanOrEqual(5 * 60 * 1000)
    }
  })
})
