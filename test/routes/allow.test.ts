import { describe, expect, test } from 'vitest'
import type { IdentityHeader } from '../../src/core/identity-headers.ts'
import type { Principal, TokenKind } from '../../src/core/session.ts'
import { createAllow } from '../../src/routes/check/allow.ts'
import type { CheckedRequest } from '../../src/routes/check/checked-request.ts'
import { claimHeader } from '../support/claim-header.ts'

const NOW_MS = 1_700_000_000_000
const EXPIRED = NOW_MS
const VALID = NOW_MS + 1

const USER = claimHeader('X-User', 'sub')
const TOKEN: IdentityHeader = { name: 'X-Token', source: { kind: 'access-token' } }

const person = {
  identity: { issuer: 'https://id.example.com', subject: 'u1', groups: [], claims: {} },
} satisfies Principal

function start(authorization: TokenKind | false, headers = [USER, TOKEN]) {
  let nowMs = NOW_MS
  const allow = createAllow({ headers, headersMaxBytes: 8192, authorization, now: () => nowMs })
  const ask = (principal?: Principal, others?: string, setCookie?: string) => {
    const checked = { cookies: { others } } as unknown as CheckedRequest
    return Object.fromEntries(allow(checked, principal, setCookie).headers)
  }
  return { ask, elapse: (ms: number) => (nowMs += ms) }
}

const empty = { 'content-length': '0', 'x-user': '', 'x-token': '' }
const known = { ...empty, 'x-user': 'u1' }

describe('the answer of a check that passes', () => {
  const accessToken = { value: 'access' }
  const idToken = { value: 'id', expiresAt: VALID }
  const all = { ...person, accessToken, idToken }
  const token = { 'x-token': 'access' }

  test.for<[string, TokenKind | false, Principal | undefined, object]>([
    ['nobody', 'access-token', undefined, empty],
    ['somebody without tokens', 'id-token', person, known],
    ['tokens in headers of their own alone', false, all, { ...known, ...token }],
    [
      'the access token in Authorization too',
      'access-token',
      all,
      { ...known, ...token, authorization: 'Bearer access' },
    ],
    [
      'the ID token in Authorization',
      'id-token',
      all,
      { ...known, ...token, authorization: 'Bearer id' },
    ],
    ['no ID token of a program', 'id-token', { ...person, accessToken }, { ...known, ...token }],
    [
      'no expired ID token',
      'id-token',
      { ...all, idToken: { value: 'id', expiresAt: EXPIRED } },
      { ...known, ...token },
    ],
    [
      'no expired access token',
      'access-token',
      { ...all, accessToken: { value: 'access', expiresAt: EXPIRED } },
      known,
    ],
    ['no empty token', 'id-token', { ...person, idToken: { value: '' } }, known],
  ])('%s: Authorization has %s', ([, authorization, principal, expected]) => {
    const { ask } = start(authorization)
    for (let round = 0; round < 2; round++) expect(ask(principal)).toEqual(expected)
  })

  test.for<[first: string, accessMs: number, idMs: number, rest: object]>([
    ['the ID token', 2, 1, token],
    ['the access token', 1, 2, { authorization: 'Bearer id' }],
  ])('loses each token when it expires, and only that one: %s', ([, accessMs, idMs, rest]) => {
    const { ask, elapse } = start('id-token')
    const principal = {
      ...person,
      accessToken: { value: 'access', expiresAt: NOW_MS + accessMs },
      idToken: { value: 'id', expiresAt: NOW_MS + idMs },
    }
    expect(ask(principal)).toEqual({ ...known, ...token, authorization: 'Bearer id' })
    elapse(1)
    expect(ask(principal)).toEqual({ ...known, ...rest })
    elapse(1)
    expect(ask(principal)).toEqual(known)
  })

  test('has the cookies of the app and one to set, each for its own request alone', () => {
    const { ask } = start(false)
    const further = { cookie: 'a=1', 'set-cookie': 'o=1' }
    expect(ask(all, 'a=1', 'o=1')).toEqual({ ...known, ...token, ...further })
    expect(ask(all)).toEqual({ ...known, ...token })
  })

  test.for<[TokenKind, string, string]>([
    ['access-token', 'access token', 'PASS_ACCESS_TOKEN'],
    ['id-token', 'ID token', 'PASS_AUTHORIZATION'],
  ])('is none for an unusable %s: it names the %s and %s', ([kind, name, setting]) => {
    const hostile = { value: 'a\r\nX-User: root' }
    const principal =
      kind === 'id-token' ? { ...all, idToken: hostile } : { ...all, accessToken: hostile }
    const { ask } = start(kind)
    for (let round = 0; round < 2; round++) {
      expect(() => ask(principal)).toThrow(
        expect.objectContaining({
          code: 'unusable_token',
          message: `the ${name} has characters that no header can carry, and ${setting} is set`,
          facts: { setting },
        }),
      )
    }
  })
})
