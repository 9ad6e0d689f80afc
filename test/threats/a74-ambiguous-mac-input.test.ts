import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOfParts } from '../../src/crypto/digest.ts'
import { createKeyRing, type SealContext } from '../../src/crypto/key-ring.ts'
import { anyText } from '../support/any-text.ts'

/** Characters that a careless format would take for its own. */
const tricky = fc
  .array(
    fc.constantFrom('a', 'b', '1', ':', ',', '.', '|', '"', '\\', '/', '\0', '\n', '{', '}', 'ä'),
  )
  .map((parts) => parts.join(''))
const text = fc.oneof(tricky, anyText)

describe('A74 ambiguous MAC input', () => {
  test.for<[readonly string[], readonly string[]]>([
    [
      ['a', 'bc'],
      ['ab', 'c'],
    ],
    [['ab'], ['a', 'b']],
    [
      ['', 'a'],
      ['a', ''],
    ],
    [['a'], ['a', '']],
    [['1:a'], ['a']],
    [['a1:b'], ['a', 'b']],
    [
      ['https://id.example.com', '1x'],
      ['https://id.example.com1', 'x'],
    ],
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [['ä'], ['a\u0308']],
  ])('the mark of %j is not that of %j', ([one, other], { expect }) => {
    expect(digestOfParts(...one)).not.toBe(digestOfParts(...other))
  })

  test('marks are the same for the same parts only', () => {
    const parts = fc.array(text, { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other)
        fc.pre([...one, ...other].every((part) => part.isWellFormed()))
        expect(digestOfParts(...one) === digestOfParts(...other)).toBe(isSame)
      }),
      { numRuns: 2000 },
    )
  })

  test('regrouped parts never make the same mark', () => {
    fc.assert(
      fc.property(tricky, fc.nat(20), fc.nat(20), (joined, one, other) => {
        const cut = (at: number) => [joined.slice(0, at), joined.slice(at)]
        fc.pre(Math.min(one, joined.length) !== Math.min(other, joined.length))
        expect(digestOfParts(...cut(one))).not.toBe(digestOfParts(...cut(other)))
      }),
    )
  })

  const ring = createKeyRing([randomBytes(32)])
  const plaintext = Buffer.from('sealed')

  test.for<[string, SealContext, SealContext]>([
    [
      'purpose and name',
      { purpose: 'session', name: 'a', realm: 'r' },
      { purpose: 'sessio', name: 'na', realm: 'r' },
    ],
    [
      'name and realm',
      { purpose: 'session', name: 'a', realm: 'b.example.com' },
      { purpose: 'session', name: 'ab', realm: '.example.com' },
    ],
    [
      'a separator inside the name',
      { purpose: 'session', name: 'a","b', realm: 'r' },
      { purpose: 'session","a', name: 'b', realm: 'r' },
    ],
    [
      'no secret and a secret',
      { purpose: 'session', name: 'a', realm: 'r' },
      { purpose: 'session', name: 'a', realm: 'r', secret: 's' },
    ],
  ])('what is sealed for one place opens in no other: %s', ([, one, other], { expect }) => {
    const sealed = ring.seal(plaintext, one)
    expect(ring.open(sealed, one)).toEqual(plaintext)
    expect(ring.open(sealed, other)).toBeUndefined()
  })

  test('no shift of text between the parts of a context opens anything', () => {
    const context = fc.record({ purpose: tricky, name: tricky, realm: tricky, secret: tricky })
    fc.assert(
      fc.property(context, context, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other)
        expect(ring.open(ring.seal(plaintext, one), other) !== undefined).toBe(isSame)
      }),
      { numRuns: 500 },
    )
  })
})
