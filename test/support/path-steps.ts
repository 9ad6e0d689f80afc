import { createAccessFinder } from '../../src/core/access/access-finder.ts'
import { type AccessRule } from '../../src/core/access/access-rule.ts'
import type { ForwardedRequest } from '../../src/core/forwarded-request.ts'
import { compilePathPattern, type PathPattern } from '../../src/core/path-pattern.ts'
import { isUnder, readPath } from '../../src/core/path-readings.ts'
import { createSite } from '../../src/core/site.ts'

/** The cost of a path to a check before anything is known of its sender, counted and not timed. */
export interface PathSteps {
  /** Characters of the path and of every reading that was made of it. */
  readonly characters: number
  readonly comparisons: number
}

const site = createSite('https', 'app.example.com', '')

/** Counts what paths cost beside one rule for each of these patterns. */
export function createStepCounter(patterns: readonly string[]): (path: string) => PathSteps {
  let comparisons = 0
  const counted = (source: string): PathPattern => ({
    source,
    fold: (...how) => {
      const { head, tail } = compilePathPattern(source).fold(...how)
      return {
        get head() {
          comparisons++
          return head
        },
        tail,
      }
    },
  })
  const findAccess = createAccessFinder(
    patterns.map(
      (source, index): AccessRule => ({
        name: String(index + 1),
        paths: [counted(source)],
        access: 'signed-in',
        passesPreflight: false,
      }),
    ),
  )
  return (path) => {
    comparisons = 0
    const readings = readPath(path)
    isUnder('/oauth2', readings.all)
    const url = site.origin + path
    const request: ForwardedRequest = {
      method: 'GET',
      site,
      uri: path,
      path,
      readings,
      url,
      isWebSocketScheme: false,
    }
    if (!readings.fault) findAccess(request)
    const { all, asWritten } = readings
    const made = asWritten === all ? all : [...all, ...asWritten]
    return { characters: path.length + made.join('').length, comparisons }
  }
}
