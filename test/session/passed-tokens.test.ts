import { describe, expect, test } from 'vitest'
import type { PassedToken, TokenKind } from '../../src/core/session.ts'
import { endOfIdToken, withPassedTokens } from '../../src/session/passed-tokens.ts'
import { identity, STARTED_AT } from '../support/session-values.ts'

function jwt(claims: unknown): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`
}

const session = { identity, createdAt: STARTED_AT, expiresAt: STARTED_AT + 1 }
const tokens = {
  idToken: jwt({ exp: 1_700_000_000 }),
  accessToken: 'access',
  refreshToken: 'refresh',
  accessTokenExpiresAt: 5000,
}

describe('the tokens that a session passes on', () => {
  const accessToken: PassedToken = { value: 'access', expiresAt: 5000 }
  const idToken: PassedToken = { value: tokens.idToken, expiresAt: 1_700_000_000_000 }

  test.for<[readonly TokenKind[], object]>([
    [[], {}],
    [['access-token'], { accessToken }],
    [['id-token'], { idToken }],
    [['access-token', 'id-token'], { accessToken, idToken }],
  ])('are %j and no others', ([passed, given]) =>
    expect(withPassedTokens(session, tokens, new Set(passed))).toEqual({ ...session, ...given }),
  )

  test('an access token without an expiry has none', () => {
    const { accessTokenExpiresAt: _, ...endless } = tokens
    const passing = withPassedTokens(session, endless, new Set(['access-token']))
    expect(passing.accessToken).toEqual({ value: 'access' })
  })
})

test.for<[string, number]>([
  [jwt({ exp: 1.5 }), 1500],
  [jwt({}), 0],
  [jwt({ exp: '1700000000' }), 0],
  [jwt({ exp: null }), 0],
  [jwt([]), 0],
  ['the-id-token', 0],
  ['', 0],
])('the ID token %j ends at %i ms', ([idToken, end]) => expect(endOfIdToken(idToken)).toBe(end))
