import { compilePathPattern } from '../../core/path-pattern.ts'
import type { PathMatcher } from './matched-requests.ts'

/**
 * Returns patterns that match only paths that the matcher matches, and all of them as far as whole segments can say;
 * `undefined` where no pattern can be written.
 */
export function patternsWithin({ path, isPrefix }: PathMatcher): readonly string[] | undefined {
  if (path.includes('*')) return undefined
  if (!isPrefix) return checked([path])
  if (path === '/' || path === '') return ['/**']
  return checked(path.endsWith('/') ? [path, `${path}*/**`] : [`${path}/**`])
}

/**
 * Returns patterns that match each path that the matcher matches, but for those that go on in the last segment of a prefix;
 * `undefined` where none can be written.
 */
export function patternsAround({ path, isPrefix }: PathMatcher): readonly string[] | undefined {
  if (path.includes('*')) return undefined
  return checked([isPrefix ? `${path.replace(/\/$/, '')}/**` : path])
}

/** Returns whether a prefix also matches paths that go on in its last segment: `/admin` matches `/admin.php`. */
export function goesOnInSegment({ path, isPrefix }: PathMatcher): boolean {
  return isPrefix && path !== '' && !path.endsWith('/')
}

function checked(patterns: readonly string[]): readonly string[] | undefined {
  try {
    for (const pattern of patterns) compilePathPattern(pattern)
    return patterns
  } catch {
    return undefined
  }
}
