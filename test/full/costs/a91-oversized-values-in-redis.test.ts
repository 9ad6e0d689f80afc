import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KeyPart } from '../../../src/store/store.ts'
import { startCheckLoad } from '../../support/check-load.ts'
import { expectHealthy, readMetric, redisErrors } from '../../support/outage.ts'
import { until } from '../../support/own-lag.ts'
import { openRedisBytes, type RedisBytes } from '../../support/redis-bytes.ts'
import { describeWithRedis, type Replicas, startReplicas } from '../../support/replicas.ts'
import { createRequestPool, forwardedNavigation } from '../../support/request-pool.ts'
import { LOGOUT } from '../../support/sign-in-steps.ts'
import { addDirectly, storedSession } from '../../support/stored-session.ts'
import type { RunningVestibule } from '../../support/vestibule.ts'

const MEGABYTE = 1024 * 1024
const AT_ONCE = 16
const HAMMERING_MS = 1500

describeWithRedis('A91 values in Redis that are far too large', () => {
  const stack = new AsyncDisposableStack()
  let replicas: Replicas
  let bytes: RedisBytes
  let plain: RunningVestibule
  let passing: RunningVestibule
  let bystander = ''
  const cases: readonly (readonly [
    megabytes: number,
    part: KeyPart,
    replicaOf: () => RunningVestibule,
  ])[] = [
    [3, 'identity', () => plain],
    [50, 'identity', () => plain],
    [50, 'identity', () => passing],
    [50, 'tokens', () => passing],
  ]
  const victims: string[] = []
  beforeAll(async () => {
    replicas = stack.use(await startReplicas({ count: 0 }))
    bytes = stack.use(await openRedisBytes(replicas.redis))
    plain = await addDirectly(replicas)
    passing = await addDirectly(replicas, { PASS_ACCESS_TOKEN: 'true' })
    bystander = await plain.signIn('bob')
    for (const _ of [...cases, 'm', 'burst']) victims.push(await plain.signIn('alice'))
  })
  afterAll(() => stack.disposeAsync())

  /** The first answer is read whole, which may take a busy machine longer than a check waits. */
  const untilKnown = (replica: RunningVestibule, cookie: string): Promise<void> =>
    until('the first answer', async () => {
      const { status } = await replica.check({}, { Cookie: cookie })
      expect([302, 503]).toContain(status)
      return status === 302
    })

  /** Many visitors with the one cookie, all at once and again and again. */
  const hammer = async ({ internalPort }: RunningVestibule, cookie: string) => {
    using pool = createRequestPool(internalPort, AT_ONCE)
    const counts: Record<number, number> = {}
    const endMs = performance.now() + HAMMERING_MS
    const headers = { ...forwardedNavigation, Cookie: cookie }
    const work = async (): Promise<void> => {
      while (performance.now() < endMs) {
        const { status, headers: got } = await pool.send({ path: '/auth', headers })
        expect(got['set-cookie']).toBeUndefined()
        counts[status] = (counts[status] ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    return counts
  }

  test.for(cases)(
    '%i MB in place of %s are refused at once',
    async ([megabytes, part, replicaOf]) => {
      const replica = replicaOf()
      const victim = storedSession(String(victims.pop()))
      const own = await bytes.get(victim.keyOf(part))
      await bytes.put(victim.keyOf(part), Buffer.concat([own], megabytes * MEGABYTE))
      await untilKnown(replica, victim.cookie)
      const load = startCheckLoad(replica.internalPort, bystander)
      const deadlinesBefore = await redisErrors(replica, 'deadline')
      const counts = await hammer(replica, victim.cookie)
      await load.stop()
      expect(load.statuses()).toEqual([200])
      expect(load.oddities).toEqual([])
      expect(Object.keys(counts)).toEqual(['302'])
      expect(await redisErrors(replica, 'deadline')).toBe(deadlinesBefore)
      expect(await readMetric(replica, 'vestibule_store_integrity_failures_total')).toBeGreaterThan(
        0,
      )
      await expectHealthy(replica)

      const logout = { headers: { Cookie: victim.cookie } }
      expect((await plain.visitor().post(LOGOUT, {}, logout)).status).toBe(303)
      expect((await plain.check({}, { Cookie: victim.cookie })).status).toBe(302)
    },
  )

  // `GET` has no limit: the first answer is read whole, which may take a busy machine longer than a check waits.
  test('many simultaneous reads of 50 MB sign nobody out, and are answered once one has finished', async () => {
    const victim = storedSession(String(victims.pop()))
    await bytes.put(victim.keyOf('identity'), Buffer.alloc(50 * MEGABYTE))
    const load = startCheckLoad(plain.internalPort, bystander)
    const counts = await hammer(plain, victim.cookie)
    await load.stop()
    for (const seen of [load.statuses(), Object.keys(counts).map(Number)]) {
      expect(seen.filter((status) => ![200, 302, 503].includes(status))).toEqual([])
    }
    expect(counts[200]).toBeUndefined()
    expect(load.oddities).toEqual([])
    await untilKnown(plain, victim.cookie)
    const calm = startCheckLoad(plain.internalPort, bystander)
    expect(Object.keys(await hammer(plain, victim.cookie))).toEqual(['302'])
    await calm.stop()
    expect(calm.statuses()).toEqual([200])
  })

  test('50 MB in place of the metadata do not keep anybody from signing out', async () => {
    const victim = storedSession(String(victims.pop()))
    await bytes.put(victim.keyOf('metadata'), Buffer.alloc(50 * MEGABYTE))
    expect((await plain.check({}, { Cookie: victim.cookie })).status).toBe(200)
    const load = startCheckLoad(plain.internalPort, bystander)
    const logout = { headers: { Cookie: victim.cookie } }
    expect((await plain.visitor().post(LOGOUT, {}, logout)).status).toBe(303)
    expect((await plain.check({}, { Cookie: victim.cookie })).status).toBe(302)
    await load.stop()
    expect(load.statuses()).toEqual([200])
    expect(await bytes.keys(`${victim.keyOf('identity').slice(0, -1)}*`)).toEqual([
      victim.keyOf('tombstone'),
    ])
  })
})
