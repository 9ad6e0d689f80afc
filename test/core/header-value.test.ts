import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeHeaderValue, encodeListValue, isFaithful } from '../../src/core/header-value.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { rows } from '../support/words.ts'

const anyValue = fc.oneof(
  anyText,
  fc
    .array(fc.constantFrom('\r', '\n', '\0', '\u2028', '\u2029', '\u0085', '\ud800', 'é', ' ', 'a'))
    .map((parts) => parts.join('')),
)

function isDropped(code: number): boolean {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code === 0x2028 || code === 0x2029
}

function visibleOf(text: string): string {
  return Array.from(text.toWellFormed())
    .filter((character) => !isDropped(character.codePointAt(0) ?? 0))
    .join('')
    .trim()
}

function decode(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8')
}

describe('one header value', () => {
  test.for([
    ['', ''],
    ['Alice', 'Alice'],
    ['Alice  B. (x) "y", z;=%', 'Alice  B. (x) "y", z;=%'],
    [' Alice ', 'Alice'],
    ['a\r\nX-Auth-Request-Groups: admins', 'aX-Auth-Request-Groups: admins'],
    ['a\0b\u007fc\u0085d', 'abcd'],
    ['a\u2028b\u2029c', 'abc'],
    ['\t\t', ''],
    ['\u00a0', ''],
  ])('%j becomes %j', ([text = '', expected]) => expect(encodeHeaderValue(text)).toBe(expected))

  test.for([
    ['é', 'é'],
    ['Zoë 🐈', 'Zoë 🐈'],
    ['à', 'à'],
    ['\ud800x', '\ufffdx'],
    ['x\udc00', 'x\ufffd'],
  ])('%j travels as the UTF-8 bytes of %j', ([text = '', expected]) =>
    expect(decode(encodeHeaderValue(text))).toBe(expected),
  )

  test('no string makes it throw, and every result holds visible ASCII and bytes from 0x80 alone', () =>
    holds(2000, [anyValue], (text) => {
      const value = encodeHeaderValue(text)
      expect(value).toMatch(/^[\x20-\x7e\x80-\xff]*$/)
      expect(value).not.toMatch(/^ | $/)
      expect(decode(value)).toBe(visibleOf(text))
      expect(new Headers({ 'X-Value': value }).get('X-Value')).toBe(value)
    }))
})

describe('a list as one header value', () => {
  test('no member can become two or another one', () =>
    holds(1000, [fc.array(anyValue, { maxLength: 6 })], (members) => {
      const value = encodeListValue(members)
      const read = (value === '' ? [] : value.split(',')).map((member) =>
        decode(member.replaceAll('%2C', ',').replaceAll('%25', '%')),
      )
      expect(read).toEqual(members.map(visibleOf).filter((member) => member !== ''))
    }))
})

describe('a value that reaches an app as it is', () => {
  test.for([
    ['', true],
    ...rows`alice Älice\x20Ünïcode\x2042`(true),
    ...rows`\x20alice alice\x20 ali\nce ali\u2028ce ali\u0085ce ali\ud800ce`(false),
  ] as const)('%j reaches an app as it is: %s', ([value, expected]) =>
    expect(isFaithful(value)).toBe(expected),
  )
})
