import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { parseSessionCookie, type SessionCredential } from '../../../src/core/session.ts'
import { AuthError } from '../../../src/errors.ts'
import type { Grant, SignIn } from '../../../src/oidc/sign-in.ts'
import { providerSessionOwner, userOwner } from '../../../src/session/owners.ts'
import {
  createRedemption,
  type Redeemable,
  type RedemptionOptions,
} from '../../../src/session/sign-in/redeem-login.ts'
import { createSignInSlots } from '../../../src/session/sign-in/slots.ts'
import { createMemoryOneTimeKeys } from '../../../src/store/memory/one-time-keys.ts'
import { ROOMY } from '../../support/memory-bounds.ts'
import * as given from '../../support/started-sessions.ts'

const CLAIMS = { iss: given.identity.issuer, sub: 'u1' }
const USER = userOwner(given.identity.issuer, 'u1')
const FAILED = given.refusedAs('sign_in_failed')
const BUSY = given.refusedAs('busy')

const grantOf = (changes: Partial<Grant> = {}): Grant => ({
  claims: { ...CLAIMS, name: 'Alice', sid: 'sid-1' },
  ignored: [],
  idToken: `id-token-${randomBytes(4).toString('hex')}`,
  idTokenExpiresAtSeconds: given.STARTED_AT / 1000 + 300,
  accessToken: 'access',
  ...changes,
})

const redeemable = (address = '10.0.0.1', isTold = false): Redeemable => ({
  txid: randomBytes(8).toString('hex'),
  url: new URL('https://app.example.com/oauth2/callback?code=c&state=s'),
  state: 's',
  nonce: 'n',
  codeVerifier: 'v',
  onSpent: () => undefined,
  realm: given.REALM,
  address: '203.0.113.7',
  origin: { address, isTold },
  userAgent: 'x'.repeat(500),
})

const start = (
  redeem: SignIn['redeem'] = async () => grantOf(),
  changes: Partial<RedemptionOptions> = {},
) => {
  const started = given.startSessions({ passedTokens: new Set(['access-token']) })
  const { sessions } = started
  const refusals: string[] = []
  const consumed: number[] = []
  const keys = createMemoryOneTimeKeys(ROOMY)
  const redemption = createRedemption({
    signIn: { redeem } as SignIn,
    sessions,
    oneTimeKeys: {
      ...keys,
      consume: (attempt, ttlMs) => {
        if (attempt.kind === 'id-token') consumed.push(ttlMs)
        return keys.consume(attempt, ttlMs)
      },
    },
    identity: {
      groupsClaim: 'groups',
      emailClaim: 'email',
      trustEmail: false,
      claims: [],
    },
    clientId: 'vestibule',
    concurrency: 2,
    detectsIdTokenReplay: true,
    onReplay: (kind) => refusals.push(kind),
    now: () => given.STARTED_AT,
    ...changes,
  })
  return {
    ...started,
    refusals,
    consumed,
    redeem: async (login = redeemable()) => {
      const { cookie, identity } = await redemption(login)
      const credential = parseSessionCookie(cookie) as SessionCredential
      return { identity, credential, find: () => sessions.find(credential, given.REALM) }
    },
  }
}

describe('redeeming a code', () => {
  test('gives a session that holds the identity and the tokens', async () => {
    const grant = grantOf({ refreshToken: 'refresh', accessTokenExpiresInSeconds: 60 })
    const { redeem, sessions } = start(async () => grant)
    const { identity, credential, find } = await redeem()
    expect(identity).toMatchObject({ subject: 'u1', name: 'Alice' })
    const accessTokenExpiresAt = given.STARTED_AT + 60_000
    const accessToken = { value: 'access', expiresAt: accessTokenExpiresAt }
    expect(await find()).toMatchObject({ session: { identity, accessToken } })
    const tokens = { idToken: grant.idToken, accessToken: 'access', refreshToken: 'refresh' }
    const expected = { ...tokens, accessTokenExpiresAt, generation: 0 }
    expect(await sessions.findTokens(credential, given.REALM)).toEqual(expected)
  })

  test('what the provider leaves out is left out', async () => {
    const claims = { ...CLAIMS, preferred_username: 'alice' }
    const { redeem, sessions } = start(async () => grantOf({ claims }))
    const { address: _, userAgent: __, ...bare } = redeemable()
    const { credential } = await redeem(bare)
    const tokens = await sessions.findTokens(credential, given.REALM)
    expect(Object.keys(tokens ?? {})).toEqual(['idToken', 'accessToken', 'generation'])
  })

  test('a login whose code was not accepted may be tried again', async () => {
    const outcomes = [Promise.reject(new AuthError('provider_unavailable', 'away'))]
    const { redeem, refusals } = start(async () => outcomes.pop() ?? grantOf())
    const login = redeemable()
    await expect(redeem(login)).rejects.toThrow(given.refusedAs('provider_unavailable'))
    expect(await redeem(login)).toHaveProperty('credential.id')
    expect(refusals).toEqual([])
  })

  test.for([
    ['spent', 1, FAILED],
    ['unknown', 2, given.refusedAs('provider_failed')],
  ] as const)(
    'C22: a code whose fate is %s is sent %d times where its login is loaded twice',
    async ([fate, times, refusal]) => {
      let sent = 0
      const { redeem } = start(async ({ onSpent }) => {
        sent += 1
        onSpent(fate)
        throw new AuthError('provider_failed', 'no')
      })
      const fates: string[] = []
      const login = { ...redeemable(), onSpent: (each: string) => fates.push(each) }
      await expect(redeem(login)).rejects.toThrow(given.refusedAs('provider_failed'))
      await expect(redeem(login)).rejects.toThrow(refusal)
      expect([sent, fates]).toEqual([times, Array(times).fill(fate)])
    },
  )

  test('a mark that was set late, after its attempt was given up, does not spend the login', async () => {
    const keys = createMemoryOneTimeKeys(ROOMY)
    let attempts = 0
    const { redeem, refusals } = start(undefined, {
      oneTimeKeys: {
        ...keys,
        async consume(...mark) {
          await keys.consume(...mark)
          return attempts++ === 0 ? given.away() : keys.consume(...mark)
        },
      },
    })
    const late = redeemable()
    await expect(redeem(late)).rejects.toThrow(given.STORE_AWAY)
    await expect(redeem(late)).resolves.toHaveProperty('credential.id')
    await expect(redeem(late)).rejects.toThrow(FAILED)
    expect(refusals).toEqual(['login'])
  })

  test('a mark that ended before it could be kept is no replay: it may be tried again', async () => {
    const oneTimeKeys = { ...createMemoryOneTimeKeys(ROOMY), extend: async () => false }
    const { redeem, refusals } = start(undefined, { oneTimeKeys })
    await expect(redeem()).rejects.toThrow(given.STORE_AWAY)
    expect(refusals).toEqual([])
  })

  test('one during which all sessions of the user end gives no session, and is spent', async () => {
    const endFirst = async () => (await sessions.endAllOf(USER, { reason: 'operator' }), grantOf())
    const { redeem, sessions, refusals } = start(endFirst)
    const login = redeemable()
    await expect(redeem(login)).rejects.toThrow(FAILED)
    expect([await sessions.list(undefined, 10), refusals]).toEqual([[], []])
    await expect(redeem(login)).rejects.toThrow(FAILED)
    expect(refusals).toEqual(['login'])
  })

  test('one that began after that gives one', async () => {
    const { redeem, sessions } = start()
    await sessions.endAllOf(USER, { reason: 'operator' })
    await sessions.endAll({ reason: 'operator' })
    expect(await (await redeem()).find()).toBeDefined()
  })

  test('its session is found by its user and by its session at the provider', async () => {
    const { redeem, sessions } = start()
    await redeem()
    expect(await sessions.list(USER.id, 10)).toMatchObject([{ subject: 'u1' }])
    expect(
      await sessions.endAllOf(providerSessionOwner(given.identity.issuer, 'sid-1'), {
        reason: 'operator',
      }),
    ).toBe(1)
    expect(await sessions.list(USER.id, 10)).toEqual([])
  })

  test('where its generation cannot be told nothing is spent', async () => {
    const started = start()
    started.break('current', given.away)
    const login = redeemable()
    await expect(started.redeem(login)).rejects.toThrow(given.STORE_AWAY)
    started.mend()
    expect(await started.redeem(login)).toHaveProperty('credential.id')
    expect(started.refusals).toEqual([])
  })

  test.for([
    ['in total, also without a visitor’s address', 2, 2, redeemable()],
    ['of one address a quarter (C11)', 8, 2, redeemable('198.51.100.1', true)],
  ] as const)('above its limit, %s, one is refused unspent, and room comes back', async (row) => {
    const [, concurrency, limit, waiting] = row
    const goOn = Promise.withResolvers<void>()
    const { redeem } = start(async () => (await goOn.promise, grantOf()), { concurrency })
    const { address, isTold } = waiting.origin
    const running = Array.from({ length: limit }, () => redeem(redeemable(address, isTold)))
    await expect(redeem(waiting)).rejects.toThrow(BUSY)
    const others = limit < concurrency ? [redeem(redeemable('198.51.100.2', true))] : []
    goOn.resolve()
    await Promise.all([...running, ...others])
    expect((await redeem(waiting)).identity.subject).toBe('u1')
  })

  test('C11: a slot that is given back twice can be taken again', () => {
    const slots = createSignInSlots(4)
    const giveBack = slots.take({ address: 'a', isTold: true })
    for (let times = 0; times < 2; times += 1) giveBack()
    expect(slots.take({ address: 'a', isTold: true })).toBeTypeOf('function')
  })

  test('failures give their room back too', async () => {
    const { redeem } = start(() => Promise.reject(new AuthError('sign_in_failed', 'no')))
    for (let count = 0; count < 5; count += 1) await expect(redeem()).rejects.toThrow(FAILED)
  })
})

describe('the replay of an ID token', () => {
  const SAME = grantOf({ claims: CLAIMS })
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

  test.for([
    ['another token of the same user', true, () => grantOf({ claims: CLAIMS }), 2],
    ['the same token where a replay is not looked for', false, () => SAME, 0],
  ] as const)('%s is another sign-in', async ([, detectsIdTokenReplay, grant, marks]) => {
    const { redeem, refusals, consumed } = start(async () => grant(), { detectsIdTokenReplay })
    await redeem()
    await redeem()
    expect([refusals, consumed.length]).toEqual([[], marks])
  })

  test.for([
    ['its remaining life and the skew', 300, 330_000],
    ['a minute at least', -600, 60_000],
    ['a day at most', 1e9, given.DAY_MS],
  ] as const)('the mark holds for %s', async ([, lifeSeconds, ttlMs]) => {
    const { redeem, consumed } = start(async () =>
      grantOf({ idTokenExpiresAtSeconds: given.STARTED_AT / 1000 + lifeSeconds }),
    )
    await redeem()
    expect(consumed).toEqual([ttlMs])
  })
})
