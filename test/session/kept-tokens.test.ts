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
  const one = { accessToken: 'access-2' }
  const both = { ...one, idToken: 'id-2' }
  const all = { ...both, refreshToken: 'refresh-2' }
  const old = { idToken: 'id-1' }
  const forMinute = { accessTokenExpiresInSeconds: 60 }
  const untilMinute = { accessTokenExpiresAt: NOW_MS + 60_000 }
  const atOnce = { ...both, accessTokenExpiresInSeconds: 0 }
  const ended = { ...both, accessTokenExpiresAt: NOW_MS, generation: 7 }
  const twice = { ...all, ...untilMinute, generation: 7 }
  const { accessTokenExpiresAt: _, ...endless } = before
  test.for<[string, IssuedTokens, Parameters<typeof keptTokens>[2], Tokens]>([
    ['of a sign-in, all that was given', { ...all, ...forMinute }, SIGN_IN, twice],
    ['of a sign-in, nothing that was not given', both, SIGN_IN, { ...both, generation: 7 }],
    ['of a refresh, new ones and the old generation', { ...all, ...forMinute }, before, twice],
    [
      'of a refresh, what it leaves out',
      { ...one, ...forMinute },
      before,
      { ...before, ...one, ...untilMinute },
    ],
    ["of a refresh, never the end of the old token's life", one, before, { ...endless, ...one }],
    ['of a session of an earlier version, no generation', one, old, { ...one, ...old }],
    ['an end at once', atOnce, SIGN_IN, ended],
  ])('what is kept: %s', ([, issued, earlier, kept]) => {
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
  ] as const)('at 3/4 of %s', ([, lifeMs, dueAfterMs]) => {
    const endsAt = NOW_MS + lifeMs
    const renewal = renewalOf({ ...before, accessTokenExpiresAt: endsAt }, NOW_MS)
    expect(renewal).toEqual({ dueAt: NOW_MS + dueAfterMs, endsAt })
  })

  test('at once, where the access token has ended', () => {
    const { dueAt, endsAt } = renewalOf(before, NOW_MS) ?? { dueAt: Infinity, endsAt: Infinity }
    expect(dueAt).toBeLessThanOrEqual(NOW_MS)
    expect(endsAt).toBe(before.accessTokenExpiresAt)
  })

  test.for<[string, number | undefined, number | undefined, number]>([
    ['an ID token that ends first', 60_000, 20_000, 20_000],
    ['an access token that ends first', 60_000, 80_000, 60_000],
    ['an ID token alone', undefined, 20_000, 20_000],
    ['an ID token that has ended', 60_000, 0, 60_000],
  ])('before the end of %s', ([, accessMs, idMs = 0, lifeMs]) => {
    const { accessTokenExpiresAt: _, ...endless } = before
    const tokens =
      accessMs === undefined ? endless : { ...endless, accessTokenExpiresAt: NOW_MS + accessMs }
    const expected = { dueAt: NOW_MS + (lifeMs * 3) / 4, endsAt: NOW_MS + lifeMs }
    expect(renewalOf(tokens, NOW_MS, NOW_MS + idMs)).toEqual(expected)
  })

  test.for<[string, Tokens]>([
    ['nothing to refresh with', { idToken: 'i', accessToken: 'a', accessTokenExpiresAt: NOW_MS }],
    ['no end to refresh before', { idToken: 'i', accessToken: 'a', refreshToken: 'r' }],
    ['neither', { idToken: 'i', accessToken: 'a' }],
  ])('never, where there is %s', ([, tokens]) => {
    expect(renewalOf(tokens, NOW_MS)).toBeUndefined()
  })

  test('never, where nothing can refresh an ID token', () =>
    expect(renewalOf({ idToken: 'i', accessToken: 'a' }, NOW_MS, NOW_MS + 1)).toBeUndefined())
})
