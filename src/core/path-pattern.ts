import { FOLDINGS, type Folding } from './path-folding.ts'

/** Segments of a pattern: literal ones, and `undefined` for `*`. */
type Segments = readonly (string | undefined)[]

/** Folded pattern: `head`, and `tail` where a `**` separates the two. */
export interface SegmentPattern {
  readonly head: Segments
  readonly tail: Segments | undefined
}

/** Pattern as configured, and its form for each comparison. */
export interface PathPattern {
  readonly source: string
  /** Returns the form for a folding, with the final slash significant or ignored. */
  fold(folding: Folding, countsFinalSlash: boolean): SegmentPattern
}

/**
 * Compiles `/docs/*` (one segment) or `/public/**` (the path itself and all below it). Whole segments only, no
 * regular expressions, so no request can make matching slow (threat A25). Throws a plain `TypeError` for other forms.
 */
export function compilePathPattern(source: string): PathPattern {
  refuseOtherForms(source)
  return {
    source,
    fold(folding, countsFinalSlash) {
      const written = splitSegments(countsFinalSlash ? source : withoutFinalSlash(source))
      const segments = written.map((segment) =>
        segment === '*' ? undefined : FOLDINGS[folding](segment),
      )
      const gap = written.indexOf('**')
      if (gap === -1) return { head: segments, tail: undefined }
      return { head: segments.slice(0, gap), tail: segments.slice(gap + 1) }
    },
  }
}

function refuseOtherForms(source: string): void {
  if (!source.startsWith('/')) throw new TypeError('a path pattern starts with /')
  const segments = splitSegments(source)
  const compatible = source.normalize('NFKC')
  // Checks the NFKC form too, because full-width letters and the like become these characters in it.
  const isUnreachable = [source, compatible].some(
    (text) => /[%\\;?#\p{Cc}]|\/\//u.test(text) || splitSegments(text).some(isDotSegment),
  )
  if (isUnreachable || splitSegments(compatible).length !== segments.length) {
    throw new TypeError(
      'a path pattern is written decoded and plain: no %, \\, ;, ?, #, //, control character or dot segment, and no letter that stands for one',
    )
  }
  if (segments.some((segment) => segment.includes('*') && segment !== '*' && segment !== '**')) {
    throw new TypeError('* and ** stand for whole segments: /files/*, /public/**')
  }
  if (segments.filter((segment) => segment === '**').length > 1) {
    throw new TypeError('** may occur once in a pattern')
  }
}

function isDotSegment(segment: string): boolean {
  return /^\s*\.{1,2}(?:\s[\s.]*)?$/.test(segment)
}

/**
 * Returns whether a path matches. Compares segment by segment in the path itself and looks at no more segments than the
 * pattern has, to bound the work on long paths (finding C4).
 */
export function matchesPath({ head, tail }: SegmentPattern, reading: string): boolean {
  // A path without its final slash may be empty, and has one empty segment then as `/` has.
  const path = reading === '' ? '/' : reading
  const last = (tail ?? head).at(-1)
  // Most patterns end in another name, which shows without a walk over the segments (finding C4).
  if (last !== undefined && !path.endsWith(last)) return false
  const end = endOfHead(head, path)
  if (end === -1) return false
  return tail === undefined ? end === path.length : endsWith(tail, path, end)
}

/** Returns the end of the segments that match the head from the start; -1 where they do not. */
function endOfHead(head: Segments, path: string): number {
  let at = 0
  for (const wanted of head) {
    if (at === path.length) return -1
    const slash = path.indexOf('/', at + 1)
    const end = slash === -1 ? path.length : slash
    if (!isSegment(wanted, path, at + 1, end)) return -1
    at = end
  }
  return at
}

/** Returns whether the last segments match the tail, none of them before `start`. */
function endsWith(tail: Segments, path: string, start: number): boolean {
  let end = path.length
  for (let index = tail.length - 1; index >= 0; index--) {
    const slash = path.lastIndexOf('/', end - 1)
    if (slash < start || !isSegment(tail[index], path, slash + 1, end)) return false
    end = slash
  }
  return true
}

function isSegment(wanted: string | undefined, path: string, from: number, to: number): boolean {
  if (wanted === undefined) return to > from
  return wanted.length === to - from && path.startsWith(wanted, from)
}

export function withoutFinalSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

function splitSegments(path: string): string[] {
  return path.slice(1).split('/')
}
