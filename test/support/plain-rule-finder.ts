import type { RuleConditions } from '../../src/core/access/rules-by-path.ts'
import type { ForwardedRequest } from '../../src/core/forwarded-request.ts'
import { FOLDINGS } from '../../src/core/path-folding.ts'
import { type SegmentPattern, withoutFinalSlash } from '../../src/core/path-pattern.ts'
import { matchesHost, parseHost } from '../../src/core/site.ts'

const WAYS = (['exact', 'caseless', 'exactCompatible', 'compatible'] as const).flatMap((folding) =>
  [true, false].map((countsFinalSlash) => ({ folding, countsFinalSlash })),
)

/** Rules found for one path as compared. */
export interface PlainMatch<Rule> {
  readonly path: string
  readonly rule: Rule | undefined
  readonly reported: readonly Rule[]
}

/** Finds rules the slow and plain way: every rule in its order, for each reading in each comparison. */
export function findPlainly<Rule extends RuleConditions>(
  rules: readonly Rule[],
  request: ForwardedRequest,
): readonly PlainMatch<Rule>[] {
  const { all, asWritten } = request.readings
  return WAYS.flatMap(({ folding, countsFinalSlash }) =>
    (folding.endsWith('ompatible') ? all : asWritten).map((reading) => {
      const folded = FOLDINGS[folding](reading)
      const path = countsFinalSlash ? folded : withoutFinalSlash(folded)
      const matching = rules.filter(
        (rule) =>
          takes(rule, request) &&
          (!rule.paths ||
            rule.paths.some((each) => matchesPlainly(each.fold(folding, countsFinalSlash), path))),
      )
      const at = matching.findIndex(({ isReport }) => !isReport)
      return { path, rule: matching[at], reported: at === -1 ? matching : matching.slice(0, at) }
    }),
  )
}

function takes({ access, methods, hosts }: RuleConditions, request: ForwardedRequest): boolean {
  const isAmbiguous = request.readings.all.length > 1
  if (isAmbiguous && (access === 'public' || access === 'optional')) return false
  if (methods && !methods.has(request.method === 'HEAD' ? 'GET' : request.method)) return false
  const host = parseHost(request.site.host)
  if (!host) throw new Error(`${request.site.host} is no host`)
  return !hosts || hosts.some((pattern) => matchesHost(pattern, host.hostname, host.port))
}

/** Compares whole segments, side by side. */
export function matchesPlainly({ head, tail }: SegmentPattern, asked: string): boolean {
  const segments = asked.slice(1).split('/')
  if (tail === undefined ? segments.length !== head.length : segments.length < head.length) {
    return false
  }
  const rest = segments.slice(head.length)
  const last = rest.slice(Math.max(0, rest.length - (tail?.length ?? 0)))
  const fits = (wanted: string | undefined, given = '') =>
    wanted === undefined ? given !== '' : wanted === given
  return (
    head.every((each, index) => fits(each, segments[index])) &&
    last.length === (tail?.length ?? 0) &&
    last.every((each, index) => fits(tail?.[index], each))
  )
}
