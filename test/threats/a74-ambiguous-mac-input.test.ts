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
const AT: SealContext = { purpose: 'session', name: 'a', realm: 'r' }

describe('A74 ambiguous MAC input', () => {
  test.for<[string, readonly string[], readonly string[]]>([
    ['a shifted letter', ['a', 'bc'], ['ab', 'c']],
    ['joined parts', ['ab'], ['a', 'b']],
    ['an empty part on the other side', ['', 'a'], ['a', '']],
    ['an empty part more', ['a'], ['a', '']],
    ['a length inside', ['1:a'], ['a']],
    ['a length between', ['a1:b'], ['a', 'b']],
    ['a shifted digit', ['https://id.example.com', '1x'], ['https://id.example.com1', 'x']],
    ['another order', ['a', 'b'], ['b', 'a']],
    ['another composition of a letter', ['ä'], ['a\u0308']],
  ])('the digest differs: %s', ([, one, other], { expect }) => {
    expect(digestOfParts(...one)).not.toBe(digestOfParts(...other))
  })

  test('digests are the same for the same parts only', () => {
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

  test('regrouped parts never make the same digest', () => {
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
    ['purpose and name', AT, { ...AT, purpose: 'sessio', name: 'na' }],
    ['name and realm', { ...AT, realm: 'b.r' }, { ...AT, name: 'ab', realm: '.r' }],
    ['a separator', { ...AT, name: 'a","b' }, { ...AT, purpose: 'session","a', name: 'b' }],
    ['no secret and a secret', AT, { ...AT, secret: 's' }],
  ])('what is sealed for one place opens in no other: %s', ([, one, other], { expect }) => {
    const sealed = ring.seal(plaintext, one)
    expect([ring.open(sealed, one), ring.open(sealed, other)]).toEqual([plaintext, undefined])
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
