import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compilePathPattern } from '../../src/core/path-pattern.ts'

const segment = fc.constantFrom('a', 'B', 'docs', 'x.json', '%2e', '', '*')
const path = fc
  .array(fc.constantFrom('a', 'b', 'B', 'docs', 'x.json', '%2e', ''), { maxLength: 5 })
  .map((segments) => `/${segments.join('/')}`)
const pattern = fc
  .tuple(fc.array(segment, { maxLength: 4 }), fc.boolean(), fc.array(segment, { maxLength: 2 }))
  .map(([head, hasGap, tail]) => `/${[...head, ...(hasGap ? ['**'] : []), ...tail].join('/')}`)

describe('path patterns', () => {
  test.for([
    ['/', '/', true],
    ['/', '/a', false],
    ['/docs', '/docs', true],
    ['/docs', '/docs/', false],
    ['/docs', '/docs-internal', false],
    ['/docs', '/Docs', false],
    ['/docs/', '/docs/', true],
    ['/docs/', '/docs', false],
    ['/docs/*', '/docs/a', true],
    ['/docs/*', '/docs/', false],
    ['/docs/*', '/docs', false],
    ['/docs/*', '/docs/a/b', false],
    ['/*/edit', '/a/edit', true],
    ['/*/edit', '//edit', false],
    ['/public/**', '/public', true],
    ['/public/**', '/public/', true],
    ['/public/**', '/public/a/b', true],
    ['/public/**', '/publicx', false],
    ['/public/**', '/public-admin/a', false],
    ['/public/**', '/a/public/b', false],
    ['/**', '/', true],
    ['/**', '/a/b/c', true],
    ['/**/edit', '/edit', true],
    ['/**/edit', '/a/b/edit', true],
    ['/**/edit', '/a/b/edit/c', false],
    ['/a/**/b/*', '/a/x/y/b/z', true],
    ['/a/**/b/*', '/a/b/z', true],
    ['/a/**/b/*', '/a/b', false],
    ['/a/**/a', '/a', false],
    ['/file.(txt)+', '/file.(txt)+', true],
    ['/file.txt', '/fileatxt', false],
  ] as const)('%s matches %s letter by letter: %s', ([source, path, expected], { expect }) => {
    expect(compilePathPattern(source).matches(path, false)).toBe(expected)
  })

  test.for([
    ['/Docs', '/docs', true],
    ['/Docs/', '/docs', true],
    ['/docs', '/docs/', true],
    ['/docs/*', '/docs/a/', true],
    ['/Public/**', '/public/a', true],
    ['/', '/', true],
    ['/docs', '/docsx', false],
    ['/docs/**', '/docs', true],
  ] as const)('%s matches the folded %s generously: %s', ([source, path, expected], { expect }) => {
    expect(compilePathPattern(source).matches(path, true)).toBe(expected)
  })

  test.for([
    ['docs', 'starts with /'],
    ['', 'starts with /'],
    ['*', 'starts with /'],
    ['https://app.example.com/docs', 'starts with /'],
    ['/docs?x=1', 'no query'],
    ['/docs#x', 'no query'],
    ['/docs*', 'whole segments'],
    ['/***', 'whole segments'],
    ['/*.json', 'whole segments'],
    ['/a/**/b/**', 'once'],
    ['/**/**', 'once'],
  ] as const)('%j is refused: %s', ([source, reason], { expect }) => {
    expect(() => compilePathPattern(source)).toThrow(TypeError)
    expect(() => compilePathPattern(source)).toThrow(reason)
  })

  test('any text compiles or is a TypeError, and what compiles answers for any path', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), pattern),
        fc.string(),
        fc.boolean(),
        (source, path, how) => {
          try {
            expect(compilePathPattern(source).matches(`/${path}`, how)).toBeTypeOf('boolean')
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError)
            expect((error as Error).message).toMatch(/path pattern|whole segments|may occur once/)
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  test('a pattern without stars matches itself and nothing else', () => {
    fc.assert(
      fc.property(path, path, (source, asked) => {
        expect(compilePathPattern(source).matches(asked, false)).toBe(source === asked)
      }),
    )
  })

  test('what matches letter by letter matches generously too', () => {
    fc.assert(
      fc.property(pattern, path, (source, asked) => {
        fc.pre(!source.includes('//'))
        const compiled = compilePathPattern(source)
        if (compiled.matches(asked, false)) {
          expect(compiled.matches(asked.toLowerCase(), true)).toBe(true)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('a path of a hundred thousand segments is matched at once (A25)', () => {
    const long = '/a'.repeat(100_000)
    const compiled = compilePathPattern('/**/a/a/a/b')
    const startedAtMs = performance.now()
    expect(compiled.matches(long, true)).toBe(false)
    expect(performance.now() - startedAtMs).toBeLessThan(250)
  })
})
