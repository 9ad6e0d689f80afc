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
  const folded = splitPath(source.toLowerCase().replace(/\/$/, ''))
  const start = source.slice(0, source.indexOf('*') >>> 0).replace(/\/$/, '')
  const foldedStart = start.toLowerCase()
  return {
    source,
    matches: (path, generously) =>
      generously
        ? path.startsWith(foldedStart) && matchSegments(folded, splitPath(path.replace(/\/$/, '')))
        : path.startsWith(start) && matchSegments(segments, splitPath(path)),
  }
}

function splitPath(path: string): string[] {
  return path.slice(1).split('/')
}

function matchSegments(pattern: readonly string[], path: readonly string[]): boolean {
  const gap = pattern.indexOf('**')
  if (gap === -1) return path.length === pattern.length && startsWith(pattern, path)
  const head = pattern.slice(0, gap)
  const tail = pattern.slice(gap + 1)
  if (path.length < head.length + tail.length) return false
  return startsWith(head, path) && startsWith(tail, path.slice(path.length - tail.length))
}

function startsWith(pattern: readonly string[], path: readonly string[]): boolean {
  return pattern.every((segment, index) =>
    segment === '*' ? Boolean(path[index]) : segment === path[index],
  )
}
