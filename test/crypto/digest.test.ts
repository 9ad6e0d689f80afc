import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestOfParts } from '../../src/crypto/digest.ts'
import { anyText } from '../support/any-text.ts'

test('a digest of parts has 43 base64url characters, whatever the parts hold', () => {
  fc.assert(
    fc.property(fc.array(anyText), (parts) => {
      const key = digestOfParts(...parts)
      expect(key).toMatch(/^[A-Za-z0-9_-]{43}$/)
      expect(digestOfParts(...parts)).toBe(key)
    }),
  )
})

test('parts that differ have different digests, also with characters moved between them (A74)', () => {
  const text = fc.array(fc.constantFrom('a', '1', ':', 'é', ''), { maxLength: 6 })
  const parts = fc.array(
    text.map((characters) => characters.join('')),
    { maxLength: 4 },
  )
  fc.assert(
    fc.property(parts, parts, (one, other) => {
      const isSame = JSON.stringify(one) === JSON.stringify(other)
      expect(digestOfParts(...one) === digestOfParts(...other)).toBe(isSame)
    }),
    { numRuns: 500 },
  )
  expect(digestOfParts('a', 'bc')).not.toBe(digestOfParts('ab', 'c'))
  expect(digestOfParts('1:a')).not.toBe(digestOfParts('a'))
})
