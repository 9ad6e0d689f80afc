import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { asProgram, bearerRule, mintAccessToken } from '../support/bearers.ts'
import { describeWithRedis } from '../support/describe-with-redis.ts'
import { readSources, untilWhole } from '../support/fleet-load.ts'
import { countEvents, readMetric } from '../support/outage.ts'
import { until } from '../support/redis-state.ts'
import { HYBRID, PATIENT, type Replicas, startReplicasInProcess } from '../support/replicas.ts'
import { type WrittenRules, writeRules } from '../support/rules-file.ts'
import type { RunningVestibule } from '../support/vestibule.ts'
import { createVisitor, type Visit } from '../support/visitor.ts'

const TOKEN = 'an-admin-token-that-is-long-enough-for-anybody'
const USERS = ['alice', 'bob', 'carol']
const SETUP_WITHIN_MS = 120_000
const FULL = { sessions: USERS.length, tokens: 1 }
const EMPTY = { sessions: 0, tokens: 0 }

describeWithRedis('clearing the caches of all replicas at one of them', () => {
  let fleet: Replicas
  let rules: WrittenRules
  let cookies: readonly string[]
  let bearer: string
  beforeAll(async () => {
    rules = await writeRules([bearerRule('/api/**'), { access: 'signed-in' }])
    fleet = await startReplicasInProcess({
      count: 3,
      settings: {
        ...HYBRID,
        ...PATIENT,
        REDIS_HYBRID_L1_TTL: '30',
        ADMIN_TOKEN: TOKEN,
        VESTIBULE_CONFIG: rules.path,
      },
      provider: { users: USERS.map((sub) => ({ sub })) },
    })
    await untilWhole(fleet.all)
    const people = await Promise.all(USERS.map((user) => fleet.signedIn(user)))
    cookies = people.map(({ cookie }) => cookie)
    bearer = await mintAccessToken(fleet.provider)
  }, SETUP_WITHIN_MS)
  afterAll(async () => {
    await fleet[Symbol.asyncDispose]()
    await rules[Symbol.asyncDispose]()
  })
  /** Every replica knows every session and the token. */
  beforeEach(async () => {
    for (const replica of fleet.all) {
      for (const Cookie of cookies) expect((await replica.check({}, { Cookie })).status).toBe(200)
      const asRobot = { ...asProgram, Authorization: `Bearer ${bearer}` }
      expect((await replica.check({ uri: '/api/' }, asRobot)).status).toBe(200)
      expect(await sizesAt(replica)).toEqual(FULL)
      expect(await readMetric(replica, 'vestibule_l1_sessions')).toBe(USERS.length)
    }
  })

  const sizesEverywhere = () => Promise.all(fleet.all.map(sizesAt))
  const everywhere = (sizes: Sizes): Promise<void> =>
    until('cleared caches', async () => {
      const all = await sizesEverywhere()
      return all.every((each) => JSON.stringify(each) === JSON.stringify(sizes))
    })

  const clearings: readonly (readonly [path: string, left: Sizes, cleared: readonly string[]])[] = [
    ['/admin/cache', EMPTY, ['sessions', 'tokens']],
    ['/admin/cache/sessions', { sessions: 0, tokens: 1 }, ['sessions']],
    ['/admin/cache/tokens', { sessions: USERS.length, tokens: 0 }, ['tokens']],
    ['/admin/cache?region=sessions', { sessions: 0, tokens: 1 }, ['sessions']],
  ]
  test.for(clearings)('DELETE %s', async ([path, left, cleared], { expect }) => {
    const [, second] = fleet.all as [RunningVestibule, RunningVestibule]
    const visit = await admin(second, 'DELETE', path)
    expect([visit.status, JSON.parse(visit.body)]).toEqual([200, { cleared }])
    expect(await sizesAt(second)).toEqual(left)
    await everywhere(left)
    for (const replica of fleet.all) {
      expect(await readMetric(replica, 'vestibule_l1_sessions')).toBe(left.sessions)
    }
    expect(second.log().findLast((line) => line['event'] === 'cache_cleared')).toMatchObject({
      regions: cleared,
    })
  })

  test('nobody is signed out by it: what was in memory is read again', async () => {
    await admin(fleet.first, 'DELETE', '/admin/cache')
    await everywhere(EMPTY)
    for (const replica of fleet.all) {
      const { store: before = 0 } = await readSources(replica)
      for (const Cookie of cookies) {
        const { status, setCookies } = await replica.check({}, { Cookie })
        expect([status, setCookies.length]).toEqual([200, 1])
      }
      expect((await readSources(replica))['store']).toBe(before + USERS.length)
    }
  })

  test.for([
    ['no token', null],
    ['another token', `${TOKEN}x`],
    ['an empty token', ''],
  ] as const)('with %s nothing is cleared', async ([, token], { expect }) => {
    for (const path of ['/admin/cache', '/admin/cache/sessions', '/admin/nothing']) {
      for (const method of ['GET', 'DELETE']) {
        const visit = await admin(fleet.first, method, path, token)
        expect(visit.status, `${method} ${path}`).toBe(401)
        expect(visit.headers['www-authenticate']).toMatch(/^Bearer /)
      }
    }
    expect(await sizesEverywhere()).toEqual([FULL, FULL, FULL])
  })

  test('a region that does not exist is 400, and what exists is said', async () => {
    const visit = await admin(fleet.first, 'DELETE', '/admin/cache/cookies')
    expect(visit.status).toBe(400)
    expect(visit.body).toContain('sessions and tokens')
    expect(await sizesAt(fleet.first)).toEqual(FULL)
  })

  test('where the others cannot be told the answer says so, and what is here is cleared', async () => {
    await fleet.network.refuse()
    const visit = await admin(fleet.first, 'DELETE', '/admin/cache')
    await fleet.network.accept()
    expect(visit.status).toBe(503)
    expect(visit.body).toContain('the other replicas could not be told')
    expect(await sizesAt(fleet.first)).toEqual(EMPTY)
    await untilWhole(fleet.all)
    for (const replica of fleet.all.slice(1)) {
      expect(await sizesAt(replica)).toEqual(FULL)
    }
    expect((await admin(fleet.first, 'DELETE', '/admin/cache')).status).toBe(200)
    await everywhere(EMPTY)
  })

  test('without ADMIN_TOKEN there is no such page, whatever is sent', async () => {
    await using closed = await fleet.add({ ADMIN_TOKEN: '' })
    await untilWhole([closed])
    for (const method of ['GET', 'DELETE']) {
      for (const token of [TOKEN, '', null]) {
        expect((await admin(closed, method, '/admin/cache', token)).status).toBe(404)
      }
    }
    for (const replica of fleet.all) {
      expect(await sizesAt(replica)).toEqual(FULL)
      expect(countEvents(closed, 'cache_cleared')).toBe(0)
    }
  })

  test('the public listener has no such page', async () => {
    const address = `http://127.0.0.1:${fleet.first.publicPort}/admin/cache`
    const headers = { Authorization: `Bearer ${TOKEN}` }
    const visit = await createVisitor().request('DELETE', address, { headers })
    expect(visit.status).toBe(404)
    expect(await sizesAt(fleet.first)).toEqual(FULL)
  })
})

interface Sizes {
  readonly sessions: number
  readonly tokens: number
}

const admin = (
  replica: RunningVestibule,
  method: string,
  path: string,
  token: string | null = TOKEN,
): Promise<Visit> =>
  createVisitor().request(method, `http://127.0.0.1:${replica.internalPort}${path}`, {
    headers: { Authorization: token === null ? undefined : `Bearer ${token}` },
  })

const sizesAt = async (replica: RunningVestibule): Promise<Sizes> => {
  const { body } = await admin(replica, 'GET', '/admin/cache')
  return (JSON.parse(body) as { entries: Sizes }).entries
}
