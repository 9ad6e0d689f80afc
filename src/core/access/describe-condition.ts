import type { Condition, LeafCondition } from './condition.ts'
import { listed } from './listed-values.ts'

/** Returns a condition in one line with its values, bounded: `all (groups: admins; none (users: 7))`. */
export function describeCondition(condition: Condition): string {
  return 'of' in condition
    ? `${condition.kind} (${condition.of.map(describeCondition).join('; ')})`
    : `${labelOf(condition)}: ${listed(valuesOf(condition))}`
}

/** Returns what a condition looks at: its kind, and the name of a claim. */
export function labelOf(condition: Condition): string {
  return condition.kind === 'claim' ? `claim ${listed([condition.name])}` : condition.kind
}

function valuesOf(condition: LeafCondition): Iterable<string> {
  return condition.kind === 'networks' ? condition.networks.sources : condition.values
}
