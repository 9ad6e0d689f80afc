import { hash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseKeys } from '../../../src/config/encryption-keys.ts'
import { formatSessionCookie } from '../../../src/core/session.ts'
import { createKeyRing } from '../../../src/crypto/key-ring.ts'
import { recordKey } from '../../../src/store/store.ts'
import { expectOthersServed, readMetric } from '../../support/outage.ts'
import { prepared } from '../../support/prepared.ts'
import { openState, until } from '../../support/redis-state.ts'
import { expectEnded } from '../../support/refreshing-replicas.ts'
import {
  describeWithRedis,
  SERVER_KEY,
  startReplicas,
  untilStarted,
} from '../../support/replicas.ts'
import { SESSION_COOKIE, untilCallback } from '../../support/sign-in-steps.ts'

const PREFIX = 'vestibule:'
const HOUR_MS = 3_600_000
const ring = createKeyRing(parseKeys(SERVER_KEY))

const now = Date.now()
const session = {
  identity: {
    issuer: 'https://id.example.com',
    subject: 'alice',
    email: 'alice@example.com',
    groups: ['staff'],
    claims: {},
  },
  createdAt: now,
  expiresAt: now + HOUR_MS,
}

describeWithRedis('F40 other versions at the same Redis', () => {
  const fleet = prepared(async () => {
    await using stack = new AsyncDisposableStack()
    const replicas = stack.use(await startReplicas())
    const later = { keys: ring.fingerprints(), mode: 'redis', version: '99.0.0' }
    const observed = stack.use(openState(replicas.redis, later))
    await observed.state.firstAttempt
    const kept = stack.move()
    return { ...replicas, observed, [Symbol.asyncDispose]: () => kept.disposeAsync() }
  })

  /** Writes a session as some version might, and returns the `Cookie` header that belongs to it. */
  const write = async (
    payload: string,
    change: (sealed: Buffer) => Buffer = (sealed) => sealed,
  ): Promise<string> => {
    const [id, secret] = [token(), token()]
    const digest = hash('sha256', id, 'base64url')
    const seal = (
      part: 'identity' | 'tokens' | 'metadata',
      text: string,
      holder: { secret?: string; realm: string },
    ) =>
      ring.seal(Buffer.from(text), {
        purpose: 'session',
        name: recordKey(PREFIX, digest, part),
        ...holder,
      })
    const holder = { secret, realm: 'app.example.com' }
    const records = {
      identity: change(seal('identity', payload, holder)),
      tokens: seal('tokens', '{"idToken":"x","accessToken":"x"}', holder),
      metadata: seal('metadata', JSON.stringify({ subject: 'alice', owners: {} }), { realm: '' }),
    }
    await fleet().observed.state.store.create(digest, records, HOUR_MS)
    return `${SESSION_COOKIE}=${formatSessionCookie({ id, secret })}`
  }
  const token = () => randomBytes(32).toString('base64url')

  const expectNoSession = (cookie: string) => expectEnded([fleet().first], cookie)

  test('a record of this version is a session', async () => {
    const cookie = await write(JSON.stringify(session))
    const { status, headers } = await fleet().first.check({}, { Cookie: cookie })
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'x-auth-request-user': 'alice',
      'x-auth-request-email': 'alice@example.com',
      'x-auth-request-groups': 'staff',
    })
  })

  test('fields of a later version are ignored, in the session and in its identity', async () => {
    const later = {
      ...session,
      identity: { ...session.identity, pronouns: 'they', avatar: { url: 'https://x.example' } },
      assurance: 3,
      device: ['a', { b: null }],
    }
    const cookie = await write(JSON.stringify(later))
    const { status, headers } = await fleet().first.check({}, { Cookie: cookie })
    expect(status).toBe(200)
    expect(headers['x-auth-request-user']).toBe('alice')
    expect(JSON.stringify(headers)).not.toMatch(/pronouns|they|x\.example/)
  })

  test.for([0, 2, 3, 255])('a record of format version %i is no session', async (version) => {
    const before = await readMetric(fleet().first, 'vestibule_store_integrity_failures_total')
    const cookie = await write(JSON.stringify(session), (sealed) => {
      sealed[0] = version
      return sealed
    })
    await expectNoSession(cookie)
    const after = await readMetric(fleet().first, 'vestibule_store_integrity_failures_total')
    expect(after).toBeGreaterThan(before)
  })

  test.for([
    ['no JSON', '\u00a9not json'],
    ['an empty text', ''],
    ['no object', '[1,2]'],
    ['null', 'null'],
    ['an object without a session', '{}'],
    ['a session without an identity', JSON.stringify({ ...session, identity: undefined })],
    [
      'an identity without a user',
      JSON.stringify({ ...session, identity: { groups: [], claims: {} } }),
    ],
    [
      'a user that is no text',
      JSON.stringify({ ...session, identity: { ...session.identity, subject: { id: 1 } } }),
    ],
  ] as const)('a record that opens and holds %s is no session', async ([, payload]) => {
    await expectNoSession(await write(payload))
    await expectOthersServed(fleet().first)
  })

  test('a cookie of an unknown version does not prevent a sign-in', async () => {
    const browser = fleet().first.visitor()
    browser.cookies.set(
      `${SESSION_COOKIE}=v2.${token()}.${token()}; Path=/; Secure; HttpOnly`,
      new URL('https://app.example.com/'),
    )
    expect((await browser.get(await untilCallback(browser))).status).toBe(302)
    expect(browser.cookies.find(SESSION_COOKIE)?.value).toMatch(/^v1\./)
  })

  test('a message of an unknown type empties the cache in memory', async () => {
    const hybrid = await fleet().add({ REDIS_CACHE_MODE: 'hybrid' })
    await untilStarted(hybrid)
    const { cookie } = await fleet().signedIn()
    const cached = () => readMetric(hybrid, 'vestibule_l1_sessions')
    expect((await hybrid.check({}, { Cookie: cookie })).status).toBe(200)
    await until('a subscription', async () => {
      await hybrid.check({}, { Cookie: cookie })
      return (await readMetric(hybrid, 'vestibule_backplane_healthy')) === 1
    })
    expect(await cached()).toBe(1)
    await fleet().redis.cli('PUBLISH', `${PREFIX}0:events`, '{"v":99,"type":"from-the-future"}')
    await until('an empty cache', async () => (await cached()) === 0)
    expect((await hybrid.check({}, { Cookie: cookie })).status).toBe(200)
  })
})
