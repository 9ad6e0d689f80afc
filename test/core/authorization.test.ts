import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isReadByPerson, readAuthorization } from '../../src/core/authorization.ts'
import { isCompactJws } from '../../src/core/compact-jws.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { sentHeaders } from '../support/raw-request.ts'
import { rows } from '../support/words.ts'

/** Reads the header as a check does, which looks at the form of a token that it does not know. */
function read(...values: readonly string[]) {
  const sent = sentHeaders(values.map((value) => ['Authorization', value] as const))
  const presented = readAuthorization(sent)
  const isMalformed = presented?.token !== undefined && !isCompactJws(presented.token)
  return presented && isMalformed ? { scheme: presented.scheme } : presented
}

describe('the token in Authorization', () => {
  test.for<[string, ReturnType<typeof readAuthorization>]>([
    ['Bearer a.b.c', { scheme: 'Bearer', token: 'a.b.c' }],
    ['bearer a.b.c', { scheme: 'Bearer', token: 'a.b.c' }],
    ['BEARER   a-_9.b.c', { scheme: 'Bearer', token: 'a-_9.b.c' }],
    ['DPoP a.b.c', { scheme: 'DPoP', token: 'a.b.c' }],
    ['dpop a.b.c', { scheme: 'DPoP', token: 'a.b.c' }],
    ...rows`
      Bearer Bearer\x20 Bearer\ta.b.c Bearer,a.b.c Bearer\x20a\x20b Bearer\x20a.b.c\x20d.e.f
      Bearer\x20a.b.c,\x20Basic\x20eDp5 Bearer\x20a.b.c\x20 Bearer\x20a.b. Bearer\x20a.b
      Bearer\x20a.b.c.d.e Bearer\x20"a.b.c" Bearer\x20a.b.c= Bearer\x20opaque
    `({ scheme: 'Bearer' }),
    ['DPoP', { scheme: 'DPoP' }],
    ...rows`
      Basic\x20eDp5 Basic\x20eDp5,\x20Bearer\x20a.b.c Bearerx\x20a.b.c Bearer-2\x20a.b.c
      xBearer\x20a.b.c a.b.c
    `(undefined),
    ['', undefined],
  ])('%j', ([value, token]) => expect(read(value)).toEqual(token))

  test('there is none without the header', () => {
    expect(read()).toBeUndefined()
    expect(readAuthorization(sentHeaders({ 'X-Authorized-By': 'Bearer a.b.c' }))).toBeUndefined()
  })

  test('two headers hold none, whichever of them has one', () => {
    for (const values of [
      ['Bearer a.b.c', 'Bearer a.b.c'],
      ['Basic eDp5', 'Bearer a.b.c'],
      ['Bearer a.b.c', 'Basic eDp5'],
    ])
      expect(read(...values), values.join()).toEqual({ scheme: 'Bearer' })
    expect(read('Basic eDp5', 'Basic eDp5')).toBeUndefined()
  })

  test('has at most 16 KiB', () => {
    const longest = `Bearer ${'a'.repeat(16 * 1024 - 11)}.b.c`
    expect(read(longest)?.token).toHaveLength(16 * 1024 - 7)
    expect(read(`${longest}c`)).toEqual({ scheme: 'Bearer' })
  })

  test('any text is a token of plain characters, malformed, or the app’s', () =>
    holds(100, [fc.constantFrom('Bearer ', 'dpop ', ''), anyText], (scheme, value) => {
      expect(read(scheme + value)?.token ?? 'a.b.c').toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    }))
})

describe('who reads a refusal', () => {
  test('a person does after a navigation, unless a token was sent with it', () => {
    const plain = sentHeaders({})
    const withToken = sentHeaders({ Authorization: 'Bearer x' })
    const withPassword = sentHeaders({ Authorization: 'Basic eDp5' })
    expect(isReadByPerson(plain, 'navigation')).toBe(true)
    expect(isReadByPerson(withPassword, 'form-navigation')).toBe(true)
    expect(isReadByPerson(withToken, 'navigation')).toBe(false)
    expect(isReadByPerson(plain, 'background')).toBe(false)
  })
})
