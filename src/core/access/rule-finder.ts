import type { ForwardedRequest } from '../forwarded-request.ts'
import { FOLDINGS, type Folding, isFolded } from '../path-folding.ts'
import { withoutFinalSlash } from '../path-pattern.ts'
import type { PathReadings } from '../path-readings.ts'
import { createHostKeys } from './host-keys.ts'
import {
  createRulesByPath,
  type RequestFields,
  type RuleConditions,
  type RulesByPath,
} from './rules-by-path.ts'

/** Finds rules by what a request asks for, not by who asks. */
export interface RuleFinder<Rule extends RuleConditions> {
  /** Returns the first rule that decides for each reading and comparison of the path; `undefined` where none matches. */
  readonly find: (request: ForwardedRequest) => readonly (Rule | undefined)[]
  /**
   * Returns the report rules that match before the rule that decides for some reading, each once; `undefined` where there
   * are no report rules.
   */
  readonly findReported: ((request: ForwardedRequest) => readonly Rule[]) | undefined
  /** Returns each path that is compared, with the rules found for it. */
  readonly findPerReading: (request: ForwardedRequest) => readonly ReadingMatch<Rule>[]
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

interface Comparison {
  readonly folding: Folding
  readonly countsFinalSlash: boolean
}

/** Rules in one folded form, and the comparisons that share this form. */
interface RuleTable<Rule> {
  readonly comparisons: Comparison[]
  readonly rules: RulesByPath<Rule>
}

const COMPARISONS: readonly Comparison[] = (
  ['exact', 'caseless', 'exactCompatible', 'compatible'] as const
).flatMap((folding) => [true, false].map((countsFinalSlash) => ({ folding, countsFinalSlash })))

/**
 * Matches each reading with case and without, with compatibility forms kept and folded, with its final slash and without,
 * because servers differ in each of these by itself.
 */
export function createRuleFinder<Rule extends RuleConditions>(
  rules: readonly Rule[],
): RuleFinder<Rule> {
  const tables = createTables(rules)
  const hostKeys = createHostKeys(rules.flatMap(({ hosts }) => hosts ?? []))

  function fieldsOf({ method, site, readings }: ForwardedRequest): RequestFields {
    return {
      method: method === 'HEAD' ? 'GET' : method,
      hostKeys: hostKeys(site.host),
      isAmbiguous: readings.all.length > 1,
    }
  }

  /** Finds the rules of a path that all comparisons leave as it is, as most are. */
  function findFolded(path: string, fields: RequestFields): readonly (Rule | undefined)[] {
    const found = tables.map(({ rules }) => rules.find(path, fields))
    return found.length === 1 ? found : [...new Set(found)]
  }

  function findPerReading(request: ForwardedRequest): readonly ReadingMatch<Rule>[] {
    const fields = fieldsOf(request)
    return tables.flatMap(({ rules, comparisons }) =>
      [...pathsOf(request.readings, comparisons)].map((path) => ({
        path,
        reported: rules.findReported(path, fields),
        rule: rules.find(path, fields),
      })),
    )
  }

  return {
    find(request) {
      const fields = fieldsOf(request)
      const [reading] = request.readings.all
      if (reading !== undefined && !fields.isAmbiguous && isFolded(reading)) {
        return findFolded(reading, fields)
      }
      const found = new Set<Rule | undefined>()
      for (const { rules, comparisons } of tables) {
        for (const path of pathsOf(request.readings, comparisons)) {
          found.add(rules.find(path, fields))
        }
      }
      return [...found]
    },
    findReported: rules.some(({ isReport }) => isReport)
      ? (request) => [...new Set(findPerReading(request).flatMap(({ reported }) => reported))]
      : undefined,
    findPerReading,
  }
}

function createTables<Rule extends RuleConditions>(
  rules: readonly Rule[],
): readonly RuleTable<Rule>[] {
  const tables = new Map<string, RuleTable<Rule>>()
  for (const comparison of COMPARISONS) {
    const { folding, countsFinalSlash } = comparison
    const patterns = rules.map((rule) =>
      rule.paths?.map((path) => path.fold(folding, countsFinalSlash)),
    )
    tables
      .getOrInsertComputed(JSON.stringify(patterns), () => ({
        comparisons: [],
        rules: createRulesByPath(rules, patterns),
      }))
      .comparisons.push(comparison)
  }
  return [...tables.values()]
}

/** Foldings that make patterns comparable with the readings of servers that fold compatibility forms. */
const FOLDS_COMPATIBLE: Readonly<Record<Folding, boolean>> = {
  exact: false,
  caseless: false,
  exactCompatible: true,
  compatible: true,
}

function pathsOf(
  { all, asWritten }: PathReadings,
  comparisons: readonly Comparison[],
): ReadonlySet<string> {
  const paths = new Set<string>()
  for (const { folding, countsFinalSlash } of comparisons) {
    for (const reading of FOLDS_COMPATIBLE[folding] ? all : asWritten) {
      const folded = FOLDINGS[folding](reading)
      paths.add(countsFinalSlash ? folded : withoutFinalSlash(folded))
    }
  }
  return paths
}
