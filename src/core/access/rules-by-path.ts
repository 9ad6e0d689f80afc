import type { PathPattern, SegmentPattern } from '../path-pattern.ts'
import type { HostPattern } from '../site.ts'
import { EVERY_HOST, hostKeysOf } from './host-keys.ts'
import { createPatternTree } from './pattern-tree.ts'

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

/** Request fields that rules match besides the path, computed once. */
export interface RequestFields {
  readonly method: string
  /** Keys of the rules that may apply to the host. */
  readonly hostKeys: readonly string[]
  /** True for a path with several readings, which no public or optional rule matches. */
  readonly isAmbiguous: boolean
}

/** Rules in one folded form of their patterns, so that a path costs the same beside few rules and many. */
export interface RulesByPath<Rule> {
  /** Returns the first rule that decides for a path; `undefined` where none matches. */
  find(path: string, request: RequestFields): Rule | undefined
  /** Returns the report rules that match before the rule that decides, in their order. */
  findReported(path: string, request: RequestFields): readonly Rule[]
}

/** Rule at its place among all of them. */
interface Placed<Rule> {
  readonly rule: Rule
  readonly position: number
}

/** Rules with the same pattern by the key of their host, each list in the order of the rules. */
type RulesByHost<Rule> = Map<string, Placed<Rule>[]>

/** Creates the tree; `patterns` has those of each rule, and none for a rule that matches every path. */
export function createRulesByPath<Rule extends RuleConditions>(
  rules: readonly Rule[],
  patterns: readonly (readonly SegmentPattern[] | undefined)[],
): RulesByPath<Rule> {
  const tree = createPatternTree<RulesByHost<Rule>>(() => new Map())
  rules.forEach((rule, position) => {
    const keys = rule.hosts?.flatMap(hostKeysOf) ?? [EVERY_HOST]
    for (const pattern of patterns[position] ?? [EVERY_PATH]) {
      const byHost = tree.at(pattern)
      for (const key of keys) byHost.getOrInsertComputed(key, () => []).push({ rule, position })
    }
  })

  function findFirst(path: string, request: RequestFields): Placed<Rule> | undefined {
    let first: Placed<Rule> | undefined
    for (const byHost of tree.match(path)) {
      for (const key of request.hostKeys) {
        const found = byHost.get(key)?.find(({ rule }) => !rule.isReport && applies(rule, request))
        if (found && !(first && first.position < found.position)) first = found
      }
    }
    return first
  }

  return {
    find: (path, request) => findFirst(path, request)?.rule,
    findReported(path, request) {
      const end = findFirst(path, request)?.position ?? rules.length
      const placed = tree
        .match(path)
        .flatMap((byHost) => request.hostKeys.flatMap((key) => byHost.get(key) ?? []))
        .filter(({ rule, position }) => rule.isReport && position < end && applies(rule, request))
        .toSorted((a, b) => a.position - b.position)
      return [...new Set(placed.map(({ rule }) => rule))]
    },
  }
}

const EVERY_PATH: SegmentPattern = { head: [], tail: [] }

function applies({ access, methods }: RuleConditions, request: RequestFields): boolean {
  if (request.isAmbiguous && (access === 'public' || access === 'optional')) return false
  return !methods || methods.has(request.method)
}
