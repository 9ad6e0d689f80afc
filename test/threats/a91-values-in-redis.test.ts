import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { RecordPart } from '../../src/store/store.ts'
import { expectBystanderServed } from '../support/bystander.ts'
import { describeWithRedis } from '../support/describe-with-redis.ts'
import { untilWhole } from '../support/fleet-load.ts'
import { expectHealthy, readMetric, script } from '../support/outage.ts'
import { openRedisBytes, type RedisBytes } from '../support/redis-bytes.ts'
import { until } from '../support/redis-state.ts'
import { PATIENT, type Replicas, startReplicasInProcess } from '../support/replicas.ts'
import { LOGOUT } from '../support/sign-in-steps.ts'
import { addDirectly, type StoredSession, storedSession } from '../support/stored-session.ts'
import type { RunningVestibule } from '../support/vestibule.ts'

interface Damage {
  readonly what: string
  /** Written one at a time; the session is restored behind each. */
  readonly values: (own: Buffer, other: Buffer, sibling: Buffer) => readonly Buffer[]
}

/** The bounds of the parts of a sealed record: version, key id, nonce, text, tag. */
function edges({ length }: Buffer): readonly number[] {
  return [0, 1, 8, 9, 20, 21, length >> 1, length - 17, length - 16, length - 1]
}

function flipped(value: Buffer, at: number): Buffer {
  const changed = Buffer.from(value)
  changed[at] = Number(changed[at]) ^ 1
  return changed
}

const DAMAGES: readonly Damage[] = [
  { what: "another session's record", values: (_, other) => [other] },
  { what: 'another record of the same session', values: (_own, _other, sibling) => [sibling] },
  { what: 'one bit changed', values: (own) => edges(own).map((at) => flipped(own, at)) },
  {
    what: 'cut off',
    values: (own) =>
      [own.length - 1, own.length >> 1, 38, 37, 36, 9, 1].map((n) => own.subarray(0, n)),
  },
  { what: 'cut off in front', values: (own) => [own.subarray(1), own.subarray(21)] },
  { what: 'longer', values: (own) => [Buffer.concat([own, Buffer.of(0)])] },
  { what: 'empty', values: () => [Buffer.alloc(0)] },
  {
    what: 'plain JSON',
    values: () => [
      Buffer.from('{"identity":{"subject":"root","groups":["admins"]}}'),
      Buffer.from('null'),
    ],
  },
  { what: 'noise', values: (own) => [randomBytes(own.length), Buffer.alloc(own.length)] },
]

const OTHER_TYPES: readonly (readonly [type: string, make: (key: string) => string[]])[] = [
  ['list', (key) => ['RPUSH', key, 'a']],
  ['hash', (key) => ['HSET', key, 'a', 'b']],
  ['set', (key) => ['SADD', key, 'a']],
  ['sorted set', (key) => ['ZADD', key, '1', 'a']],
  ['stream', (key) => ['XADD', key, '*', 'a', 'b']],
]

const PARTS: readonly RecordPart[] = ['identity', 'tokens', 'metadata']
const SIBLING: Readonly<Record<RecordPart, RecordPart>> = {
  identity: 'tokens',
  tokens: 'identity',
  metadata: 'identity',
}
/** The number of messages of other replicas that a replica has received. */
function receivedAt(replica: RunningVestibule): Promise<number> {
  return readMetric(replica, 'vestibule_backplane_delay_seconds_count')
}

function failuresAt(replica: RunningVestibule): Promise<number> {
  return readMetric(replica, 'vestibule_store_integrity_failures_total')
}

describeWithRedis('A91 values in Redis that are not what they were', () => {
  const stack = new AsyncDisposableStack()
  let replicas: Replicas
  let bytes: RedisBytes
  let plain: RunningVestibule
  /** A replica that passes access tokens to apps, so that a check reads the tokens as well. */
  let passing: RunningVestibule
  let bystander = ''

  beforeAll(async () => {
    replicas = stack.use(await startReplicasInProcess({ count: 0, settings: PATIENT }))
    bytes = stack.use(await openRedisBytes(replicas.redis))
    plain = await addDirectly(replicas)
    passing = await addDirectly(replicas, { PASS_ACCESS_TOKEN: 'true' })
    await untilWhole([plain, passing])
    bystander = (await signIn('bob')).cookie
  })
  afterEach(async () => {
    for (const replica of [plain, passing]) await expectBystanderServed(replica, bystander)
  })
  afterAll(() => stack.disposeAsync())

  const signIn = async (sub: string) => storedSession(await plain.signIn(sub))

  const statusAt = async (replica: RunningVestibule, { cookie }: StoredSession): Promise<number> =>
    (await replica.check({}, { Cookie: cookie })).status

  /** Asserts that a page and a script are asked to sign in, and that no cookie is cleared. */
  const expectRefused = async (
    replica: RunningVestibule,
    { cookie }: StoredSession,
    isCounted = true,
  ): Promise<void> => {
    const before = await failuresAt(replica)
    const page = await replica.check({}, { Cookie: cookie })
    const program = await replica.check({}, { ...script, Cookie: cookie })
    expect([page.status, program.status]).toEqual([302, 401])
    expect([...page.setCookies, ...program.setCookies]).toEqual([])
    expect(page.headers['x-auth-request-user']).toBeUndefined()
    expect(page.headers['cache-control']).toBe('no-store')
    if (isCounted) expect(await failuresAt(replica)).toBeGreaterThan(before)
    await expectHealthy(replica)
    expect(replica.isAlive()).toBe(true)
  }

  /** Asserts what a record that cannot be opened means to those who read it. */
  const expectHarmless = async (
    part: RecordPart,
    victim: StoredSession,
    isCounted = true,
  ): Promise<void> => {
    if (part === 'identity') await expectRefused(plain, victim)
    else expect(await statusAt(plain, victim)).toBe(200)
    if (part === 'metadata') expect(await statusAt(passing, victim)).toBe(200)
    else await expectRefused(passing, victim, isCounted)
  }

  const expectSignOut = async (victim: StoredSession): Promise<void> => {
    const { status, setCookies } = await plain
      .visitor()
      .post(LOGOUT, {}, { headers: { Cookie: victim.cookie } })
    expect(status).toBe(303)
    expect(setCookies.join()).toContain('Max-Age=0')
    for (const replica of [plain, passing]) expect(await statusAt(replica, victim)).toBe(302)
  }

  const cases = PARTS.flatMap((part) => DAMAGES.map((damage) => ({ part, ...damage })))
  test.for(cases)('$part: $what', async ({ part, values }) => {
    const [victim, other] = await Promise.all([signIn('alice'), signIn('bob')])
    const own = await bytes.get(victim.keyOf(part))
    const foreign = await bytes.get(other.keyOf(part))
    const sibling = await bytes.get(victim.keyOf(SIBLING[part]))
    for (const value of values(own, foreign, sibling)) {
      await bytes.put(victim.keyOf(part), value)
      await expectHarmless(part, victim)
      await bytes.put(victim.keyOf(part), own)
      for (const replica of [plain, passing]) expect(await statusAt(replica, victim)).toBe(200)
    }
    await bytes.put(victim.keyOf(part), sibling)
    await expectSignOut(victim)
    expect(await statusAt(plain, other)).toBe(200)
  })

  const ofOtherTypes = PARTS.flatMap((part) =>
    OTHER_TYPES.map(([type, make]) => ({ part, type, make })),
  )
  test.for(ofOtherTypes)('$part: a $type in its place', async ({ part, make }) => {
    const victim = await signIn('alice')
    await replicas.redis.cli('DEL', victim.keyOf(part))
    await replicas.redis.cli(...make(victim.keyOf(part)))
    // `MGET` says of another type that nothing is there.
    await expectHarmless(part, victim, false)
    await expectSignOut(victim)
  })

  test('a record that was written for another installation opens nothing in this one', async () => {
    const elsewhere = await addDirectly(replicas, { REDIS_KEY_PREFIX: 'elsewhere:' })
    const victim = await signIn('alice')
    const copy = victim.keyOf('identity').replace('vestibule:', 'elsewhere:')
    expect(await statusAt(elsewhere, victim)).toBe(302)
    await bytes.put(copy, await bytes.get(victim.keyOf('identity')))
    const before = await failuresAt(elsewhere)
    const { status, setCookies } = await elsewhere.check({}, { Cookie: victim.cookie })
    expect([status, setCookies, await failuresAt(elsewhere)]).toEqual([302, [], before + 1])
    expect(await statusAt(plain, victim)).toBe(200)
  })

  test('a record of another host opens nothing', async () => {
    const { cookie } = await signIn('alice')
    const before = await failuresAt(plain)
    const { status, setCookies } = await plain.check(
      { host: 'other.example.com' },
      { Cookie: cookie },
    )
    expect([status, setCookies, await failuresAt(plain)]).toEqual([302, [], before + 1])
  })

  // A writer to Redis can undo a sign-out at replicas that have not received it, for the holder of the cookie and until
  // the sealed end.
  test('a record that is put back after the sign-out counts at new replicas alone, and for its own cookie alone', async () => {
    const [victim, other] = await Promise.all([signIn('alice'), signIn('bob')])
    const old = await bytes.get(victim.keyOf('identity'))
    const receivedBefore = await receivedAt(passing)
    await expectSignOut(victim)
    await until(
      'the message of the sign-out',
      async () => (await receivedAt(passing)) > receivedBefore,
    )
    await bytes.put(victim.keyOf('identity'), old)
    await bytes.put(other.keyOf('identity'), old)
    expect((await bytes.get(victim.keyOf('tombstone'))).toString()).toBe('1')
    for (const replica of [plain, passing]) {
      expect([await statusAt(replica, victim), await statusAt(replica, other)]).toEqual([302, 302])
    }
    const fresh = await addDirectly(replicas)
    expect([await statusAt(fresh, victim), await statusAt(fresh, other)]).toEqual([200, 302])
  })

  test('damaged values are logged as no error of the service', () => {
    for (const replica of [plain, passing]) {
      const isBad = ({ level }: Record<string, unknown>) => level === 'error' || level === 'fatal'
      expect(replica.log().filter(isBad)).toEqual([])
    }
  })
})
