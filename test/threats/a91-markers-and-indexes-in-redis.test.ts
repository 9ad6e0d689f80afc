import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  asProgram,
  bearerRule,
  createProofKey,
  expectTokenRefusal,
  mintAccessToken,
} from '../support/bearers.ts'
import { expectBystanderServed } from '../support/bystander.ts'
import { describeWithRedis } from '../support/describe-with-redis.ts'
import { expectHealthy } from '../support/outage.ts'
import { openRedisBytes, type RedisBytes } from '../support/redis-bytes.ts'
import { PATIENT, type Replicas, startReplicasInProcess } from '../support/replicas.ts'
import { writeRules } from '../support/rules-file.ts'
import {
  cookieHeader,
  expectFailedSignIn,
  LOGOUT,
  untilCallback,
} from '../support/sign-in-steps.ts'
import { addDirectly, storedSession } from '../support/stored-session.ts'
import { changeClaims, claimsOf } from '../support/tokens.ts'
import type { RunningVestibule } from '../support/vestibule.ts'
import { createVisitor, type Visitor } from '../support/visitor.ts'

type Make = (key: string) => string[]
const NOT_SORTED_SETS: readonly (readonly [what: string, make: Make])[] = [
  ['text', (key) => ['SET', key, 'something']],
  ['an empty text', (key) => ['SET', key, '']],
  ['a list', (key) => ['RPUSH', key, 'a']],
  ['a hash', (key) => ['HSET', key, 'a', 'b']],
  ['a set', (key) => ['SADD', key, 'a']],
  ['a stream', (key) => ['XADD', key, '*', 'a', 'b']],
]

const ANYTHING = [
  ...NOT_SORTED_SETS,
  ['a sorted set', (key: string) => ['ZADD', key, '1', 'a']] as const,
]

describeWithRedis('A91 markers and indexes in Redis that are not what they were', () => {
  const stack = new AsyncDisposableStack()
  let replicas: Replicas
  let bytes: RedisBytes
  let vestibule: RunningVestibule
  let bystander = ''
  beforeAll(async () => {
    const rules = [bearerRule('/once/**', {}, { oneTime: true }), bearerRule('/api/**')]
    const { path } = stack.use(await writeRules([...rules, { access: 'signed-in' }]))
    replicas = stack.use(await startReplicasInProcess({ count: 0, settings: PATIENT }))
    bytes = stack.use(await openRedisBytes(replicas.redis))
    vestibule = await addDirectly(replicas, { VESTIBULE_CONFIG: path })
    bystander = await vestibule.signIn('bob')
  })

  afterAll(() => stack.disposeAsync())
  const planted = new Set<string>()
  afterEach(async () => {
    replicas.provider.reset('token')
    if (planted.size > 0) await replicas.redis.cli('DEL', ...planted)
    planted.clear()
    await expectBystanderServed(vestibule, bystander)
  })

  const plant = async (key: string, make: Make): Promise<void> => {
    planted.add(key)
    await replicas.redis.cli('DEL', key)
    await replicas.redis.cli(...make(key))
  }

  /** The one key of this form that the work leaves behind. */
  const keyLeftBy = async (pattern: string, work: () => Promise<unknown>): Promise<string> => {
    const before = new Set(await bytes.keys(pattern))
    await work()
    const [key, ...others] = (await bytes.keys(pattern)).filter((each) => !before.has(each))
    if (key === undefined || others.length > 0) throw new Error(`not one ${pattern}`)
    return key
  }

  /** Every ID token from now on has these claims as well. */
  const addClaims = (claims: Readonly<Record<string, unknown>>): void =>
    replicas.provider.set('token', {
      rewrite: async (body) => {
        const changed = changeClaims(claimsOf(String(body['id_token'])), claims)
        return { ...body, id_token: await replicas.provider.sign(changed) }
      },
    })
  const copyOf = (browser: Visitor): Visitor =>
    createVisitor({
      connectTo: { 'app.example.com': `http://127.0.0.1:${vestibule.publicPort}` },
      cookies: browser.cookies.copy(),
    })
  const statusOf = async (cookie: string | undefined): Promise<number> =>
    (await vestibule.check({}, { Cookie: cookie })).status
  /** Each uses something, has the mark of its use replaced, and uses it again. */
  const kinds: Readonly<
    Record<string, (replace: (work: () => Promise<unknown>) => Promise<void>) => Promise<void>>
  > = {
    login: async (replace) => {
      const browser = vestibule.visitor()
      const callbackUrl = await untilCallback(browser)
      const again = copyOf(browser)
      await replace(() => browser.get(callbackUrl))
      expectFailedSignIn(await again.get(callbackUrl))
      expect(await statusOf(cookieHeader(again))).toBe(302)
      expect(await statusOf(cookieHeader(browser))).toBe(200)
    },
    'id-token': async (replace) => {
      addClaims({ jti: crypto.randomUUID() })
      await replace(() => vestibule.signIn('alice'))
      const browser = vestibule.visitor()
      expectFailedSignIn(await browser.get(await untilCallback(browser)))
      expect(await statusOf(cookieHeader(browser))).toBe(302)
    },
    bearer: async (replace) => {
      const token = await mintAccessToken(replicas.provider)
      const present = () =>
        vestibule.check({ uri: '/once/' }, { ...asProgram, Authorization: `Bearer ${token}` })
      await replace(async () => expect((await present()).status).toBe(200))
      expectTokenRefusal(await present(), 'invalid_token')
    },
    dpop: async (replace) => {
      const key = await createProofKey()
      const token = await mintAccessToken(replicas.provider, { cnf: { jkt: key.thumbprint } })
      const headers = { Authorization: `DPoP ${token}`, DPoP: await key.prove(token) }
      const present = () => vestibule.check({ uri: '/api/' }, { ...asProgram, ...headers })
      await replace(async () => expect((await present()).status).toBe(200))
      const refused = await present()
      expect(refused.status, refused.body).toBe(401)
      expect(refused.headers['www-authenticate']).toContain('error="invalid_dpop_proof"')
    },
  }

  const marks = Object.keys(kinds).flatMap((kind) =>
    ANYTHING.map(([what, make]) => ({ kind, what, make })),
  )

  test.for(marks)('a used $kind stays used when its mark is $what', async ({ kind, make }) => {
    await kinds[kind]?.(async (work) => {
      await plant(await keyLeftBy(`vestibule:j:${kind}:*`, work), make)
    })
    await expectHealthy(vestibule)
    expect(await statusOf(bystander)).toBe(200)
  })

  const indexes = ['u', 'p'].flatMap((letter) =>
    NOT_SORTED_SETS.map(([what, make]) => ({ letter, what, make })),
  )

  test.for(indexes)('with $what as $letter a user signs in and out', async ({ letter, make }) => {
    addClaims({ sid: crypto.randomUUID() })
    const browser = vestibule.visitor()
    await browser.get(await untilCallback(browser))
    const { digest } = storedSession(String(cookieHeader(browser)))
    let index: string | undefined
    for (const key of await bytes.keys(`vestibule:${letter}:*`)) {
      if ((await replicas.redis.cli('ZRANGE', key, '0', '-1')).includes(digest)) index = key
    }
    if (index === undefined) throw new Error('there is no index')
    await plant(index, make)
    const next = vestibule.visitor()
    const { status } = await next.get(await untilCallback(next))
    expect([status, await statusOf(cookieHeader(next))]).toEqual([302, 200])
    await plant(index, make)
    expect((await next.post(LOGOUT)).status).toBe(303)
    expect(await statusOf(cookieHeader(next.copy()))).toBe(302)
    expect(await statusOf(bystander)).toBe(200)
    await expectHealthy(vestibule)
  })

  test('an index with foreign members ends only the session of its user', async () => {
    addClaims({ sid: crypto.randomUUID() })
    const browser = vestibule.visitor()
    const index = await keyLeftBy('vestibule:p:*', async () =>
      browser.get(await untilCallback(browser)),
    )
    replicas.provider.reset('token')
    const victim = await vestibule.signIn('bob')
    const far = String(Date.now() + 3_600_000)
    for (const member of [storedSession(victim).digest, '', '*', 'a}b', '\r\n', 'x'.repeat(5000)]) {
      await replicas.redis.cli('ZADD', index, far, member)
    }
    const cookie = cookieHeader(browser)
    expect([(await browser.post(LOGOUT)).status, await statusOf(cookie)]).toEqual([303, 302])
    expect([await statusOf(bystander), await statusOf(victim)]).toEqual([200, 200])
  })
})
