import fc from 'fast-check'
import { expect, test } from 'vitest'
import { requestIdOf, traceOf } from '../../src/http/node-env.ts'
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
