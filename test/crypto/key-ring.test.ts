import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createKeyRing, type SealContext } from '../../src/crypto/key-ring.ts'
import { anyText } from '../support/any-text.ts'

const CONTEXT: SealContext = {
  purpose: 'session',
  name: 'k',
  realm: 'app.example.com',
  secret: 's',
}
const HEADER_BYTES = 21
const OVERHEAD_BYTES = HEADER_BYTES + 16

const bytes = fc.uint8Array({ maxLength: 64 })
const context: fc.Arbitrary<SealContext> = fc.record(
  { purpose: anyText, name: anyText, realm: anyText, secret: anyText },
  { requiredKeys: ['purpose', 'name', 'realm'] },
)

function newRing() {
  return createKeyRing([randomBytes(32)])
}

describe('sealing', () => {
  test('what was sealed is opened in the same context, byte for byte', () => {
    const ring = newRing()
    fc.assert(
      fc.property(bytes, context, (plaintext, where) => {
        const opened = ring.open(ring.seal(plaintext, where), where)
        expect(opened && Buffer.from(plaintext).equals(opened)).toBe(true)
      }),
    )
  })

  test.for([
    ['another purpose', { purpose: 'login-state' }],
    ['another name', { name: 'k2' }],
    ['another realm', { realm: 'wiki.example.com' }],
    ['another secret', { secret: 't' }],
    ['no secret', { secret: '' }],
  ] as const)('%s opens nothing', ([, change]) => {
    const ring = newRing()
    const sealed = ring.seal(Buffer.from('text'), CONTEXT)
    expect(ring.open(sealed, { ...CONTEXT, ...change })).toBeUndefined()
  })

  test('any two contexts that differ open nothing of each other', () => {
    const ring = newRing()
    fc.assert(
      fc.property(context, context, (one, other) => {
        const isSame = (['purpose', 'name', 'realm', 'secret'] as const).every(
          (key) => (one[key] ?? '').toWellFormed() === (other[key] ?? '').toWellFormed(),
        )
        expect(ring.open(ring.seal(Buffer.of(1), one), other) !== undefined).toBe(isSame)
      }),
    )
  })

  test('letters that move between purpose and name open nothing (A74)', () => {
    const ring = newRing()
    const sealed = ring.seal(Buffer.of(1), { ...CONTEXT, purpose: 'a', name: 'bc' })
    expect(ring.open(sealed, { ...CONTEXT, purpose: 'ab', name: 'c' })).toBeUndefined()
  })

  test('one flipped bit anywhere, also of the version, opens nothing (A73, A75)', () => {
    const ring = newRing()
    const sealed = ring.seal(Buffer.from('identity'), CONTEXT)
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed)
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(ring.open(changed, CONTEXT), `bit ${bit}`).toBeUndefined()
    }
  })

  test('what is cut or longer opens nothing (A73)', () => {
    const ring = newRing()
    const sealed = ring.seal(Buffer.from('identity'), CONTEXT)
    for (let length = 0; length < sealed.length; length++)
      expect(ring.open(sealed.subarray(0, length), CONTEXT)).toBeUndefined()
    expect(ring.open(Buffer.concat([sealed, Buffer.of(0)]), CONTEXT)).toBeUndefined()
  })

  test('no bytes make it throw', () => {
    const ring = newRing()
    const kid = ring.seal(Buffer.of(), CONTEXT).subarray(0, HEADER_BYTES)
    const near = bytes.map((rest) => Buffer.concat([kid, rest]))
    fc.assert(
      fc.property(fc.oneof(bytes, near), (sealed) => {
        expect(ring.open(sealed, CONTEXT)).toBeUndefined()
      }),
    )
  })

  test('sealing twice gives two texts, of the same known length', () => {
    const ring = newRing()
    const [one, two] = [
      ring.seal(Buffer.of(1, 2, 3), CONTEXT),
      ring.seal(Buffer.of(1, 2, 3), CONTEXT),
    ]
    expect([one.equals(two), one.length]).toEqual([false, OVERHEAD_BYTES + 3])
  })

  test('a view into a larger buffer is opened too', () => {
    const ring = newRing()
    const sealed = ring.seal(Buffer.from('text'), CONTEXT)
    const padded = new Uint8Array([9, 9, ...sealed, 9])
    expect(ring.open(padded.subarray(2, -1), CONTEXT)?.toString()).toBe('text')
  })
})

describe('a ring of keys', () => {
  const [first, second, third] = [randomBytes(32), randomBytes(32), randomBytes(48)]

  test('the first key seals and all open', () => {
    const before = createKeyRing([first])
    const after = createKeyRing([second, first, third])
    const sealed = before.seal(Buffer.from('text'), CONTEXT)
    expect(after.open(sealed, CONTEXT)?.toString()).toBe('text')
    expect(before.open(after.seal(Buffer.from('text'), CONTEXT), CONTEXT)).toBeUndefined()
    expect(createKeyRing([third]).open(sealed, CONTEXT)).toBeUndefined()
  })

  test('keys may be replaced while it is in use; a key that went opens nothing more (A75)', () => {
    const ring = createKeyRing([first])
    const sealed = ring.seal(Buffer.from('text'), CONTEXT)
    ring.replaceKeys([second, first])
    expect(ring.open(sealed, CONTEXT)?.toString()).toBe('text')
    expect(createKeyRing([second]).open(ring.seal(Buffer.of(1), CONTEXT), CONTEXT)).toHaveLength(1)
    ring.replaceKeys([second])
    expect(ring.open(sealed, CONTEXT)).toBeUndefined()
  })

  test('without a key there is no ring, and a failed replacement keeps the old keys', () => {
    expect(() => createKeyRing([])).toThrow(TypeError)
    const ring = createKeyRing([first])
    const sealed = ring.seal(Buffer.from('text'), CONTEXT)
    expect(() => ring.replaceKeys([])).toThrow(TypeError)
    expect(ring.open(sealed, CONTEXT)?.toString()).toBe('text')
  })

  test('the id in clear tells nothing of the key and is the same everywhere', () => {
    const kidOf = (key: Buffer) => createKeyRing([key]).seal(Buffer.of(), CONTEXT).subarray(1, 9)
    expect(kidOf(first).equals(kidOf(first))).toBe(true)
    expect(kidOf(first).equals(kidOf(second))).toBe(false)
    expect(first.includes(kidOf(first))).toBe(false)
  })

  test('fingerprints tell holders of the same keys from all others, and nothing of the keys', () => {
    const ring = createKeyRing([first, second])
    const [one, other] = ring.fingerprints()
    expect(createKeyRing([first, second]).fingerprints()).toEqual([one, other])
    expect(createKeyRing([second, first]).fingerprints()).toEqual([other, one])
    expect(one).not.toBe(other)
    ring.replaceKeys([second])
    expect(ring.fingerprints()).toEqual([other])
    const shown = Buffer.from(one ?? '', 'base64url')
    expect([shown.length, shown.equals(first.subarray(0, 16))]).toEqual([16, false])
    const sealed = createKeyRing([first]).seal(Buffer.from('x'), CONTEXT)
    expect(sealed.includes(shown.subarray(0, 8))).toBe(false)
  })

  test('derived values differ by purpose and by key, and agree between replicas', () => {
    const ring = createKeyRing([first])
    expect(ring.derive('a')).toHaveLength(32)
    expect(ring.derive('a').equals(createKeyRing([first, second]).derive('a'))).toBe(true)
    expect(ring.derive('a').equals(ring.derive('b'))).toBe(false)
    expect(ring.derive('a').equals(createKeyRing([second]).derive('a'))).toBe(false)
    expect(ring.derive('kid').subarray(0, 8).equals(first.subarray(0, 8))).toBe(false)
  })
})
