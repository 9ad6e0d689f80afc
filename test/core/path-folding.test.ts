import { expect, test } from 'vitest'
import { FOLDINGS, isFolded } from '../../src/core/path-folding.ts'

test.for([
  ['/Docs/a', '/Docs/a', '/docs/a', '/docs/a'],
  ['/CAFE\u0301', '/CAF\u00c9', '/caf\u00e9', '/caf\u00e9'],
  ['/M\u00b2', '/M\u00b2', '/m\u00b2', '/m2'],
  ['/1\u00ba-x', '/1\u00ba-x', '/1\u00ba-x', '/1o-x'],
  ['/\uff21dmin', '/\uff21dmin', '/\uff41dmin', '/admin'],
  ['/adm\u0131n', '/adm\u0131n', '/admin', '/admin'],
  ['/ADM\u0130N', '/ADM\u0130N', '/admin', '/admin'],
  ['/\u212a', '/K', '/k', '/k'],
] as const)('%s is folded', ([text, exact, caseless, compatible]) => {
  expect(FOLDINGS.exact(text)).toBe(exact)
  expect(FOLDINGS.caseless(text)).toBe(caseless)
  expect(FOLDINGS.compatible(text)).toBe(compatible)
})

test.for([
  ['/', true],
  ['/a.b_c/d', true],
  ['/a/', false],
  ['/A', false],
  ['/\u00e9', false],
] as const)('%s looks the same to every comparison: %s', ([path, expected]) => {
  expect(isFolded(path)).toBe(expected)
})
