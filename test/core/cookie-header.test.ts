import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readCookie, readCookies, withoutCookies } from '../../src/core/cookie-header.ts'
import { anyText } from '../support/any-text.ts'

const OURS = '__Host-vestibule'

/** Headers put together from what makes cookie parsers disagree. */
const hostileHeader = fc
  .array(
    fc.constantFrom(
      OURS,
      OURS,
      `${OURS}=`,
      'app',
      'app=',
      '=',
      '=',
      ';',
      '; ',
      ' ',
      '\t',
      'v1.a',
      'b',
      '"',
      ',',
      '$Version=1',
      '\u00a0',
      '\u00e2\u0080\u0080',
      '%3D',
    ),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(''))

function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}

/** The slow and plain way of RFC 6265 section 5.2, for headers. */
function valuesOf(header: string, name: string): string[] {
  return header.split(';').flatMap((pair) => {
    const equals = pair.indexOf('=')
    return equals !== -1 && trimBlanks(pair.slice(0, equals)) === name
      ? [trimBlanks(pair.slice(equals + 1))]
      : []
  })
}

function nameOf(pair: string): string {
  return trimBlanks(pair.split('=', 1)[0] ?? '')
}

describe('reading a cookie', () => {
  test.for<[string, string | undefined, ReturnType<typeof readCookie>]>([
    ['no header', undefined, undefined],
    ['an empty header', '', undefined],
    ['the only cookie', `${OURS}=a`, { value: 'a' }],
    ['the last cookie', `app=1; ${OURS}=a`, { value: 'a' }],
    ['no blank after the semicolon', `app=1;${OURS}=a;b=2`, { value: 'a' }],
    ['blanks and tabs around', `app=1;\t ${OURS} \t= \ta \t; b=2`, { value: 'a' }],
    ['an equals sign in the value', `${OURS}=a=b`, { value: 'a=b' }],
    ['quotes belong to the value', `${OURS}="a"`, { value: '"a"' }],
    ['identical copies', `${OURS}=a; ${OURS}=a`, { value: 'a' }],
    ['different copies', `${OURS}=a; app=1; ${OURS}=b`, 'ambiguous'],
    ['an empty copy beside a full one', `${OURS}=; ${OURS}=a`, 'ambiguous'],
    ['an empty value', `${OURS}=`, undefined],
    ['the name without a value', OURS, undefined],
    ['another case', `${OURS.toUpperCase()}=a`, undefined],
    ['a longer name', `${OURS}_login=a`, undefined],
    ['a name that ends like ours', `x${OURS}=a`, undefined],
    ['our name in a value', `app=${OURS}=a`, undefined],
    ['our name in quotes', `app="x ${OURS}=a"`, undefined],
    ['a nameless cookie (A72)', `=${OURS}=a`, undefined],
    ['a no-break space before it (A72)', `\u00a0${OURS}=a`, undefined],
    ['an en quad before it (A72)', `\u00e2\u0080\u0080${OURS}=a`, undefined],
    ['a legacy version attribute (A72)', `$Version=1; ${OURS}=a`, { value: 'a' }],
    ['a comma is no separator', `app=1, ${OURS}=a`, undefined],
    ['an encoded name', `${OURS.replace('_', '%5F')}=a`, undefined],
  ])('%s', ([, header, expected], { expect }) => {
    expect(readCookie(header, OURS)).toEqual(expected)
  })

  test.for<[string, string | undefined, readonly string[]]>([
    ['no header', undefined, []],
    ['none of that name', `app=1; x${OURS}=a; ${OURS}_login=b`, []],
    ['one', `${OURS}=a`, ['a']],
    ['several, in their order', `${OURS}=b; app=1; ${OURS}=a;\t${OURS} = c `, ['b', 'a', 'c']],
    ['identical copies once', `${OURS}=a; ${OURS}=b; ${OURS}=a`, ['a', 'b']],
    ['empty ones not', `${OURS}=; ${OURS}=a; ${OURS}`, ['a']],
  ])('every value that came: %s', ([, header, expected], { expect }) => {
    expect(readCookies(header, OURS)).toEqual(expected)
  })

  test('any header reads as the plain way reads it, and nothing throws', () => {
    fc.assert(
      fc.property(fc.oneof(hostileHeader, anyText), (header) => {
        const values = new Set(valuesOf(header, OURS))
        const [value] = values
        const expected = values.size > 1 ? 'ambiguous' : value ? { value } : undefined
        expect(readCookie(header, OURS)).toEqual(expected)
        expect(readCookies(header, OURS)).toEqual([...values].filter(Boolean))
      }),
      { numRuns: 1000 },
    )
  })

  test('a value written is the value read, wherever it stands', () => {
    const value = fc.stringMatching(/^[A-Za-z0-9._-]{1,80}$/)
    const other = fc.stringMatching(/^[a-z]{1,8}=[a-z0-9 "=]{0,8}$/)
    fc.assert(
      fc.property(fc.array(other), value, fc.array(other), (before, mine, after) => {
        const header = [...before, `${OURS}=${mine}`, ...after].join('; ')
        expect(readCookie(header, OURS)).toEqual({ value: mine })
      }),
    )
  })
})

describe('cutting our cookies out', () => {
  const names = new Set([OURS, 'vestibule'])

  test.for<[string, string | undefined, string | undefined]>([
    ['no header', undefined, undefined],
    ['an empty header', '', undefined],
    ['nothing of ours', 'a=1; b=2', 'a=1; b=2'],
    ['only ours', `${OURS}=x`, undefined],
    ['only ours, twice', `${OURS}=x; vestibule=y`, undefined],
    ['ours first', `${OURS}=x; a=1; b=2`, 'a=1; b=2'],
    ['ours in the middle', `a=1; ${OURS}=x; b=2`, 'a=1; b=2'],
    ['ours last', `a=1; b=2; ${OURS}=x`, 'a=1; b=2'],
    ['every copy', `${OURS}=x; a=1; ${OURS}=y`, 'a=1'],
    ['odd spacing is kept', `a=1;b=2 ;  c = 3;${OURS}=x;d`, 'a=1;b=2 ;  c = 3;d'],
    ['bytes above ASCII are kept', `a=\u00c3\u00a9; ${OURS}=x`, 'a=\u00c3\u00a9'],
    ['quotes and equals signs are kept', `a="1; ${OURS}=x; b=2="`, 'a="1; b=2="'],
    ['a copy without a value', `a=1; ${OURS}; b=2`, 'a=1; b=2'],
    ['a name that only starts like ours', `${OURS}s=x`, `${OURS}s=x`],
    ['a trailing semicolon', 'a=1;', 'a=1;'],
    ['an equals sign of the next pair', `${OURS} ;a=1`, 'a=1'],
  ])('%s', ([, header, expected], { expect }) => {
    expect(withoutCookies(header, names)).toBe(expected)
  })

  test('what is left is byte for byte what came, only the blanks and empty pairs before it go', () => {
    fc.assert(
      fc.property(hostileHeader, (header) => {
        const kept = header.split(';').filter((pair) => !names.has(nameOf(pair)))
        const expected = kept.join(';').replace(/^[; \t]+/, '')
        expect(withoutCookies(header, names) ?? '').toBe(expected)
      }),
      { numRuns: 1000 },
    )
  })

  test('apps never see ours, and see every other cookie as before', () => {
    fc.assert(
      fc.property(hostileHeader, (header) => {
        const left = withoutCookies(header, names)
        for (const name of names) expect(readCookie(left, name)).toBeUndefined()
        expect(readCookie(left, 'app')).toEqual(readCookie(header, 'app'))
      }),
      { numRuns: 1000 },
    )
  })

  test('cutting a second time changes nothing', () => {
    fc.assert(
      fc.property(fc.oneof(hostileHeader, anyText), (header) => {
        const once = withoutCookies(header, names)
        expect(withoutCookies(once, names)).toBe(once)
      }),
      { numRuns: 1000 },
    )
  })
})
