import { expect, test } from 'vitest'
import { isCompactJws } from '../../src/core/compact-jws.ts'
import { rows } from '../support/words.ts'

test.for([
  ...rows`a.b.c aA0-_.bB1.cC2`(true),
  ...rows`a a.b a.b.c.d .b.c a..c a.b. a.b.c= a.b+.c \x20a.b.c a.b.c\n "a.b.c"`(false),
  ['', false],
] as const)('%j has the form of a signed JWT: %s', ([text, expected]) =>
  expect(isCompactJws(text)).toBe(expected),
)
