/** Matches a path letter by letter, or generously: in lower case and without regard to a final slash. */
export interface PathPattern {
  /** As it was written. */
  readonly source: string
  matches(path: string, generously: boolean): boolean
}

/**
 * Compiles `/docs/*` (one segment) or `/public/**` (the path itself and all below it). Whole segments only, no
 * regular expressions, so no request can make matching slow (threat A25). Throws a plain `TypeError` for other forms.
 */
export function compilePathPattern(source: string): PathPattern {
  if (!/^\/[^?#]*$/.test(source)) {
    throw new TypeError('a path pattern starts with / and has no query')
  }
  const segments = splitPath(source)
  if (segments.some((segment) => segment.includes('*') && segment !== '*' && segment !== '**')) {
    throw new TypeError('* and ** stand for whole segments: /files/*, /public/**')
  }
  if (segments.filter((segment) => segment === '**').length > 1) {
    throw new TypeError('** may occur once in a pattern')
  }
  const matchesExactly = createMatcher(segments)
  const matchesFolded = createMatcher(splitPath(withoutSlash(source.toLowerCase())))
  const start = withoutSlash(source.slice(0, source.indexOf('*') >>> 0))
  const foldedStart = start.toLowerCase()
  return {
    source,
    matches: (path, generously) =>
      generously
        ? path.startsWith(foldedStart) && matchesFolded(withoutSlash(path))
        : path.startsWith(start) && matchesExactly(path),
  }
}

/** Splits a path no further than it has to: it may be long, and there may be many patterns. */
function createMatcher(pattern: readonly string[]): (path: string) => boolean {
  const gap = pattern.indexOf('**')
  if (gap === -1) {
    return (path) => {
      const segments = splitPath(path, pattern.length + 1)
      return segments.length === pattern.length && startsWith(pattern, segments)
    }
  }
  const head = pattern.slice(0, gap)
  const tail = pattern.slice(gap + 1)
  return (path) => {
    if (!startsWith(head, splitPath(path, head.length))) return false
    if (tail.length === 0) return true
    const segments = splitPath(path)
    const isLongEnough = segments.length >= head.length + tail.length
    return isLongEnough && startsWith(tail, segments.slice(-tail.length))
  }
}

function splitPath(path: string, limit?: number): string[] {
  return path.slice(1).split('/', limit)
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

function startsWith(pattern: readonly string[], path: readonly string[]): boolean {
  return pattern.every((segment, index) =>
    segment === '*' ? Boolean(path[index]) : segment === path[index],
  )
}
