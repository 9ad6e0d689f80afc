import { describe, expect, test } from 'vitest'
import type { PassedToken, TokenKind } from '../../src/core/session.ts'
import { endOfIdToken, withPassedTokens } from '../../src/session/passed-tokens.ts'
import { identity, STARTED_AT } from '../support/session-values.ts'
import { unsignedToken } from '../support/unsigned-token.ts'

const session = { identity, createdAt: STARTED_AT, expiresAt: STARTED_AT + 1 }
const tokens = {
  idToken: unsignedToken({ exp: 1_700_000_000 }),
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
  [unsignedToken({ exp: 1.5 }), 1500],
  [unsignedToken({}), 0],
  [unsignedToken({ exp: '1700000000' }), 0],
  [unsignedToken({ exp: null }), 0],
  [unsignedToken([]), 0],
  ['the-id-token', 0],
  ['', 0],
])('the ID token %j ends at %i ms', ([idToken, end]) => expect(endOfIdToken(idToken)).toBe(end))
