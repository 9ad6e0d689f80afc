import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cutCookies, readCookie, readCookies } from '../../src/core/cookie-header.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { words } from '../support/words.ts'

const OURS = '__Host-vestibule'

/** Headers put together from what makes cookie parsers disagree. */
const hostileHeader = fc
  .array(
    fc.constantFrom(
      ...words`
        ${OURS} ${OURS} ${OURS}= ${OURS}_outage= app app= = = ; ;\x20 \x20 \t v1.a b " , $Version=1 \u00a0
        \u00e2\u0080\u0080 %3D
      `,
    ),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(''))

function valueOf(cookie: ReturnType<typeof readCookie>): string | undefined {
  return typeof cookie === 'object' ? cookie.value : undefined
}

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

describe('reading a cookie', () => {
  test('any header reads as the plain way reads it, and nothing throws (A72)', () =>
    holds(1000, [fc.oneof(hostileHeader, anyText)], (header) => {
      const values = new Set(valuesOf(header, OURS))
      const [value] = values
      const expected = values.size > 1 ? 'ambiguous' : value ? { value } : undefined
      expect(readCookie(header, OURS)).toEqual(expected)
      expect(readCookies(header, OURS)).toEqual([...values].filter(Boolean))
    }))

  test('a value written is the value read, wherever it stands', () => {
    const value = fc.stringMatching(/^[A-Za-z0-9._-]{1,80}$/)
    const other = fc.stringMatching(/^[a-z]{1,8}=[a-z0-9 "=]{0,8}$/)
    holds(100, [fc.array(other), value, fc.array(other)], (before, mine, after) => {
      const header = [...before, `${OURS}=${mine}`, ...after].join('; ')
      expect(readCookie(header, OURS)).toEqual({ value: mine })
    })
  })
})

describe('cutting our cookies out', () => {
  const OUTAGE = `${OURS}_outage`
  const names = new Set([OURS, OUTAGE, 'vestibule'])
  const lengths = new Set([...names].map((name) => name.length))
  const cut = (header: string | undefined) =>
    cutCookies(header, { session: OURS, outage: OUTAGE, all: names, lengths })
  const withoutOurs = (header: string | undefined) => cut(header).others

  test('ours are read as one by one', () =>
    holds(2000, [fc.oneof(hostileHeader, anyText)], (header) => {
      const { session, isSessionAmbiguous, outage } = cut(header)
      const cookie = readCookie(header, OURS)
      expect(isSessionAmbiguous).toBe(cookie === 'ambiguous')
      expect(session).toBe(valueOf(cookie))
      expect(outage).toBe(valueOf(readCookie(header, OUTAGE)))
    }))

  test('what is left is byte for byte what came, only the blanks and empty pairs before it go, and blanks behind it', () =>
    holds(1000, [hostileHeader], (header) => {
      const kept = header
        .split(';')
        .filter((pair) => !names.has(trimBlanks(pair.split('=', 1)[0] ?? '')))
      expect(withoutOurs(header) ?? '').toBe(kept.join(';').replace(/^[; \t]+|[ \t]+$/g, ''))
    }))

  test('apps never see ours, and see every other cookie as before', () =>
    holds(1000, [hostileHeader], (header) => {
      const left = withoutOurs(header)
      for (const name of names) expect(readCookie(left, name)).toBeUndefined()
      expect(readCookie(left, 'app')).toEqual(readCookie(header, 'app'))
    }))

  test('cutting a second time changes nothing', () =>
    holds(1000, [fc.oneof(hostileHeader, anyText)], (header) => {
      const once = withoutOurs(header)
      expect(withoutOurs(once)).toBe(once)
    }))
})
