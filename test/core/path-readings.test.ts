import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isUnambiguous, isUnder, pathReadings } from '../../src/core/path-readings.ts'
import { anyText } from '../support/any-text.ts'

/** What software behind us does to a path, one step each. */
const STEPS = {
  decode: (path: string) => {
    try {
      return decodeURIComponent(path)
    } catch {
      return path
    }
  },
  lowerCase: (path: string) => path.toLowerCase(),
  backSlashes: (path: string) => path.replaceAll('\\', '/'),
  withoutParameters: (path: string) => path.replace(/;[^/]*/g, ''),
  collapseSlashes: (path: string) => path.replace(/\/{2,}/g, '/'),
  resolveDots: (path: string) => resolve(path),
} as const

const resolve = (path: string): string => {
  const resolved: string[] = []
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') resolved.pop()
    else if (segment !== '.') resolved.push(segment)
  }
  return `/${resolved.join('/')}`
}

const hostilePath = fc
  .array(
    fc.constantFrom(
      'a',
      'admin',
      'Public',
      '/',
      '/',
      '/',
      '.',
      '..',
      '/../',
      '/./',
      '//',
      '\\',
      ';',
      ';x=1',
      '%2e',
      '%2E%2e',
      '%2f',
      '%5C',
      '%3b',
      '%25',
      '%252e',
      '%25252f',
      '%00',
      '%20',
      '%',
      '%z',
      '%ef%bc%8f',
      '%ef%bc%8e',
      '%C3%A9',
      '%ff',
      '%3F',
      '%23',
    ),
    { maxLength: 10 },
  )
  .map((parts) => `/${parts.join('')}`)
const simplePath = fc.stringMatching(
  /^\/(?:[a-z0-9_~-][a-z0-9._~-]{0,5}(?:\/[a-z0-9_~-][a-z0-9.]{0,5}){0,3})?$/,
)

describe('the readings of a path', () => {
  test.for([
    ['/public/../admin', '/admin'],
    ['/public/./../admin', '/admin'],
    ['/public/%2e%2e/admin', '/admin'],
    ['/public/.%2E/admin', '/admin'],
    ['/public/..%2fadmin', '/admin'],
    ['/public/..%5cadmin', '/admin'],
    ['/public\\..\\admin', '/admin'],
    ['/public/%252e%252e/admin', '/admin'],
    ['/public/%25252e%25252e/admin', '/admin'],
    ['/public/..;/admin', '/admin'],
    ['/public/..;x=1;y/admin', '/admin'],
    ['/public/%2e%2e%3b/admin', '/admin'],
    ['/./admin', '/admin'],
    ['//admin', '/admin'],
    ['/%2fadmin', '/admin'],
    ['/ADMIN', '/admin'],
    ['/%41dmin', '/admin'],
    ['/admin;x', '/admin'],
    ['/admin;jsessionid=1/a', '/admin/a'],
    ['/admin%00', '/admin'],
    ['/admin%00.png', '/admin.png'],
    ['/admin%20', '/admin'],
    ['/admin%0a', '/admin'],
    ['/admin%3Fx', '/admin'],
    ['/admin%23x', '/admin'],
    ['/admin%253fx', '/admin'],
    ['/%ef%bd%81dmin', '/admin'],
    ['/admin%ef%bc%8fa', '/admin/a'],
    ['/public/%ef%bc%8e%ef%bc%8e/admin', '/admin'],
    ['/../../admin', '/admin'],
    ['/admin/.', '/admin'],
    ['/%zz/%41dmin', '/%zz/admin'],
    ['/%ff/%41dmin', '/\ufffd/admin'],
  ])('%s may be read as %s', ([path = '', reading], { expect }) => {
    expect(pathReadings(path)).toContain(reading)
    expect(pathReadings(path)[0]).toBe(path)
  })

  test('a path may be read as the URL Standard reads it, which collapses no slashes', () => {
    for (const path of ['/a//../admin', '/a/b///..//../admin', '/a//%2e%2e/admin']) {
      expect(pathReadings(path)).toContain(new URL(path, 'https://app.example.com').pathname)
    }
  })

  test('a simple path has one reading, which no software reads in another way', () => {
    fc.assert(
      fc.property(simplePath, (path) => {
        expect(pathReadings(path)).toEqual([path])
        for (const step of Object.values(STEPS)) expect(step(path)).toBe(path)
        expect(isUnambiguous(path)).toBe(true)
      }),
    )
  })

  test('no path throws; each reading starts with a slash and the first is the path itself', () => {
    fc.assert(
      fc.property(fc.oneof(hostilePath, anyText), (path) => {
        const readings = pathReadings(`/${path}`)
        expect(readings[0]).toBe(`/${path}`)
        expect(new Set(readings).size).toBe(readings.length)
        expect(readings.every((reading) => /^[/\\]/.test(reading))).toBe(true)
        expect(readings.length).toBeLessThanOrEqual(64)
      }),
      { numRuns: 1000 },
    )
  })

  test('software that decodes up to three times and then cleans up finds its reading among ours', () => {
    fc.assert(
      fc.property(hostilePath, fc.nat({ max: 3 }), (path, rounds) => {
        fc.pre(!/%ef|%ff|%(?![0-9a-f]{2})/i.test(path))
        let read = path
        for (let round = 0; round < rounds; round++) read = STEPS.decode(read)
        fc.pre(!/[\x00-\x20?#]|%(?![0-9a-f]{2})/i.test(read))
        const clean = STEPS.collapseSlashes(STEPS.withoutParameters(STEPS.backSlashes(read)))
        const folded = STEPS.lowerCase(clean)
        expect(pathReadings(path)).toContain(folded)
        expect(pathReadings(path)).toContain(STEPS.resolveDots(folded))
      }),
      { numRuns: 1000 },
    )
  })

  test('an unambiguous path keeps its segments in every reading', () => {
    fc.assert(
      fc.property(hostilePath, (path) => {
        fc.pre(isUnambiguous(path) && !/%ef%bc|%20/i.test(path))
        const segments = path.split('/').length
        for (const reading of pathReadings(path)) {
          expect(reading.split('/')).toHaveLength(segments)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('a path that is ambiguous has more readings than one', () => {
    fc.assert(
      fc.property(hostilePath, (path) => {
        fc.pre(!isUnambiguous(path) && !/%(?![0-9a-f]{2})/i.test(path))
        expect(pathReadings(path).length).toBeGreaterThan(1)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('paths that public rules leave alone (A17, A18)', () => {
  test.for([
    '/a%2fb',
    '/a%2Fb',
    '/a%5cb',
    '/a%25',
    '/a%2e',
    '/a%3b',
    '/a%23',
    '/a%3F',
    '/a%00',
    '/a%0a',
    '/a%1f',
    '/a%7f',
    '/a;b',
    '/a\\b',
    '//a',
    '/a//b',
    '/a/..',
    '/a/../b',
    '/./a',
    '/a/.',
    '/é',
    '/a b',
    '/a\tb',
    '/..',
    '/.',
    '/a\u007f',
    '/%',
    '/%2',
    '/%c0%ae',
  ])('%j is ambiguous', (path, { expect }) => {
    expect(isUnambiguous(path)).toBe(false)
  })

  test.for([
    '/',
    '/a',
    '/A',
    '/a/',
    '/.well-known/x',
    '/a..b',
    '/..a',
    '/a/...',
    '/a.',
    '/%20',
    '/%C3%A9',
    '/a+b',
    "/!$&'()*,:@=",
    '/%41',
    '/a%7e',
    '/[x]',
  ])('%j is not', (path, { expect }) => {
    expect(isUnambiguous(path)).toBe(true)
  })
})

describe('lying below the sign-in path', () => {
  test.for([
    ['/oauth2', true],
    ['/oauth2/', true],
    ['/oauth2/login', true],
    ['/OAuth2/login', true],
    ['/%6fauth2/login', true],
    ['/x/../oauth2/login', true],
    ['/x/..;/oauth2', true],
    ['//oauth2/login', true],
    ['/oauth2%2flogin', true],
    ['/oauth2%3frd=/', true],
    ['/oauth2;x/login', true],
    ['/oauth2-proxy', false],
    ['/oauth', false],
    ['/', false],
    ['/a/oauth2', false],
  ] as const)('%s: %s', ([path, expected], { expect }) => {
    expect(isUnder('/oauth2', pathReadings(path))).toBe(expected)
  })

  test('no reading is no place', () => {
    expect(isUnder('/oauth2', [])).toBe(false)
  })
})
