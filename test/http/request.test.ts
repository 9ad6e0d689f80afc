import fc from 'fast-check'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import type { AuthErrorCode } from '../../src/errors.ts'
import {
  isForm,
  type NodeEnv,
  pathOf,
  requestIdOf,
  singleQuery,
  traceOf,
} from '../../src/http/request.ts'
import { anyText } from '../support/any-text.ts'
import { rawRequest } from '../support/raw-request.ts'

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const TRACE = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`

test.for(['abcdefgh', 'a.B_c-1234', 'x'.repeat(64)])(
  'a request id that can be shown is taken: %s',
  (id, { expect }) => {
    expect(requestIdOf(rawRequest({ 'X-Request-Id': id }))).toBe(id)
  },
)

test.for(['', 'short', 'x'.repeat(65), '<script>', 'abc defgh', 'abcdefgh\n', 'a, bcdefgh'])(
  'another is replaced: %j',
  (id, { expect }) => {
    expect(requestIdOf(rawRequest({ 'X-Request-Id': id }))).toMatch(UUID)
  },
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

test('whatever comes, what is logged is plain and short (A93)', () => {
  fc.assert(
    fc.property(anyText, anyText, (id, trace) => {
      const raw = rawRequest({ 'X-Request-Id': id, traceparent: trace })
      expect(requestIdOf(raw)).toMatch(/^[A-Za-z0-9._-]{8,64}$/)
      expect(traceOf(raw).traceparent ?? '').toMatch(/^[0-9a-f-]{0,55}$/)
    }),
  )
})

test.for([
  ['application/x-www-form-urlencoded', true],
  ['Application/X-WWW-Form-Urlencoded \t; charset=utf-8', true],
  ['application/x-www-form-urlencoded2', false],
  ['text/plain; application/x-www-form-urlencoded', false],
  ['', false],
] as const)('a body of type %j is a form: %s', ([type, expected], { expect }) => {
  expect(isForm(rawRequest({ 'Content-Type': type }))).toBe(expected)
})

test('a body without a type is no form', () => {
  expect(isForm(rawRequest({}))).toBe(false)
})

test.for([
  ['/a?b', '/a'],
  ['/a%2Fb', '/a%2Fb'],
  [undefined, '/'],
] as const)('the path of %j is %j as it was sent', ([url, path], { expect }) => {
  expect(pathOf(Object.assign(rawRequest({}), { url }))).toBe(path)
})

test.for([
  ['', undefined],
  ['?rd=a', 'a'],
  ['?rd=', ''],
] as const)('of the query %j the parameter is %j', async ([query, expected], { expect }) => {
  expect(await readRd(query)).toBe(expected)
})

test('a parameter that was sent twice is refused with the code of its reader (A47, A55)', async () => {
  const refused = { code: 'invalid_request', isPublic: true }
  await expect(readRd('?rd=a&rd=a')).rejects.toMatchObject(refused)
  await expect(readRd('?rd=a&rd=b', 'sign_in_failed')).rejects.toMatchObject({
    ...refused,
    code: 'sign_in_failed',
  })
})

async function readRd(query: string, code?: AuthErrorCode): Promise<string | undefined> {
  const read = Promise.withResolvers<string | undefined>()
  const app = new Hono<NodeEnv>()
  app.get('/', (c) => {
    read.resolve(singleQuery(c, 'rd', code))
    return c.body(null)
  })
  app.onError((error, c) => {
    read.reject(error)
    return c.body(null)
  })
  await app.request(`/${query}`)
  return read.promise
}
