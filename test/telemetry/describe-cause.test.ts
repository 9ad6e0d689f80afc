import { expect, test } from 'vitest'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { AuthError } from '../../src/errors.ts'
import { describeCause, whereThrown } from '../../src/telemetry/describe-cause.ts'

function thrownBy(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    return error
  }
}

const SECRET = 'Bearer s3cret\n    at f (file:///src/s3cret.ts:1:1)'

test.for<[string, unknown, string]>([
  ['an error', new TypeError(SECRET), 'TypeError'],
  ['a code', Object.assign(new Error(SECRET), { code: 'ECONNRESET' }), 'Error ECONNRESET'],
  [
    'a cause',
    new AuthError('internal', SECRET, { cause: new RangeError(SECRET) }),
    'AuthError internal < RangeError',
  ],
  ['no error', SECRET, 'string'],
])('%s is described without its text', ([, cause, described], { expect }) => {
  expect(describeCause(cause)).toBe(described)
})

test('the file and line that threw are named, and nothing of the message', () => {
  expect(whereThrown(thrownBy(() => createKeyRing([])))).toEqual({
    at: expect.stringMatching(/^src\/crypto\/key-ring\.ts:\d+$/) as string,
  })
  expect(JSON.stringify(whereThrown(new Error(SECRET)))).not.toContain('s3cret')
  expect([whereThrown('text'), whereThrown({})]).toEqual([{}, {}])
})
