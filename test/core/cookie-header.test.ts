import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readCookie, readCookies, withoutCookies } from '../../src/core/cookie-header.ts'
import { anyText } from '../support/any-text.ts'
import { rows, words } from '../support/words.ts'

const OURS = '__Host-vestibule'

/** Headers put together from what makes cookie parsers disagree. */
const hostileHeader = fc
  .array(
    fc.constantFrom(
      ...words`
        ${OURS} ${OURS} ${OURS}= app app= = = ; ;\x20 \x20 \t v1.a b " , $Version=1 \u00a0
        \u00e2\u0080\u0080 %3D
      `,
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
  test.for<[string, ReturnType<typeof readCookie>]>([
    ...rows`
      ${OURS}=a app=1;\x20${OURS}=a app=1;${OURS}=a;b=2 ${OURS}=a;\x20${OURS}=a
      app=1;\t\x20${OURS}\x20\t=\x20\ta\x20\t;\x20b=2 $Version=1;\x20${OURS}=a
    `({ value: 'a' }),
    [`${OURS}=a=b`, { value: 'a=b' }],
    [`${OURS}="a"`, { value: '"a"' }],
    ...rows`${OURS}=a;\x20app=1;\x20${OURS}=b ${OURS}=;\x20${OURS}=a`('ambiguous'),
  ])('of %j gives %j (A72)', ([header, expected], { expect }) => {
    expect(readCookie(header, OURS)).toEqual(expected)
  })

  test.for([
    undefined,
    '',
    ...words`
      ${OURS}= ${OURS} ${OURS.toUpperCase()}=a ${OURS}_login=a x${OURS}=a app=${OURS}=a
      app="x\x20${OURS}=a" =${OURS}=a \u00a0${OURS}=a \u00e2\u0080\u0080${OURS}=a
      app=1,\x20${OURS}=a ${OURS.replace('_', '%5F')}=a
    `,
  ])('of %j gives none (A72)', (header, { expect }) => {
    expect(readCookie(header, OURS)).toBeUndefined()
  })

  test.for<[string | undefined, readonly string[]]>([
    [undefined, []],
    [`app=1; x${OURS}=a; ${OURS}_login=b`, []],
    [`${OURS}=a`, ['a']],
    [`${OURS}=b; app=1; ${OURS}=a;\t${OURS} = c `, ['b', 'a', 'c']],
    [`${OURS}=a; ${OURS}=b; ${OURS}=a`, ['a', 'b']],
    [`${OURS}=; ${OURS}=a; ${OURS}`, ['a']],
  ])('all values in %j are %j', ([header, expected], { expect }) => {
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

  test.for<[string | undefined, string | undefined]>([
    [undefined, undefined],
    ['', undefined],
    ...rows`${OURS}=x ${OURS}=x;\x20vestibule=y`(undefined),
    ...rows`
      a=1;\x20b=2 ${OURS}=x;\x20a=1;\x20b=2 a=1;\x20${OURS}=x;\x20b=2 a=1;\x20b=2;\x20${OURS}=x
      a=1;\x20${OURS};\x20b=2
    `('a=1; b=2'),
    ...rows`${OURS}=x;\x20a=1;\x20${OURS}=y ${OURS}\x20;a=1`('a=1'),
    [`a=1;b=2 ;  c = 3;${OURS}=x;d`, 'a=1;b=2 ;  c = 3;d'],
    [`a=\u00c3\u00a9; ${OURS}=x`, 'a=\u00c3\u00a9'],
    [`a="1; ${OURS}=x; b=2="`, 'a="1; b=2="'],
    [`${OURS}s=x`, `${OURS}s=x`],
    ['a=1;', 'a=1;'],
  ])('of %j leaves %j', ([header, expected], { expect }) => {
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
