import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { RecordPart } from '../../src/store/store.ts'
import {
  asProgram,
  bearerRule,
  createProofKey,
  expectTokenRefusal,
  mintAccessToken,
} from '../support/bearers.ts'
import { expectBystanderServed } from '../support/bystander.ts'
import { untilWhole } from '../support/fleet-load.ts'
import { expectHealthy, readMetric, script } from '../support/outage.ts'
import { until } from '../support/own-lag.ts'
import { openRedisBytes, type RedisBytes } from '../support/redis-bytes.ts'
import {
  describeWithRedis,
  PATIENT,
  type Replicas,
  startReplicasInProcess,
} from '../support/replicas.ts'
import { writeRules } from '../support/rules-file.ts'
import * as steps from '../support/sign-in-steps.ts'
import { addDirectly, type StoredSession, storedSession } from '../support/stored-session.ts'
import { changeClaims, claimsOf } from '../support/tokens.ts'
import type { RunningVestibule } from '../support/vestibule.ts'
import { createVisitor, type Visitor } from '../support/visitor.ts'

/** Values in place of a record, written one at a time; the session is restored behind each. */
type Damage = (own: Buffer, other: Buffer, sibling: Buffer) => readonly Buffer[]

/** The bounds of the parts of a sealed record: version, key id, nonce, text, tag. */
function edges({ length }: Buffer): readonly number[] {
  return [0, 1, 8, 9, 20, 21, length >> 1, length - 17, length - 16, length - 1]
}

function flipped(value: Buffer, at: number): Buffer {
  const changed = Buffer.from(value)
  changed[at] = Number(changed[at]) ^ 1
  return changed
}

const DAMAGES: Readonly<Record<string, Damage>> = {
  "another session's record": (_, other) => [other],
  'another record of the same session': (_own, _other, sibling) => [sibling],
  'one bit changed': (own) => edges(own).map((at) => flipped(own, at)),
  'cut off': (own) =>
    [own.length - 1, own.length >> 1, 38, 37, 36, 9, 1].map((n) => own.subarray(0, n)),
  'cut off in front': (own) => [own.subarray(1), own.subarray(21)],
  longer: (own) => [Buffer.concat([own, Buffer.of(0)])],
  empty: () => [Buffer.alloc(0)],
  'plain JSON': () =>
    ['{"identity":{"subject":"root","groups":["admins"]}}', 'null'].map((text) =>
      Buffer.from(text),
    ),
  noise: (own) => [randomBytes(own.length), Buffer.alloc(own.length)],
}

type Make = (key: string) => string[]
const TEXTS: readonly (readonly [what: string, make: Make])[] = [
  ['text', (key) => ['SET', key, 'something']],
  ['an empty text', (key) => ['SET', key, '']],
]
const COLLECTIONS: typeof TEXTS = [
  ['a list', (key) => ['RPUSH', key, 'a']],
  ['a hash', (key) => ['HSET', key, 'a', 'b']],
  ['a set', (key) => ['SADD', key, 'a']],
  ['a stream', (key) => ['XADD', key, '*', 'a', 'b']],
]

const SORTED_SET: (typeof TEXTS)[number] = ['a sorted set', (key) => ['ZADD', key, '1', 'a']]

const PARTS: readonly RecordPart[] = ['identity', 'tokens', 'metadata']
const SIBLING: Readonly<Record<RecordPart, RecordPart>> = {
  identity: 'tokens',
  tokens: 'identity',
  metadata: 'identity',
}
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
    const rules = [bearerRule('/once/**', {}, { oneTime: true }), bearerRule('/api/**')]
    const { path } = stack.use(await writeRules([...rules, { access: 'signed-in' }]))
    replicas = stack.use(await startReplicasInProcess({ count: 0, settings: PATIENT }))
    bytes = stack.use(await openRedisBytes(replicas.redis))
    plain = await addDirectly(replicas, { VESTIBULE_CONFIG: path })
    passing = await addDirectly(replicas, { PASS_ACCESS_TOKEN: 'true' })
    await untilWhole([plain, passing])
    bystander = (await signIn('bob')).cookie
  })
  const planted = new Set<string>()

  afterEach(async () => {
    replicas.provider.reset('token')
    if (planted.size > 0) await replicas.redis.cli('DEL', ...planted)
    planted.clear()
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
      .post(steps.LOGOUT, {}, { headers: { Cookie: victim.cookie } })
    expect(status).toBe(303)
    expect(setCookies.join()).toContain('Max-Age=0')
    for (const replica of [plain, passing]) expect(await statusAt(replica, victim)).toBe(302)
  }

  const cases = PARTS.flatMap((part) =>
    Object.entries(DAMAGES).map(([what, values]) => ({ part, what, values })),
  )
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
    [...COLLECTIONS, SORTED_SET].map(([type, make]) => ({ part, type, make })),
  )
  test.for(ofOtherTypes)('$part: $type in its place', async ({ part, make }) => {
    const victim = await signIn('alice')
    await replicas.redis.cli('DEL', victim.keyOf(part))
    await replicas.redis.cli(...make(victim.keyOf(part)))
    // `MGET` says of another type that nothing is there.
    await expectHarmless(part, victim, false)
    await expectSignOut(victim)
  })

  const plant = async (key: string, make: Make): Promise<void> => {
    planted.add(key)
    await replicas.redis.cli('DEL', key)
    await replicas.redis.cli(...make(key))
  }

  const keyLeftBy = async (pattern: string, work: () => Promise<unknown>): Promise<string> => {
    const before = new Set(await bytes.keys(pattern))
    await work()
    const [key, ...others] = (await bytes.keys(pattern)).filter((each) => !before.has(each))
    if (key === undefined || others.length > 0) throw new Error(`not one ${pattern}`)
    return key
  }

  const addClaims = (claims: Readonly<Record<string, unknown>>): void =>
    replicas.provider.set('token', {
      rewrite: async (body) => {
        const changed = changeClaims(claimsOf(String(body['id_token'])), claims)
        return { ...body, id_token: await replicas.provider.sign(changed) }
      },
    })
  const copyOf = (browser: Visitor): Visitor =>
    createVisitor({
      connectTo: { 'app.example.com': `http://127.0.0.1:${plain.publicPort}` },
      cookies: browser.cookies.copy(),
    })
  const statusOf = async (cookie: string | undefined): Promise<number> =>
    (await plain.check({}, { Cookie: cookie })).status
  /** Each uses something, has the mark of its use replaced, and uses it again. */
  const kinds: Readonly<
    Record<string, (replace: (work: () => Promise<unknown>) => Promise<void>) => Promise<void>>
  > = {
    login: async (replace) => {
      const browser = plain.visitor()
      const callbackUrl = await steps.untilCallback(browser)
      const again = copyOf(browser)
      await replace(() => browser.get(callbackUrl))
      steps.expectFailedSignIn(await again.get(callbackUrl))
      expect(await statusOf(steps.cookieHeader(again))).toBe(302)
      expect(await statusOf(steps.cookieHeader(browser))).toBe(200)
    },
    'id-token': async (replace) => {
      addClaims({ jti: crypto.randomUUID() })
      await replace(() => plain.signIn('alice'))
      const browser = plain.visitor()
      steps.expectFailedSignIn(await browser.get(await steps.untilCallback(browser)))
      expect(await statusOf(steps.cookieHeader(browser))).toBe(302)
    },
    bearer: async (replace) => {
      const token = await mintAccessToken(replicas.provider)
      const present = () =>
        plain.check({ uri: '/once/' }, { ...asProgram, Authorization: `Bearer ${token}` })
      await replace(async () => expect((await present()).status).toBe(200))
      expectTokenRefusal(await present(), 'invalid_token')
    },
    dpop: async (replace) => {
      const key = await createProofKey()
      const token = await mintAccessToken(replicas.provider, { cnf: { jkt: key.thumbprint } })
      const headers = { Authorization: `DPoP ${token}`, DPoP: await key.prove(token) }
      const present = () => plain.check({ uri: '/api/' }, { ...asProgram, ...headers })
      await replace(async () => expect((await present()).status).toBe(200))
      const refused = await present()
      expect(refused.status, refused.body).toBe(401)
      expect(refused.headers['www-authenticate']).toContain('error="invalid_dpop_proof"')
    },
  }

  const marks = Object.keys(kinds).flatMap((kind) =>
    [...TEXTS, ...COLLECTIONS, SORTED_SET].map(([what, make]) => ({ kind, what, make })),
  )

  test.for(marks)('a used $kind stays used when its mark is $what', async ({ kind, make }) => {
    await kinds[kind]?.(async (work) => {
      await plant(await keyLeftBy(`vestibule:j:${kind}:*`, work), make)
    })
    await expectHealthy(plain)
    expect(await statusOf(bystander)).toBe(200)
  })

  const indexes = ['u', 'p'].flatMap((letter) =>
    [...TEXTS, ...COLLECTIONS].map(([what, make]) => ({ letter, what, make })),
  )

  test.for(indexes)('with $what as $letter a user signs in and out', async ({ letter, make }) => {
    addClaims({ sid: crypto.randomUUID() })
    const browser = plain.visitor()
    await browser.get(await steps.untilCallback(browser))
    const { digest } = storedSession(String(steps.cookieHeader(browser)))
    let index: string | undefined
    for (const key of await bytes.keys(`vestibule:${letter}:*`)) {
      if ((await replicas.redis.cli('ZRANGE', key, '0', '-1')).includes(digest)) index = key
    }
    if (index === undefined) throw new Error('there is no index')
    await plant(index, make)
    const next = plain.visitor()
    const { status } = await next.get(await steps.untilCallback(next))
    expect([status, await statusOf(steps.cookieHeader(next))]).toEqual([302, 200])
    await plant(index, make)
    expect((await next.post(steps.LOGOUT)).status).toBe(303)
    expect(await statusOf(steps.cookieHeader(next.copy()))).toBe(302)
    expect(await statusOf(bystander)).toBe(200)
    await expectHealthy(plain)
  })

  test('an index with foreign members ends only the session of its user', async () => {
    addClaims({ sid: crypto.randomUUID() })
    const browser = plain.visitor()
    const index = await keyLeftBy('vestibule:p:*', async () =>
      browser.get(await steps.untilCallback(browser)),
    )
    replicas.provider.reset('token')
    const victim = await plain.signIn('bob')
    const far = String(Date.now() + 3_600_000)
    for (const member of [storedSession(victim).digest, '', '*', 'a}b', '\r\n', 'x'.repeat(5000)]) {
      await replicas.redis.cli('ZADD', index, far, member)
    }
    const cookie = steps.cookieHeader(browser)
    expect([(await browser.post(steps.LOGOUT)).status, await statusOf(cookie)]).toEqual([303, 302])
    expect([await statusOf(bystander), await statusOf(victim)]).toEqual([200, 200])
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
    const host = 'other.example.com'
    const { status, setCookies } = await plain.check({ host }, { Cookie: cookie })
    expect([status, setCookies, await failuresAt(plain)]).toEqual([302, [], before + 1])
  })

  // A writer to Redis can undo a sign-out at replicas that have not received it, for the holder of the cookie and until
  // the sealed end.
  test('a record that is put back after the sign-out counts at new replicas alone, and for its own cookie alone', async () => {
    const [victim, other] = await Promise.all([signIn('alice'), signIn('bob')])
    const old = await bytes.get(victim.keyOf('identity'))
    const receivedBefore = await receivedAt(passing)
    await expectSignOut(victim)
    await until('its message', async () => (await receivedAt(passing)) > receivedBefore)
    await bytes.put(victim.keyOf('identity'), old)
    await bytes.put(other.keyOf('identity'), old)
    expect((await bytes.get(victim.keyOf('tombstone'))).toString()).toBe('signed-out')
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
