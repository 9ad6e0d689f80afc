import fc from 'fast-check'
import { words } from './words.ts'

/** Units that are repeated until a path has the wanted length; all but the first are meant to cost more than it. */
export const pathUnits = words`
  a a- a/ A/ / .../ ..x/ ;/ ;a ;%20/ \\ % %2 %zz %20 %20/ %2541 %25252f %252525 %c0%af %80 %c3%a9
  %c3%89/ %cc%81 %cc%a3%cc%81a %e1%84%80 %ef%b7%ba %ef%bc%8f %u0041 %09 a%00/ %3f -.~_
  A/%2fB;x%252f%3f%09\\
`

/** A path of exactly this length; it begins below no rule's name. */
export function longPath(unit: string, lengthCharacters: number, end = ''): string {
  return `/b${unit.repeat(lengthCharacters)}`.slice(0, lengthCharacters - end.length) + end
}

export function longPaths(lengthCharacters: number): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.array(fc.constantFrom(...pathUnits), { minLength: 1, maxLength: 6 }),
      fc.constantFrom('', '!', '/', '%2f', '%', '/end1', '%c3%a9'),
    )
    .map(([units, end]) => longPath(units.join(''), lengthCharacters, end))
}
