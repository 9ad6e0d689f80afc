/**
 * Returns the candidate that a name misses by a letter or two or by its underscores, or of which it lacks the last word;
 * `undefined` without one.
 */
export function nearName(name: string, candidates: readonly string[]): string | undefined {
  const alike = candidates.filter(({ length }) => Math.abs(length - name.length) <= 2)
  const isNear = (edits: number) => (candidate: string) => isWithin(name, candidate, edits)
  const long = alike.filter((each) => each.length > SHORT && !isOtherWord(name, each))
  return (
    alike.find(isNear(1)) ??
    long.find(isNear(2)) ??
    candidates.find((each) => joined(each) === joined(name)) ??
    unfinished(name, candidates)
  )
}

/** Length up to which two letters are too many: `HOME` is not `HOST`. */
const SHORT = 5
/** Length up to which two letters make another word: `REDIS_TTL` is not `REDIS_URL`. */
const SHORT_WORD = 3

/** Returns whether the names differ in one word alone, which is short in both. */
function isOtherWord(name: string, candidate: string): boolean {
  const words = name.split('_')
  const others = candidate.split('_')
  const different = [...others.keys()].filter((at) => words[at] !== others[at])
  if (words.length !== others.length || different.length > 1) return false
  return different.every((at) =>
    [words[at], others[at]].every((word = '') => word.length <= SHORT_WORD),
  )
}

function joined(name: string): string {
  return name.replaceAll('_', '')
}

/** Returns the only candidate that begins with this name of several words and goes on: `OIDC_ISSUER`. */
function unfinished(name: string, candidates: readonly string[]): string | undefined {
  const [first = '', ...others] = candidates.filter((each) => each.startsWith(`${name}_`))
  const isOnly = others.every((each) => each === `${first}_FILE`)
  return name.includes('_') && first !== '' && isOnly ? first : undefined
}

/** Returns whether so many letters added, left out, replaced or swapped with the next make one name the other. */
function isWithin(one: string, other: string, edits: number): boolean {
  let same = 0
  while (same < one.length && one[same] === other[same]) same += 1
  const [left, right] = [one.slice(same), other.slice(same)]
  if (left === right) return true
  if (Math.abs(left.length - right.length) > edits || edits === 0) return false
  const isSwapped = left[0] === right[1] && left[1] === right[0]
  const [leftRest, rightRest] = [left.slice(1), right.slice(1)]
  const ways = [
    [leftRest, right],
    [left, rightRest],
    [leftRest, rightRest],
    ...(isSwapped ? [[left.slice(2), right.slice(2)] as const] : []),
  ] as const
  return ways.some((rests) => isWithin(...rests, edits - 1))
}
