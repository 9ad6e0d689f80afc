/** Patterns of paths that match no more than a regular expression does. */
export interface PathPatterns {
  readonly paths: readonly string[]
  /** Whether they match as much as the expression, but for other spellings of a path. */
  readonly isExact: boolean
}

/**
 * Translates a regular expression over paths. Returns `undefined` where it is not known to mean whole paths, or folders with
 * what is below them, because a pattern must never open more.
 */
export function translatePathRegex(source: string): PathPatterns | undefined {
  const isAnchored = source.startsWith('^')
  const alternatives = expand(source.replace(/^\^/, ''))
  const found = alternatives?.map(translateOne)
  if (!found || found.some((each) => each === undefined)) return undefined
  const known = found.filter((each) => each !== undefined)
  return {
    paths: [...new Set(known.flatMap(({ paths }) => paths))],
    isExact: isAnchored && known.every((each) => each.isExact),
  }
}

/** Characters that need no escape, and those that stand for themselves behind a backslash. */
const LITERAL = /^(?:\/(?:[\w~@!&',-]|\\[.\-_/+])*)+$/
const LOOSE_LITERAL = /^(?:\/(?:[\w~@!&',.-]|\\[.\-_/+])*)+$/

/** Ends of an expression, each with what it means for the path before it. */
const ENDS: readonly (readonly [
  end: RegExp,
  paths: (path: string) => readonly string[],
  isExact: boolean,
])[] = [
  [/\(\?:\/\.\*\)\?\$$|\(\/\.\*\)\?\$$|\(\?:\/\|\$\)$|\(\/\|\$\)$/, (path) => [`${path}/**`], true],
  [/\/\?\$$/, (path) => [path, `${path}/`], true],
  [/\/\.\*\$?$|\/$/, (path) => [`${path}/*/**`], true],
  [/\/\.\+\$?$/, (path) => [`${path}/*/**`], true],
  [/\/\[\^\/\]\+\$$/, (path) => [`${path}/*`], true],
  [/\$$/, (path) => [path], true],
  [/\.\*$|$/, (path) => [`${path}/**`], false],
]

function translateOne(source: string): PathPatterns | undefined {
  for (const [end, paths, isExact] of ENDS) {
    if (!end.test(source)) continue
    const path = source.replace(end, '')
    if (!LOOSE_LITERAL.test(path) || /\/\/|\/\.{1,2}(?:\/|$)/.test(path.replaceAll('\\', '')))
      return undefined
    const plain = path.replaceAll(/\\(.)/g, '$1')
    // A dot without a backslash matches any character, of which the pattern has the dot alone.
    return { paths: paths(plain), isExact: isExact && LITERAL.test(path) }
  }
  return undefined
}

const MAX_ALTERNATIVES = 50

/** Writes `^/(a|b)$` as `/a$` and `/b$`; `undefined` where there is more than one plain group. */
function expand(source: string): readonly string[] | undefined {
  const [, before = '', inside, after = ''] =
    /^([^()]*)\((?:\?:)?([\w./|-]+)\)([^?*+{].*|)$/s.exec(source) ?? []
  if (inside === undefined || inside === '/|$')
    return source.includes('|') && !source.endsWith('(/|$)') ? undefined : [source]
  const alternatives = inside.split('|').map((each) => `${before}${each}${after}`)
  return alternatives.length > MAX_ALTERNATIVES ? undefined : alternatives
}
