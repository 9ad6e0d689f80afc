import { compilePathPattern } from '../../core/path-pattern.ts'
import type { PathMatcher } from './matched-requests.ts'

/**
 * Returns patterns that match only paths that the matcher matches, and all of them but for those that go on in the last segment
 * of a prefix; `undefined` where no pattern can be written.
 */
export function patternsOf({ path, isPrefix }: PathMatcher): readonly string[] | undefined {
  if (path.includes('*')) return undefined
  if (!isPrefix) return checked([path])
  if (path === '/' || path === '') return ['/**']
  return checked(path.endsWith('/') ? [path, `${path}*/**`] : [`${path}/**`])
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
