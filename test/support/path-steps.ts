import { vi } from 'vitest'
import { createAccessFinder } from '../../src/core/access/access-finder.ts'
import { type AccessRule } from '../../src/core/access/access-rule.ts'
import type { ForwardedRequest } from '../../src/core/forwarded-request.ts'
import { compilePathPattern } from '../../src/core/path-pattern.ts'
import { isUnder, readPath } from '../../src/core/path-readings.ts'
import { createSite } from '../../src/core/site.ts'

/** The cost of a path to a check before anything is known of its sender, counted and not timed. */
export interface PathSteps {
  /** Characters of the path and of every reading that was made of it. */
  readonly characters: number
  /** Look-ups in maps and sets, by which segments are compared with those of all patterns at once. */
  readonly lookups: number
}

const site = createSite('https', 'app.example.com', '')

/** Counts what paths cost beside one rule for each of these patterns. */
export function createStepCounter(patterns: readonly string[]): (path: string) => PathSteps {
  const findAccess = createAccessFinder(
    patterns.map(
      (source, index): AccessRule => ({
        name: String(index + 1),
        paths: [compilePathPattern(source)],
        access: 'signed-in',
        passesPreflight: false,
      }),
    ),
  )
  return (path) => {
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
    const lookups = readings.fault ? 0 : countLookups(() => findAccess(request))
    const { all, asWritten } = readings
    const made = asWritten === all ? all : [...all, ...asWritten]
    return { characters: path.length + made.join('').length, lookups }
  }
}

/** Counts the look-ups of a function in any map or set. */
function countLookups(run: () => unknown): number {
  const spies = [
    vi.spyOn(Map.prototype, 'get'),
    vi.spyOn(Map.prototype, 'has'),
    vi.spyOn(Set.prototype, 'has'),
  ]
  try {
    run()
    return spies.reduce((sum, { mock }) => sum + mock.calls.length, 0)
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}
