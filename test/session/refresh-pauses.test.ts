import { expect, test } from 'vitest'
import { createRefreshPauses } from '../../src/session/refresh/pauses.ts'

const why = { reason: 'the provider is away' }

test('a session that waits for another replica is not given up because of an older failure (C20, C53)', () => {
  const pauses = createRefreshPauses()
  const failures = () => [pauses.failureOf('a'), pauses.lastFailureOf('a')]
  expect(failures()).toEqual([undefined, undefined])
  pauses.backOff('a', { why, retryAfterMs: 0 })
  expect(failures()).toEqual([why, why])
  pauses.wait('a', 1000)
  expect(failures()).toEqual([undefined, why])
  pauses.forget('a')
  expect(failures()).toEqual([undefined, undefined])
})
