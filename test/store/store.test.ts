import { expect, test } from 'vitest'
import { recordKey } from '../../src/store/store.ts'

test('the record keys of a session share a slot and differ in their letter', () => {
  const parts = ['identity', 'tokens', 'metadata'] as const
  expect(parts.map((part) => recordKey('vestibule:', 'abc', part))).toEqual([
    'vestibule:{abc}:s',
    'vestibule:{abc}:t',
    'vestibule:{abc}:m',
  ])
})
