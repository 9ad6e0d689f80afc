import { beforeEach, expect, test } from 'vitest'
import { asProgram, bearerRule, mintAccessToken } from '../support/bearers.ts'
import { readSources, untilWhole } from '../support/fleet-load.ts'
import { ADMIN_TOKEN, askAdmin } from '../support/operator.ts'
import { countEvents, expectStatus, readMetric } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import { prepared } from '../support/prepared.ts'
import { describeWithRedis, HYBRID, PATIENT, startReplicasInProcess } from '../support/replicas.ts'
import type { RunningVestibule } from '../support/vestibule.ts'

interface Sizes {
  readonly sessions: number
  readonly tokens: number
}

const USERS = ['alice', 'bob', 'carol']
const FULL: Sizes = { sessions: USERS.length, tokens: 1 }
const EMPTY: Sizes = { sessions: 0, tokens: 0 }

async function sizesAt(replica: RunningVestibule): Promise<Sizes> {
  return ((await askAdmin(replica, 'GET', 'cache')).body as { entries: Sizes }).entries
}

describeWithRedis('clearing the caches of all replicas at one of them', () => {
  const fleet = prepared(async () => {
    const replicas = await startReplicasInProcess({
      count: 3,
      settings: { ...HYBRID, ...PATIENT, REDIS_HYBRID_L1_TTL: '30', ADMIN_TOKEN },
      rules: [bearerRule('/api/**'), { access: 'signed-in' }],
      provider: { users: USERS.map((sub) => ({ sub })) },
    })
    await untilWhole(replicas.all)
    const people = await Promise.all(USERS.map((user) => replicas.signedIn(user)))
    const cookies = people.map(({ cookie }) => cookie)
    return { ...replicas, cookies, bearer: await mintAccessToken(replicas.provider) }
  })
  /** Every replica knows every session and the token. */
  beforeEach(async () => {
    const { all, cookies, bearer } = fleet()
    await expectStatus(200, all, ...cookies)
    for (const replica of all) {
      const asRobot = { ...asProgram, Authorization: `Bearer ${bearer}` }
      expect((await replica.check({ uri: '/api/' }, asRobot)).status).toBe(200)
      expect(await sizesAt(replica)).toEqual(FULL)
      expect(await readMetric(replica, 'vestibule_l1_sessions')).toBe(USERS.length)
    }
  })
  const everywhere = (sizes: Sizes): Promise<void> =>
    until('cleared caches', async () => {
      const all = await Promise.all(fleet().all.map(sizesAt))
      return all.every((each) => JSON.stringify(each) === JSON.stringify(sizes))
    })

  test.for<[path: string, left: Sizes, cleared: readonly string[]]>([
    ['cache', EMPTY, ['sessions', 'tokens']],
    ['cache/sessions', { ...FULL, sessions: 0 }, ['sessions']],
    ['cache/tokens', { ...FULL, tokens: 0 }, ['tokens']],
  ])('DELETE /admin/%s clears what it names at every replica', async ([path, left, cleared]) => {
    const second = fleet().all[1] as RunningVestibule
    expect(await askAdmin(second, 'DELETE', path)).toMatchObject({ status: 200, body: { cleared } })
    expect(await sizesAt(second)).toEqual(left)
    await everywhere(left)
    for (const replica of fleet().all) {
      expect(await readMetric(replica, 'vestibule_l1_sessions')).toBe(left.sessions)
    }
    expect(second.log().findLast((line) => line['event'] === 'cache_cleared')).toMatchObject({
      regions: cleared,
    })
  })

  test('DELETE /admin/cache/sessions/ID evicts that session alone, by the id of the list', async () => {
    const { first } = fleet()
    const { body } = await askAdmin(first, 'GET', 'sessions?user=bob')
    const [{ id }] = (body as { sessions: [{ id: string }] }).sessions
    const evicted = await askAdmin(first, 'DELETE', `cache/sessions/${id}`)
    expect(evicted).toMatchObject({ status: 200, body: { evicted: id } })
    await everywhere({ ...FULL, sessions: USERS.length - 1 })
  })

  test('nobody is signed out by it: what was in memory is read again', async () => {
    const { first, all, cookies } = fleet()
    await askAdmin(first, 'DELETE', 'cache')
    await everywhere(EMPTY)
    for (const replica of all) {
      const { store: before = 0 } = await readSources(replica)
      for (const Cookie of cookies) {
        const { status, setCookies } = await replica.check({}, { Cookie })
        expect([status, setCookies.length]).toEqual([200, 1])
      }
      expect((await readSources(replica))['store']).toBe(before + USERS.length)
    }
  })

  test('where the others cannot be told the answer says so, and what is here is cleared', async () => {
    const { first, all, network } = fleet()
    await network.refuse()
    const { status, text } = await askAdmin(first, 'DELETE', 'cache')
    await network.accept()
    expect(status).toBe(503)
    expect(text).toContain('the other replicas could not be told')
    expect(await sizesAt(first)).toEqual(EMPTY)
    await untilWhole(all)
    for (const replica of all.slice(1)) expect(await sizesAt(replica)).toEqual(FULL)
    expect((await askAdmin(first, 'DELETE', 'cache')).status).toBe(200)
    await everywhere(EMPTY)
  })

  test('without ADMIN_TOKEN, and at the public listener, there is no such page', async () => {
    const { first, all } = fleet()
    await using closed = await fleet().add({ ADMIN_TOKEN: '' })
    await untilWhole([closed])
    for (const method of ['GET', 'DELETE']) {
      expect((await askAdmin(closed, method, 'cache')).status).toBe(404)
      expect((await askAdmin({ internalPort: first.publicPort }, method, 'cache')).status).toBe(404)
    }
    for (const replica of all) expect(await sizesAt(replica)).toEqual(FULL)
    expect(countEvents(closed, 'cache_cleared')).toBe(0)
  })
})
