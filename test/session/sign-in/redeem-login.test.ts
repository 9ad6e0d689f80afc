import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { IDENTITY_HEADERS } from '../../../src/core/identity.ts'
import { parseSessionCookie, type SessionCredential } from '../../../src/core/session.ts'
import { AuthError } from '../../../src/errors.ts'
import type { Grant, SignIn } from '../../../src/oidc/sign-in.ts'
import { providerSessionOwner, userOwner } from '../../../src/session/owners.ts'
import {
  createRedemption,
  type Redeemable,
  type RedemptionOptions,
} from '../../../src/session/sign-in/redeem-login.ts'
import { createMemoryOneTimeKeys } from '../../../src/store/memory/one-time-keys.ts'
import {
  identity as alice,
  away,
  DAY_MS,
  REALM,
  refusedAs,
  STARTED_AT,
  STORE_AWAY,
  startSessions,
} from '../../support/started-sessions.ts'

const CLAIMS = { iss: alice.issuer, sub: 'u1' }
const USER = userOwner(alice.issuer, 'u1')
const FAILED = refusedAs('sign_in_failed')
const BUSY = refusedAs('busy')

const grantOf = (changes: Partial<Grant> = {}): Grant => ({
  claims: { ...CLAIMS, name: 'Alice', sid: 'sid-1' },
  idToken: `id-token-${randomBytes(4).toString('hex')}`,
  idTokenExpiresAt: STARTED_AT / 1000 + 300,
  accessToken: 'access',
  ...changes,
})

const redeemable = (address = '10.0.0.1', isTold = false): Redeemable => ({
  txid: randomBytes(8).toString('hex'),
  url: new URL('https://app.example.com/oauth2/callback?code=c&state=s'),
  state: 's',
  nonce: 'n',
  codeVerifier: 'v',
  realm: REALM,
  address: '203.0.113.7',
  origin: { address, isTold },
  userAgent: 'x'.repeat(500),
})

/** Starts a redemption over memory, with a provider that answers as told. */
const start = (
  redeem: SignIn['redeem'] = async () => grantOf(),
  changes: Partial<RedemptionOptions> = {},
) => {
  const started = startSessions({ withAccessToken: true })
  const { sessions } = started
  const refusals: string[] = []
  const consumed: number[] = []
  const keys = createMemoryOneTimeKeys()
  const redemption = createRedemption({
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
    now: () => STARTED_AT,
    ...changes,
  })
  return {
    ...started,
    refusals,
    consumed,
    redeem: async (login = redeemable()) => {
      const { cookie, identity } = await redemption(login)
      const credential = parseSessionCookie(cookie) as SessionCredential
      return { identity, credential, find: () => sessions.find(credential, REALM) }
    },
  }
}

describe('redeeming a code', () => {
  test('it gives a session that holds the identity and the tokens', async () => {
    const grant = grantOf({ refreshToken: 'refresh', accessTokenExpiresInSeconds: 60 })
    const { redeem, sessions } = start(async () => grant)
    const { identity, credential, find } = await redeem()
    expect(identity).toMatchObject({ subject: 'u1', name: 'Alice' })
    const accessTokenExpiresAt = STARTED_AT + 60_000
    expect(await find()).toMatchObject({
      session: { identity, accessToken: { value: 'access', expiresAt: accessTokenExpiresAt } },
    })
    expect(await sessions.findTokens(credential, REALM)).toEqual({
      idToken: grant.idToken,
      accessToken: 'access',
      refreshToken: 'refresh',
      accessTokenExpiresAt,
      generation: 0,
    })
  })

  test('what the provider leaves out is left out', async () => {
    const claims = { ...CLAIMS, preferred_username: 'alice' }
    const { redeem, sessions } = start(async () => grantOf({ claims }))
    const { address: _, userAgent: __, ...bare } = redeemable()
    const { credential } = await redeem(bare)
    const tokens = await sessions.findTokens(credential, REALM)
    expect(Object.keys(tokens ?? {})).toEqual(['idToken', 'accessToken', 'generation'])
  })

  test('one login is redeemed once, also when it comes twice at the same time (A54)', async () => {
    const { redeem, refusals } = start(undefined, { concurrency: 50 })
    const same = redeemable()
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => redeem(same)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await expect(redeem(same)).rejects.toThrow(FAILED)
    expect(refusals).toEqual(Array.from({ length: 20 }, () => 'login'))
  })

  test('a login whose code was not accepted may be tried again', async () => {
    const outcomes = [Promise.reject(new AuthError('provider_unavailable', 'away'))]
    const { redeem, refusals } = start(async () => outcomes.pop() ?? grantOf())
    const login = redeemable()
    await expect(redeem(login)).rejects.toThrow(refusedAs('provider_unavailable'))
    expect(await redeem(login)).toHaveProperty('credential.id')
    expect(refusals).toEqual([])
  })

  test('a mark that was set late, after its attempt was given up, does not spend the login', async () => {
    const keys = createMemoryOneTimeKeys()
    let attempts = 0
    const { redeem, refusals } = start(undefined, {
      oneTimeKeys: {
        ...keys,
        async consume(...mark) {
          await keys.consume(...mark)
          return attempts++ === 0 ? away() : keys.consume(...mark)
        },
      },
    })
    const late = redeemable()
    await expect(redeem(late)).rejects.toThrow(STORE_AWAY)
    await expect(redeem(late)).resolves.toHaveProperty('credential.id')
    await expect(redeem(late)).rejects.toThrow(FAILED)
    expect(refusals).toEqual(['login'])
  })

  test('a mark that ended before it could be kept is no replay: it may be tried again', async () => {
    const oneTimeKeys = { ...createMemoryOneTimeKeys(), extend: async () => false }
    const { redeem, refusals } = start(undefined, { oneTimeKeys })
    await expect(redeem()).rejects.toThrow(STORE_AWAY)
    expect(refusals).toEqual([])
  })

  test('one during which all sessions of the user end gives no session, and is spent', async () => {
    const { redeem, sessions, refusals } = start(
      async () => (await sessions.endAllOf(USER), grantOf()),
    )
    const login = redeemable()
    await expect(redeem(login)).rejects.toThrow(FAILED)
    expect([await sessions.list(undefined, 10), refusals]).toEqual([[], []])
    await expect(redeem(login)).rejects.toThrow(FAILED)
    expect(refusals).toEqual(['login'])
  })

  test('one that began after that gives one', async () => {
    const { redeem, sessions } = start()
    await sessions.endAllOf(USER)
    await sessions.endAll()
    expect(await (await redeem()).find()).toBeDefined()
  })

  test('its session is found by its user and by its session at the provider', async () => {
    const { redeem, sessions } = start()
    await redeem()
    expect(await sessions.list(USER.id, 10)).toMatchObject([{ subject: 'u1' }])
    expect(await sessions.endAllOf(providerSessionOwner(alice.issuer, 'sid-1'))).toBe(1)
    expect(await sessions.list(USER.id, 10)).toEqual([])
  })

  test('where its generation cannot be told nothing is spent', async () => {
    const started = start()
    started.break('current', away)
    const login = redeemable()
    await expect(started.redeem(login)).rejects.toThrow(STORE_AWAY)
    started.mend()
    expect(await started.redeem(login)).toHaveProperty('credential.id')
    expect(started.refusals).toEqual([])
  })

  test.for([
    ['in total, also without a visitor’s address', 2, 2, redeemable()],
    ['of one address a quarter (C11)', 8, 2, redeemable('198.51.100.1', true)],
    ['of one address all where there are few', 3, 3, redeemable('198.51.100.1', true)],
    ['of a proxy’s address all', 8, 8, redeemable('198.51.100.1')],
  ] as const)(
    'above its limit, %s, one is refused before anything is consumed, and room comes back',
    async ([, concurrency, limit, waiting]) => {
      const goOn = Promise.withResolvers<void>()
      const { redeem } = start(async () => (await goOn.promise, grantOf()), { concurrency })
      const { address, isTold } = waiting.origin
      const running = Array.from({ length: limit }, () => redeem(redeemable(address, isTold)))
      await expect(redeem(waiting)).rejects.toThrow(BUSY)
      const others = limit < concurrency ? [redeem(redeemable('198.51.100.2', true))] : []
      goOn.resolve()
      await Promise.all([...running, ...others])
      expect((await redeem(waiting)).identity.subject).toBe('u1')
    },
  )

  test('failures give their room back too', async () => {
    const { redeem } = start(() => Promise.reject(new AuthError('sign_in_failed', 'no')))
    for (let count = 0; count < 5; count += 1) await expect(redeem()).rejects.toThrow(FAILED)
  })
})

describe('the replay of an ID token', () => {
  test.for([
    ['its jti', { ...CLAIMS, jti: 'j1' }],
    ['itself', CLAIMS],
  ] as const)('the same token is no second sign-in, by %s', async ([, claims]) => {
    const grant = grantOf({ claims })
    const { redeem, refusals } = start(async () => grant)
    await redeem()
    await expect(redeem()).rejects.toThrow(FAILED)
    expect(refusals).toEqual(['id-token'])
  })

  test('another token of the same user is', async () => {
    const { redeem, refusals } = start(async () => grantOf({ claims: CLAIMS }))
    await redeem()
    await redeem()
    expect(refusals).toEqual([])
  })

  test('where it is not looked for, nothing is marked', async () => {
    const grant = grantOf({ claims: CLAIMS })
    const { redeem, consumed } = start(async () => grant, { detectsIdTokenReplay: false })
    await redeem()
    await redeem()
    expect(consumed).toEqual([])
  })

  test.for([
    ['its remaining life and the skew', 300, 330_000],
    ['a minute at least', -600, 60_000],
    ['a day at most', 1e9, DAY_MS],
  ] as const)('the mark holds for %s', async ([, lifeSeconds, ttlMs]) => {
    const { redeem, consumed } = start(async () =>
      grantOf({ idTokenExpiresAt: STARTED_AT / 1000 + lifeSeconds }),
    )
    await redeem()
    expect(consumed).toEqual([ttlMs])
  })
})
