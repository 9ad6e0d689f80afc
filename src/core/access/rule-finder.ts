import type { ForwardedRequest } from '../forwarded-request.ts'
import { FOLDINGS, type Folding, isFolded } from '../path-folding.ts'
import {
  matchesPath,
  type PathPattern,
  type SegmentPattern,
  withoutFinalSlash,
} from '../path-pattern.ts'
import type { PathReadings } from '../path-readings.ts'
import { type HostPattern, matchesHost, parseHost } from '../site.ts'

/** Conditions of a rule; an absent one matches everything. */
export interface RuleConditions {
  readonly hosts?: readonly HostPattern[]
  readonly paths?: readonly PathPattern[]
  readonly methods?: ReadonlySet<string>
  /** `public` and `optional` rules match no ambiguous path. */
  readonly access: 'public' | 'optional' | 'signed-in' | 'deny'
  /** Only counts and logs whom the rule would refuse; the next rule that matches decides. */
  readonly isReport?: boolean
}

/** Finds rules by what a request asks for, not by who asks. */
export interface RuleFinder<Rule extends RuleConditions> {
  /** Returns the first rule that decides for each reading and comparison of the path; `undefined` where none matches. */
  find(request: ForwardedRequest): readonly (Rule | undefined)[]
  /** Returns the report rules that match before the rule that decides for some reading, each once. */
  findReported(request: ForwardedRequest): readonly Rule[]
  /** Returns each path that is compared, with the rules found for it. */
  findPerReading(request: ForwardedRequest): readonly ReadingMatch<Rule>[]
}

/** Rules found for one reading of the path in one comparison. */
export interface ReadingMatch<Rule extends RuleConditions> {
  /** Path as compared: folded, with its final slash or without. */
  readonly path: string
  /** Report rules that match before the rule that decides. */
  readonly reported: readonly Rule[]
  /** First rule that decides; `undefined` where none matches. */
  readonly rule: Rule | undefined
}

/** Patterns of each rule in one folded form, and the comparisons that share this form. */
interface RuleTable {
  readonly comparisons: Comparison[]
  readonly patterns: readonly (readonly SegmentPattern[] | undefined)[]
}

interface Comparison {
  readonly folding: Folding
  readonly countsFinalSlash: boolean
}

const COMPARISONS: readonly Comparison[] = (['exact', 'caseless', 'compatible'] as const).flatMap(
  (folding) => [true, false].map((countsFinalSlash) => ({ folding, countsFinalSlash })),
)

/**
 * Matches each reading exactly, case-insensitively and with compatibility forms folded, each with its final slash and
 * without, because servers differ in all of these.
 */
export function createRuleFinder<Rule extends RuleConditions>(
  rules: readonly Rule[],
): RuleFinder<Rule> {
  const tables = createTables(rules)
  const namesHosts = rules.some(({ hosts }) => hosts !== undefined)
  const hasReports = rules.some(({ isReport }) => isReport)

  function find(table: RuleTable, path: string, request: RequestFields): Rule | undefined {
    return rules.find((rule, index) => !rule.isReport && matches(table, path, request, index))
  }

  function matches(table: RuleTable, path: string, request: RequestFields, index: number) {
    return applies(rules[index] as Rule, request) && matchesAny(table.patterns[index], path)
  }

  function fieldsOf(request: ForwardedRequest): RequestFields {
    return {
      method: request.method === 'HEAD' ? 'GET' : request.method,
      host: namesHosts ? parseHost(request.site.host) : undefined,
      isAmbiguous: request.readings.all.length > 1,
    }
  }

  function findPerReading(request: ForwardedRequest): readonly ReadingMatch<Rule>[] {
    const fields = fieldsOf(request)
    return tables.flatMap((table) =>
      [...pathsOf(request.readings, table.comparisons)].map((path) => {
        const rule = find(table, path, fields)
        const end = rule ? rules.indexOf(rule) : rules.length
        const reported = rules
          .slice(0, end)
          .filter((each, index) => each.isReport && matches(table, path, fields, index))
        return { path, reported, rule }
      }),
    )
  }

  return {
    find(request) {
      const fields = fieldsOf(request)
      const [reading] = request.readings.all
      const [only] = tables
      if (
        reading !== undefined &&
        !fields.isAmbiguous &&
        tables.length === 1 &&
        isFolded(reading)
      ) {
        return [find(only as RuleTable, reading, fields)]
      }
      const found = new Set<Rule | undefined>()
      for (const table of tables) {
        for (const path of pathsOf(request.readings, table.comparisons)) {
          found.add(find(table, path, fields))
        }
      }
      return [...found]
    },
    findReported: (request) =>
      hasReports ? [...new Set(findPerReading(request).flatMap(({ reported }) => reported))] : [],
    findPerReading,
  }
}

/** Request fields that rules match besides the path, computed once. */
interface RequestFields {
  readonly method: string
  readonly host: ReturnType<typeof parseHost>
  /** True for a path with several readings, which no public or optional rule matches. */
  readonly isAmbiguous: boolean
}

function matchesAny(patterns: readonly SegmentPattern[] | undefined, path: string): boolean {
  if (!patterns) return true
  for (const pattern of patterns) if (matchesPath(pattern, path)) return true
  return false
}

function applies(rule: RuleConditions, { method, host, isAmbiguous }: RequestFields): boolean {
  if (isAmbiguous && (rule.access === 'public' || rule.access === 'optional')) return false
  if (rule.methods && !rule.methods.has(method)) return false
  return (
    !rule.hosts ||
    (host !== undefined &&
      rule.hosts.some((pattern) => matchesHost(pattern, host.hostname, host.port)))
  )
}

function createTables(rules: readonly RuleConditions[]): readonly RuleTable[] {
  const tables = new Map<string, RuleTable>()
  for (const comparison of COMPARISONS) {
    const { folding, countsFinalSlash } = comparison
    const patterns = rules.map((rule) =>
      rule.paths?.map((path) => path.fold(folding, countsFinalSlash)),
    )
    tables
      .getOrInsertComputed(JSON.stringify(patterns), () => ({ comparisons: [], patterns }))
      .comparisons.push(comparison)
  }
  return [...tables.values()]
}

function pathsOf(
  { all, asWritten }: PathReadings,
  comparisons: readonly Comparison[],
): ReadonlySet<string> {
  const paths = new Set<string>()
  for (const { folding, countsFinalSlash } of comparisons) {
    for (const reading of folding === 'compatible' ? all : asWritten) {
      const folded = FOLDINGS[folding](reading)
      paths.add(countsFinalSlash ? folded : withoutFinalSlash(folded))
    }
  }
  return paths
}
