import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ValueError } from '../../src/config/config-error.ts'
import { parseKeys } from '../../src/config/encryption-keys.ts'
import { anyText } from '../support/any-text.ts'
import { rows } from '../support/words.ts'

const key = fc
  .uint8Array({ minLength: 32, maxLength: 64 })
  .filter((each) => new Set(each).size >= 8)
  .map((each) => Buffer.from(each))
const encoding = fc.constantFrom('hex' as const, 'base64' as const, 'base64url' as const)
const written = fc.array(fc.tuple(key, encoding), { minLength: 1, maxLength: 3 })

test('keys are read as they were written, in any encoding and with any separator', () => {
  const separator = fc.constantFrom(',', '\n', ' , ', '\r\n', ',\n\n')
  fc.assert(
    fc.property(written, separator, (entries, between) => {
      const texts = entries.map(([each, how]) => each.toString(how))
      // 64 or more hexadecimal digits are read as such, even where they were base64.
      fc.pre(entries.every(([, how], at) => how === 'hex' || !/^[0-9a-f]+$/i.test(texts[at] ?? '')))
      expect(parseKeys(texts.join(between))).toEqual(entries.map(([each]) => each))
    }),
  )
})

test('any text gives keys of 32 bytes or more, or a ValueError without any of it', () => {
  const near = fc.stringMatching(/^[A-Za-z0-9+/_=,-]{0,120}$/)
  fc.assert(
    fc.property(fc.oneof(anyText, near), (text) => {
      try {
        expect(parseKeys(text).every((each) => each.length >= 32)).toBe(true)
      } catch (error) {
        expect(error).toBeInstanceOf(ValueError)
        for (const fault of (error as Error).message.split('; ')) {
          expect(fault).toMatch(
            /^(?:no key given|key \d+ (?:is neither hex, base64 nor base64url|has \d+ bytes, at least 32 are needed|is not random))$/,
          )
        }
      }
    }),
    { numRuns: 500 },
  )
})

test.for([
  ['', 'no key given'],
  [',\n ,', 'no key given'],
  ['short', 'key 1 has'],
  ['0'.repeat(64), 'key 1 is not random'],
  ...rows`${'a'.repeat(65)} päss abc=def abc===`('key 1 is neither'),
] as const)('%j: %s', ([text, message]) => {
  expect(() => parseKeys(text)).toThrow(ValueError)
  expect(() => parseKeys(text)).toThrow(message)
})
