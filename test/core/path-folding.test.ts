import { expect, test } from 'vitest'
import { FOLDINGS, isFolded } from '../../src/core/path-folding.ts'
import { rows, words } from '../support/words.ts'

test.for(
  words`
    /Docs/a=>/Docs/a=>/docs/a=>/docs/a /CAFE\u0301=>/CAF\u00c9=>/caf\u00e9=>/caf\u00e9
    /M\u00b2=>/M\u00b2=>/m\u00b2=>/m2 /1\u00ba-x=>/1\u00ba-x=>/1\u00ba-x=>/1o-x
    /\uff21dmin=>/\uff21dmin=>/\uff41dmin=>/admin /adm\u0131n=>/adm\u0131n=>/admin=>/admin
    /ADM\u0130N=>/ADM\u0130N=>/admin=>/admin /\u212a=>/K=>/k=>/k
  `.map((forms) => forms.split('=>')),
)('%s is folded', ([text = '', ...folded]) => {
  const { exact, caseless, compatible } = FOLDINGS
  expect([exact, caseless, compatible].map((fold) => fold(text))).toEqual(folded)
})

test.for([['/', true], ['/a.b_c/d', true], ...rows`/a/ /A /é`(false)] as const)(
  '%s looks the same to every comparison: %s',
  ([path, expected]) => expect(isFolded(path)).toBe(expected),
)
