import { describe, expect, test } from 'vitest'
import type { IssuedTokens } from '../../src/oidc/sign-in.ts'
import { keptTokens, renewalOf } from '../../src/session/kept-tokens.ts'
import type { Tokens } from '../../src/session/records.ts'

const NOW_MS = 1_700_000_000_000

const before: Tokens = {
  idToken: 'id-1',
  accessToken: 'access-1',
  refreshToken: 'refresh-1',
  accessTokenExpiresAt: NOW_MS - 1,
  generation: 7,
}

const SIGN_IN = { idToken: 'id-2', generation: 7 }

describe('the tokens that are kept', () => {
  test.for<[string, IssuedTokens, Parameters<typeof keptTokens>[2], Tokens]>([
    [
      'of a sign-in, all that was given',
      {
        idToken: 'id-2',
        accessToken: 'access-2',
        refreshToken: 'refresh-2',
        accessTokenExpiresInSeconds: 60,
      },
      SIGN_IN,
      {
        idToken: 'id-2',
        accessToken: 'access-2',
        refreshToken: 'refresh-2',
        accessTokenExpiresAt: NOW_MS + 60_000,
        generation: 7,
      },
    ],
    [
      'of a sign-in, nothing that was not given',
      { idToken: 'id-2', accessToken: 'access-2' },
      SIGN_IN,
      { idToken: 'id-2', accessToken: 'access-2', generation: 7 },
    ],
    [
      'of a refresh, the new ones, and the generation that the sign-in began in',
      {
        idToken: 'id-2',
        accessToken: 'access-2',
        refreshToken: 'refresh-2',
        accessTokenExpiresInSeconds: 60,
      },
      before,
      {
        idToken: 'id-2',
        accessToken: 'access-2',
        refreshToken: 'refresh-2',
        accessTokenExpiresAt: NOW_MS + 60_000,
        generation: 7,
      },
    ],
    [
      'of a refresh that repeats neither, the ID token and the refresh token of before',
      { accessToken: 'access-2', accessTokenExpiresInSeconds: 60 },
      before,
      { ...before, accessToken: 'access-2', accessTokenExpiresAt: NOW_MS + 60_000 },
    ],
    [
      "of a refresh that says no end, none: that of before was the other token's",
      { accessToken: 'access-2' },
      before,
      { idToken: 'id-1', accessToken: 'access-2', refreshToken: 'refresh-1', generation: 7 },
    ],
    [
      'of a refresh of a session of an earlier version, no generation',
      { accessToken: 'access-2' },
      { idToken: 'id-1' },
      { idToken: 'id-1', accessToken: 'access-2' },
    ],
    [
      'an end at once is an end',
      { idToken: 'id-2', accessToken: 'access-2', accessTokenExpiresInSeconds: 0 },
      SIGN_IN,
      { idToken: 'id-2', accessToken: 'access-2', accessTokenExpiresAt: NOW_MS, generation: 7 },
    ],
  ])('%s', ([, issued, earlier, kept], { expect }) => {
    expect(keptTokens(issued, NOW_MS, earlier)).toEqual(kept)
  })

  test('an end beyond all numbers is one that can be written down', () => {
    const issued = { accessToken: 'access-2', accessTokenExpiresInSeconds: 1e308 }
    const kept = keptTokens(issued, NOW_MS, SIGN_IN)
    expect(JSON.parse(JSON.stringify(kept))).toEqual(kept)
    expect(renewalOf({ ...kept, refreshToken: 'r' }, NOW_MS)?.dueAt).toBeGreaterThan(NOW_MS)
  })
})

describe('when tokens are to be refreshed', () => {
  test.for([
    ['a minute', 60_000, 45_000],
    ['an hour', 3_600_000, 2_700_000],
    ['a second', 1000, 750],
    ['three milliseconds', 3, 2],
    ['no time at all', 0, 0],
  ] as const)('at 3/4 of %s', ([, lifeMs, dueAfterMs], { expect }) => {
    const endsAt = NOW_MS + lifeMs
    const renewal = renewalOf({ ...before, accessTokenExpiresAt: endsAt }, NOW_MS)
    expect(renewal).toEqual({ dueAt: NOW_MS + dueAfterMs, endsAt })
  })

  test('at once, where the access token has ended', () => {
    const { dueAt, endsAt } = renewalOf(before, NOW_MS) ?? { dueAt: Infinity, endsAt: Infinity }
    expect(dueAt).toBeLessThanOrEqual(NOW_MS)
    expect(endsAt).toBe(before.accessTokenExpiresAt)
  })

  test.for<[string, Tokens]>([
    ['nothing to refresh with', { idToken: 'i', accessToken: 'a', accessTokenExpiresAt: NOW_MS }],
    ['no end to refresh before', { idToken: 'i', accessToken: 'a', refreshToken: 'r' }],
    ['neither', { idToken: 'i', accessToken: 'a' }],
  ])('never, where there is %s', ([, tokens], { expect }) => {
    expect(renewalOf(tokens, NOW_MS)).toBeUndefined()
  })
})
