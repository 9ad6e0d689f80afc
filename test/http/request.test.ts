import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { AuthError } from '../../src/errors.ts'
import {
  isForm,
  type NodeEnv,
  pathOf,
  requestIdOf,
  singleQuery,
  traceOf,
} from '../../src/http/request.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { rawRequest } from '../support/raw-request.ts'

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const TRACE = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`

test.for(['abcdefgh', 'a.B_c-1234', 'x'.repeat(64)])('a visible request id is taken: %s', (id) =>
  expect(requestIdOf(rawRequest({ 'X-Request-Id': id }))).toBe(id),
)

test.for(['', 'short', 'x'.repeat(65), '<script>', 'abc defgh', 'abcdefgh\n', 'a, bcdefgh'])(
  'another is replaced: %j',
  (id) => expect(requestIdOf(rawRequest({ 'X-Request-Id': id }))).toMatch(UUID),
)

test('without one each request has one of its own, the same whenever it is asked for', () => {
  const raw = rawRequest({})
  expect(requestIdOf(raw)).toMatch(UUID)
  expect(requestIdOf(raw)).toBe(requestIdOf(raw))
  expect(requestIdOf(raw)).not.toBe(requestIdOf(rawRequest({})))
})

test('a trace goes on where it has the form of one', () => {
  expect(traceOf(rawRequest({ traceparent: TRACE }))).toEqual({ traceparent: TRACE })
  for (const value of ['', 'x', TRACE.toUpperCase(), `${TRACE}0`, `${TRACE}\n`]) {
    expect(traceOf(rawRequest({ traceparent: value })), value).toEqual({})
  }
  expect(traceOf(rawRequest({}))).toEqual({})
})

test('whatever comes, what is logged is plain and short (A93)', () =>
  holds(100, [anyText, anyText], (id, trace) => {
    const raw = rawRequest({ 'X-Request-Id': id, traceparent: trace })
    expect(requestIdOf(raw)).toMatch(/^[A-Za-z0-9._-]{8,64}$/)
    expect(traceOf(raw).traceparent ?? '').toMatch(/^[0-9a-f-]{0,55}$/)
  }))

test.for([
  ['application/x-www-form-urlencoded', true],
  ['Application/X-WWW-Form-Urlencoded \t; charset=utf-8', true],
  ['application/x-www-form-urlencoded2', false],
  ['text/plain; application/x-www-form-urlencoded', false],
  ['', false],
] as const)('a body of type %j is a form: %s', ([type, expected]) =>
  expect(isForm(rawRequest({ 'Content-Type': type }))).toBe(expected),
)

test('a body without a type is no form', () => expect(isForm(rawRequest({}))).toBe(false))

test.for([
  ['/a?b', '/a'],
  ['/a%2Fb', '/a%2Fb'],
  [undefined, '/'],
] as const)('the path of %j is %j as it was sent', ([url, path]) =>
  expect(pathOf(Object.assign(rawRequest({}), { url }))).toBe(path),
)

test('a parameter that was sent twice is refused with the code of its reader (A47, A55)', async () => {
  const app = new Hono<NodeEnv>()
    .get('/login', (c) => c.json({ rd: singleQuery(c, 'rd') }))
    .get('/callback', (c) => c.json({ rd: singleQuery(c, 'rd', 'sign_in_failed') }))
    .onError((error, c) => c.json({ code: error instanceof AuthError && error.code }))
  const ask = async (path: string) => (await app.request(path)).json()
  expect([await ask('/login'), await ask('/login?rd=a')]).toEqual([{}, { rd: 'a' }])
  expect(await ask('/login?rd=a&rd=a')).toEqual({ code: 'invalid_request' })
  expect(await ask('/callback?rd=a&rd=b')).toEqual({ code: 'sign_in_failed' })
})
