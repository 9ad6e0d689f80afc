import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  isUnder,
  MAX_AMBIGUOUS_LENGTH,
  MAX_READ_CHARACTERS,
  MAX_READINGS,
  mayLeadUnder,
  readPath,
} from '../../src/core/path-readings.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { words } from '../support/words.ts'

describe('the readings of a path', () => {
  test.for([
    ['rounds of decoding', '/%252561dmin', '/admin'],
    ['UTF-16 escapes', '/%u0061dmin', '/admin'],
    ['UTF-16 escapes left beside decoded others', '/%u0061dmin%2fx', '/%u0061dmin/x'],
    ['NFKC', '/%ef%bd%81dmin', '/admin'],
    ['NFKC that makes an escape', '/%ef%bc%8561dmin', '/admin'],
    ['back-slashes', '/a%5cb', '/a/b'],
    ['parameters', '/admin;x=1/a;y', '/admin/a'],
    ['parameters cut before decoding', '/admin;x%2fy/a', '/admin/a'],
    ['parameters cut after decoding', '/admin%3bx%2fa', '/admin/a'],
    ['slashes', '/a//b///c', '/a/b/c'],
    ['slashes kept', '/a//b', '/a//b'],
    ['two slashes taken for a host', '/%2fx/admin', '/admin'],
    ['an end at NUL', '/admin%00.png', '/admin'],
    ['an end at a question mark', '/admin%3fx', '/admin'],
    ['an end at a number sign', '/admin%2523x', '/admin'],
    ['dots and blanks at the end of a segment', '/admin.%20./a.', '/admin/a'],
    ['controls left out', '/ad%09min%0a', '/admin'],
    ['Latin-1', '/%ffdmin', '/ÿdmin'],
    ['Latin-1 and NFKC', '/%aadmin', '/admin'],
    ['encoded slashes kept while letters are decoded', '/%61dmin/a%2Fb', '/admin/a%2Fb'],
    ['broken escapes, which stay', '/%zz%4/%2541', '/%zz%4/A'],
  ])('%s: %s may be read as %s', ([, path = '', reading]) => {
    const { all, fault } = readPath(path)
    expect(fault).toBeUndefined()
    expect(all).toContain(reading)
  })

  test.for([
    ['/', '/'],
    ['/Docs/a.b-c_d~e/', '/Docs/a.b-c_d~e/'],
    ["/!$&'()*+,:@=", "/!$&'()*+,:@="],
    ['/.well-known/..a/a..b', '/.well-known/..a/a..b'],
    ['/a%20b/%22%3C%3e%60%7b%7C%7d', '/a b/"<>`{|}'],
    ['/"<>[]^`{|}', '/"<>[]^`{|}'],
    ['/%5Bslug%5D', '/[slug]'],
    ['/caf%C3%A9/%F0%9F%A6%8A', '/café/🦊'],
    ['/100%/%zz', '/100%/%zz'],
  ])('%s has one reading, in its letters: %s', ([path = '', letters]) =>
    expect(readPath(path)).toEqual({ all: [letters], asWritten: [letters] }),
  )

  test.for(words`
    /%41 /a%2Fb /a%25 /a%40b /a;b /a\\b /a//b /a. /... /a%20 /a%00 /a%7f /a%80 /%e0%80%af /%ed%a0%80
    /%f4%90%80%80 /m%C2%B2 /cafe%CC%81 /%u0041
  `)('%s has more than one', (path) => {
    const { all, fault } = readPath(path)
    expect(fault).toBeUndefined()
    expect(all.length).toBeGreaterThan(1)
    expect(new Set(all).size).toBe(all.length)
  })

  test.for([
    ['several ways and a long path', `/${'a/'.repeat(MAX_AMBIGUOUS_LENGTH / 2)}%2f`],
    ['every choice at once', '/a%2541%3B%2F%5C%00%3F%23x//y%09/%80%c2%b2a./%u0041;x'],
    ['several ways, each long', `/%2541;x${'/%25c3%25a9'.repeat(120)}/a//b\\%20`],
    ['a separator beside bytes that are no UTF-8', '/caf%e9%2Fx/%2f'],
    ['a backslash beside bytes that are no UTF-8', '/a%5C%80b'],
    ['the same, encoded twice', '/caf%25e9%252fx'],
    ['a full-width slash beside bytes that are no UTF-8', '/a%ef%bc%8f%ff'],
    ['more combining marks than a letter has', `/a${'%CC%81'.repeat(31)}`],
  ])('%s: refused', ([, path = '']) => expect(readPath(path).fault).toBe('too_ambiguous'))

  test.for(['/caf%c3%a9%2Fx', '/caf%e9/x', '/caf%e9%20noir', '/a%2Fb%20%80'])(
    '%s: a separator apart from bytes that are no UTF-8 is read, not refused',
    (path) => expect(readPath(path).fault).toBeUndefined(),
  )

  test('a long path with a dot segment is refused for that', () =>
    expect(readPath(`/../${'a'.repeat(MAX_AMBIGUOUS_LENGTH)}`).fault).toBe('hidden_dots'))

  test('a long path that is read in one way has no bound but that of requests', () => {
    for (const unit of ['/a', '/%20a', '/%C3%A9', '/%zz']) {
      expect(readPath(unit.repeat(8192 / unit.length)).fault).toBeUndefined()
    }
    const honest = `/group%2Fproject/${'a'.repeat(MAX_AMBIGUOUS_LENGTH - 17)}`
    expect(readPath(honest).all).toHaveLength(2)
  })

  test('no path throws, costs more than the bounds, or is read as one with a dot segment', () => {
    const piece = fc.constantFrom(
      ...words`
        a A / // \\ ; %2f %252f %5c %00 %3f %23 %09 %20 . %2e %80 %c2%b2 %ef%bc%8f %u002f %zz
      `,
    )
    const pieces = fc.array(piece, { maxLength: 12 }).map((each) => each.join(''))
    holds(2000, [fc.oneof(pieces, anyText)], (text) => {
      const { all, fault } = readPath(`/${text}`)
      expect(all.length).toBeLessThan(MAX_READINGS * 5)
      if (fault) return
      expect(all.length).toBeLessThanOrEqual(MAX_READINGS)
      expect(all.join('').length).toBeLessThanOrEqual(MAX_READ_CHARACTERS)
      expect(all.some((reading) => /(?:^|\/)\.{1,2}(?:\/|$)/.test(reading))).toBe(false)
    })
  })
})

test('readings in compatibility form are told from those as written', () =>
  expect(readPath('/m%C2%B2/a%2fb')).toEqual({
    all: ['/m²/a%2fb', '/m2/a%2fb', '/m²/a/b', '/m2/a/b'],
    asWritten: ['/m²/a%2fb', '/m²/a/b'],
  }))

describe('lying below the sign-in path', () => {
  test('no reading is no place, and too many may be any', () => {
    expect(isUnder('/oauth2', [])).toBe(false)
    expect(mayLeadUnder('/oauth2', readPath(`/a//${'b'.repeat(MAX_AMBIGUOUS_LENGTH)}`))).toBe(true)
  })
})
