import { expect, test } from 'vitest'
import { recordKey } from '../../src/store/store.ts'

test('the records of a session share a slot and have names of their own', () => {
  expect(recordKey('vestibule:', 'abc', 'identity')).toBe('vestibule:{abc}:s')
  expect(
    new Set((['identity', 'tokens', 'metadata'] as const).map((part) => recordKey('p:', 'd', part)))
      .size,
  ).toBe(3)
})
