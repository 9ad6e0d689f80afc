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

export function withoutFinalSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

function splitSegments(path: string): string[] {
  return path.slice(1).split('/')
}
