import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { IDENTITY_HEADERS } from '../../../src/core/identity.ts'
import { parseSessionCookie } from '../../../src/core/session.ts'
import { createKeyRing } from '../../../src/crypto/key-ring.ts'
import { AuthError } from '../../../src/errors.ts'
import type { Grant, SignIn } from '../../../src/oidc/sign-in.ts'
import { createOutageAssertions } from '../../../src/session/outage-assertion.ts'
import { providerSessionOwner, userOwner } from '../../../src/session/owners.ts'
import { createSessionCodec } from '../../../src/session/records.ts'
import { createSessionCache } from '../../../src/session/session-cache.ts'
import { createSessions } from '../../../src/session/sessions.ts'
import {
  createRedemption,
  type Redeemable,
  type RedemptionOptions,
} from '../../../src/session/sign-in/redeem-login.ts'
import type { Generations } from '../../../src/store/generations.ts'
import { createMemoryGenerations } from '../../../src/store/memory/generations.ts'
import { createMemoryOneTimeKeys } from '../../../src/store/memory/one-time-keys.ts'
import { createMemorySessionIndex } from '../../../src/store/memory/session-index.ts'
import { createMemoryStore } from '../../../src/store/memory/store.ts'
import type { OneTimeKeys } from '../../../src/store/one-time-keys.ts'

const REALM = 'app.example.com'
const NOW_MS = 1_700_000_000_000
const NOBODY = { id: '', secret: '' }

const grantOf = (changes: Partial<Grant> = {}): Grant => ({
  claims: { iss: 'https://id.example.com', sub: 'u1', name: 'Alice', sid: 'sid-1' },
  idToken: `id-token-${randomBytes(4).toString('hex')}`,
  idTokenExpiresAt: NOW_MS / 1000 + 300,
  accessToken: 'access',
  ...changes,
})

const redeemable = (txid = randomBytes(8).toString('hex')): Redeemable => ({
  txid,
  url: new URL('https://app.example.com/oauth2/callback?code=c&state=s'),
  state: 's',
  nonce: 'n',
  codeVerifier: 'v',
  realm: REALM,
  address: '203.0.113.7',
  origin: { address: '10.0.0.1', isTold: false },
  userAgent: 'x'.repeat(500),
})

/** A redemption over memory, with a provider that answers as told. */
const start = (
  redeem: SignIn['redeem'],
  changes: Partial<RedemptionOptions> = {},
  generations: Generations = createMemoryGenerations(),
) => {
  const refusals: string[] = []
  const consumed: number[] = []
  const ring = createKeyRing([randomBytes(32)])
  const sessions = createSessions({
    store: createMemoryStore(),
    index: createMemorySessionIndex(),
    generations,
    codec: createSessionCodec({
      ring,
      keyPrefix: 'vestibule:',
      onIntegrityFailure: () => undefined,
    }),
    sessionCache: createSessionCache({
      maxEntries: 10,
      maxBytes: 100_000,
      servedMs: 1000,
      keptMs: 0,
      canRecall: true,
      epoch: () => 0,
      onLookUp: () => undefined,
    }),
    assertions: createOutageAssertions({ ring, graceMs: 0, now: () => NOW_MS }),
    perUser: 100,
    onReplaced: () => undefined,
    withAccessToken: true,
    canShareReads: false,
    maxAgeMs: 86_400_000,
    idleTimeoutMs: 0,
    now: () => NOW_MS,
    onExtendFailure: () => undefined,
    announceEnded: () => undefined,
    onFlushed: () => undefined,
  })
  const keys = createMemoryOneTimeKeys()
  return {
    sessions,
    refusals,
    consumed,
    redemption: createRedemption({
      signIn: { redeem } as SignIn,
      sessions,
      oneTimeKeys: {
        ...keys,
        consume: (kind, key, attemptId, ttlMs) => {
          if (kind === 'id-token') consumed.push(ttlMs)
          return keys.consume(kind, key, attemptId, ttlMs)
        },
      },
      identity: { groupsClaim: 'groups', trustEmail: false, headers: IDENTITY_HEADERS },
      clientId: 'vestibule',
      concurrency: 2,
      detectsIdTokenReplay: true,
      onReplay: (kind) => refusals.push(kind),
      now: () => NOW_MS,
      ...changes,
    }),
  }
}

const error = (code: string) => expect.objectContaining({ code }) as Error

describe('redeeming a code', () => {
  test('it gives a session that holds the identity and the tokens', async () => {
    const grant = grantOf({ refreshToken: 'refresh', accessTokenExpiresInSeconds: 60 })
    const { redemption, sessions } = start(async () => grant)
    const { cookie, identity } = await redemption(redeemable())
    const credential = parseSessionCookie(cookie) ?? NOBODY
    expect(identity).toMatchObject({ subject: 'u1', name: 'Alice' })
    expect(await sessions.find(credential, REALM)).toMatchObject({
      session: { identity, accessToken: { value: 'access', expiresAt: NOW_MS + 60_000 } },
    })
    expect(await sessions.findTokens(credential, REALM)).toEqual({
      idToken: grant.idToken,
      accessToken: 'access',
      refreshToken: 'refresh',
      accessTokenExpiresAt: NOW_MS + 60_000,
      generation: 0,
    })
  })

  test('what the provider leaves out is left out', async () => {
    const claims = { iss: 'https://id.example.com', sub: 'u1', preferred_username: 'alice' }
    const { redemption, sessions } = start(async () => grantOf({ claims }))
    const { address: _, userAgent: __, ...bare } = redeemable()
    const { cookie } = await redemption(bare)
    const tokens = await sessions.findTokens(parseSessionCookie(cookie) ?? NOBODY, REALM)
    expect(Object.keys(tokens ?? {})).toEqual(['idToken', 'accessToken', 'generation'])
  })

  test('one login is redeemed once, also when it comes twice at the same time (A54)', async () => {
    const { redemption, refusals } = start(async () => grantOf(), { concurrency: 50 })
    const same = redeemable('one')
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => redemption(same)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await expect(redemption(same)).rejects.toThrow(error('sign_in_failed'))
    expect(refusals).toEqual(Array.from({ length: 20 }, () => 'login'))
  })

  test('a login whose code was not accepted may be tried again', async () => {
    let attempts = 0
    const { redemption, refusals } = start(async () => {
      attempts += 1
      if (attempts === 1) throw new AuthError('provider_unavailable', 'away')
      return grantOf()
    })
    const login = redeemable('one')
    await expect(redemption(login)).rejects.toThrow(error('provider_unavailable'))
    expect((await redemption(login)).cookie).toMatch(/^v1\./)
    expect(refusals).toEqual([])
  })

  test('a mark that was set late, after its attempt was given up, does not spend the login', async () => {
    const keys = createMemoryOneTimeKeys()
    let attempts = 0
    const late: OneTimeKeys = {
      ...keys,
      async consume(...mark) {
        await keys.consume(...mark)
        if (attempts++ === 0) throw new AuthError('store_unavailable', 'no answer in time')
        return keys.consume(...mark)
      },
    }
    const { redemption, refusals } = start(async () => grantOf(), { oneTimeKeys: late })
    await expect(redemption(redeemable('late'))).rejects.toThrow(error('store_unavailable'))
    await expect(redemption(redeemable('late'))).resolves.toHaveProperty('cookie')
    await expect(redemption(redeemable('late'))).rejects.toThrow(error('sign_in_failed'))
    expect(refusals).toEqual(['login'])
  })

  test('a mark that ended before it could be kept is no replay: it may be tried again', async () => {
    const keys = createMemoryOneTimeKeys()
    const { redemption, refusals } = start(async () => grantOf(), {
      oneTimeKeys: { ...keys, extend: async () => false },
    })
    await expect(redemption(redeemable('slow'))).rejects.toThrow(error('store_unavailable'))
    expect(refusals).toEqual([])
  })

  test('one during which all sessions of the user end gives no session, and is spent', async () => {
    const started = start(async () => {
      await started.sessions.endAllOf(userOwner('https://id.example.com', 'u1'))
      return grantOf()
    })
    const login = redeemable()
    await expect(started.redemption(login)).rejects.toThrow(error('sign_in_failed'))
    expect(await started.sessions.list(undefined, 10)).toEqual([])
    expect(started.refusals).toEqual([])
    await expect(started.redemption(login)).rejects.toThrow(error('sign_in_failed'))
    expect(started.refusals).toEqual(['login'])
  })

  test('one that began after that gives one', async () => {
    const { redemption, sessions } = start(async () => grantOf())
    await sessions.endAllOf(userOwner('https://id.example.com', 'u1'))
    await sessions.endAll()
    const { cookie } = await redemption(redeemable())
    expect(await sessions.find(parseSessionCookie(cookie) ?? NOBODY, REALM)).toBeDefined()
  })

  test('its session is found by its user and by its session at the provider', async () => {
    const { redemption, sessions } = start(async () => grantOf())
    await redemption(redeemable())
    const user = userOwner('https://id.example.com', 'u1')
    expect(await sessions.list(user.id, 10)).toMatchObject([{ subject: 'u1' }])
    expect(await sessions.endAllOf(providerSessionOwner('https://id.example.com', 'sid-1'))).toBe(1)
    expect(await sessions.list(user.id, 10)).toEqual([])
  })

  test('where its generation cannot be told nothing is spent', async () => {
    let isAway = true
    const generations = createMemoryGenerations()
    const { redemption, refusals } = start(
      async () => grantOf(),
      {},
      {
        ...generations,
        async current() {
          if (isAway) throw new AuthError('store_unavailable', 'away')
          return generations.current()
        },
      },
    )
    const login = redeemable()
    await expect(redemption(login)).rejects.toThrow(error('store_unavailable'))
    isAway = false
    expect(await redemption(login)).toHaveProperty('cookie')
    expect(refusals).toEqual([])
  })

  test('above the limit it is refused before anything is consumed, and room comes back', async () => {
    const goOn = Promise.withResolvers<void>()
    const { redemption } = start(async () => {
      await goOn.promise
      return grantOf()
    })
    const running = [redemption(redeemable()), redemption(redeemable())]
    const waiting = redeemable('third')
    await expect(redemption(waiting)).rejects.toThrow(error('busy'))
    goOn.resolve()
    await Promise.all(running)
    expect((await redemption(waiting)).identity.subject).toBe('u1')
  })

  test('failures give their room back too', async () => {
    const { redemption } = start(async () => {
      throw new AuthError('sign_in_failed', 'no')
    })
    for (let count = 0; count < 5; count += 1) {
      await expect(redemption(redeemable())).rejects.toThrow(error('sign_in_failed'))
    }
  })
})

describe('the replay of an ID token', () => {
  const claims = { iss: 'https://id.example.com', sub: 'u1' }

  test('the same token is no second sign-in, by its jti or by itself', async () => {
    for (const grant of [grantOf({ claims: { ...claims, jti: 'j1' } }), grantOf({ claims })]) {
      const { redemption, refusals } = start(async () => grant)
      await redemption(redeemable())
      await expect(redemption(redeemable())).rejects.toThrow(error('sign_in_failed'))
      expect(refusals).toEqual(['id-token'])
    }
  })

  test('another token of the same user is', async () => {
    const { redemption, refusals } = start(async () => grantOf({ claims }))
    await redemption(redeemable())
    await redemption(redeemable())
    expect(refusals).toEqual([])
  })

  test('where it is not looked for, nothing is marked', async () => {
    const grant = grantOf({ claims })
    const { redemption, consumed } = start(async () => grant, { detectsIdTokenReplay: false })
    await redemption(redeemable())
    await redemption(redeemable())
    expect(consumed).toEqual([])
  })

  test.for([
    ['its remaining life and the skew', 300, 330_000],
    ['a minute at least', -600, 60_000],
    ['a day at most', 1e9, 86_400_000],
  ] as const)('the mark holds for %s', async ([, lifeSeconds, ttlMs], { expect }) => {
    const grant = grantOf({ idTokenExpiresAt: NOW_MS / 1000 + lifeSeconds })
    const { redemption, consumed } = start(async () => grant)
    await redemption(redeemable())
    expect(consumed).toEqual([ttlMs])
  })
})
