import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createPatternTree } from '../../src/core/access/pattern-tree.ts'
import { FOLDINGS, type Folding } from '../../src/core/path-folding.ts'
import { compilePathPattern, withoutFinalSlash } from '../../src/core/path-pattern.ts'
import { holds } from '../support/holds.ts'
import { rows } from '../support/words.ts'

/** Whether a pattern matches a path, letter by letter or as `folding` says and without regard to a final slash. */
function matches(source: string, path: string, folding: Folding = 'exact'): boolean {
  const isExact = folding === 'exact'
  const pattern = compilePathPattern(source).fold(folding, isExact)
  const folded = FOLDINGS[folding](path)
  const compared = isExact ? folded : withoutFinalSlash(folded)
  const tree = createPatternTree(() => source)
  tree.at(pattern)
  return tree.match(compared).length > 0
}

const segment = fc.constantFrom('a', 'B', 'docs', 'x.json', 'é', '*')
const path = fc
  .array(fc.constantFrom('a', 'b', 'B', 'docs', 'x.json', 'é'), { maxLength: 5 })
  .map((segments) => `/${segments.join('/')}`)
const pattern = fc
  .tuple(fc.array(segment, { maxLength: 4 }), fc.boolean(), fc.array(segment, { maxLength: 2 }))
  .map(([head, hasGap, tail]) => `/${[...head, ...(hasGap ? ['**'] : []), ...tail].join('/')}`)

const pairs = (template: TemplateStringsArray) => (expected: boolean) =>
  rows(template)(expected).map(
    ([pair, is]) => [...pair.split('=>'), is] as [string, string, boolean],
  )

test.for([
  ...pairs`
      /=>/ /docs=>/docs /docs/=>/docs/ /docs/*=>/docs/a /*/edit=>/a/edit /public/**=>/public
      /public/**=>/public/ /public/**=>/public/a/b /**=>/ /**=>/a/b/c /**/edit=>/edit
      /**/edit=>/a/b/edit /a/**/b/*=>/a/x/y/b/z /a/**/b/*=>/a/b/z /file.(txt)+=>/file.(txt)+
      /caf\u00e9/*=>/cafe\u0301/a
    `(true),
  ...pairs`
      /=>/a /docs=>/docs/ /docs=>/docs-internal /docs=>/Docs /docs/=>/docs /docs/*=>/docs/
      /docs/*=>/docs /docs/*=>/docs/a/b /*/edit=>//edit /public/**=>/publicx
      /public/**=>/public-admin/a /public/**=>/a/public/b /**/edit=>/a/b/edit/c /a/**/b/*=>/a/b
      /a/**/a=>/a /file.txt=>/fileatxt /\uff0a=>/a
    `(false),
])('%s matches %s letter by letter: %s', ([source, path, expected]) =>
  expect(matches(source, path)).toBe(expected),
)

test.for([
  ...pairs`
      /Docs=>/docs /Docs/=>/docs /docs=>/DOCS/ /docs/*=>/docs/a/ /Public/**=>/public/a /=>/
      /docs/**=>/docs /m\u00b2/**=>/M2/a /1\u00ba-x/**=>/1O-x /cafe\u0301/**=>/CAF\u00c9
      /\uff41dmin=>/admin
    `(true),
  ...pairs`/docs=>/docsx /\uff0a\uff0a=>/a`(false),
])('%s matches %s generously: %s', ([source, path, expected]) =>
  expect(matches(source, path, 'compatible')).toBe(expected),
)

test.for([
  ['', 'starts with /'],
  ...rows`docs * https://app.example.com/docs`('starts with /'),
  ...rows`
      /%41 /a\\b /a;x /?x=1 /a#x /a//b //a /../a /./a /a/.. /..\x20 /\0 /a\nb /\uff05 /\uff3c
      /\uff1b /\uff1f /\uff03 /\uff0e\uff0e /\u2025 /\uff0f /a\u2100b
    `('decoded and plain'),
  ...rows`/docs* /*** /*.json`('whole segments'),
  ...rows`/a/**/b/** /**/**`('once'),
] as const)('%j is refused (A25): %s', ([source, reason]) => {
  expect(() => compilePathPattern(source)).toThrow(TypeError)
  expect(() => compilePathPattern(source)).toThrow(reason)
})

test('any text compiles or is a TypeError of one line, and what compiles answers for any path', () =>
  holds(500, [fc.oneof(fc.string(), pattern), fc.string()], (source, path) => {
    try {
      expect(matches(source, `/${path}`, 'compatible')).toBeTypeOf('boolean')
    } catch (error) {
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toMatch(
        /^[^\n]*(?:path pattern|whole segments|may occur once)[^\n]*$/,
      )
    }
  }))

test('a pattern without stars matches itself and nothing else', () =>
  holds(100, [path, path], (source, asked) =>
    expect(matches(source, asked)).toBe(source === asked),
  ))

test('what matches letter by letter matches generously too', () =>
  holds(1000, [pattern, path], (source, asked) => {
    if (matches(source, asked)) expect(matches(source, asked, 'caseless')).toBe(true)
  }))

test('a long path is no reason to look further than the pattern goes (A25)', () => {
  expect(matches('/**/a/a/a/b', '/a'.repeat(100_000))).toBe(false)
  expect(matches('/a/**/a/b', `${'/a'.repeat(100_000)}/b`)).toBe(true)
})
