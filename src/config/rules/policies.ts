import type { AccessRule } from '../../core/access/access-rule.ts'
import type { Condition, RequiredCondition } from '../../core/access/condition.ts'
import { nearName } from '../sources/near-names.ts'
import { compileCondition } from './conditions.ts'
import type { RulesFile } from './rules-file.ts'

export type Policies = ReadonlyMap<string, Condition>

/** Compiles the policies, also those that no rule names, because the address of the middleware may. */
export function compilePolicies(policies: RulesFile['policies'], problems: string[]): Policies {
  return new Map(
    Object.entries(policies).map(([name, source]) => [
      name,
      compileCondition(source, `policies.${name}`, problems),
    ]),
  )
}

/** Returns the policy that a rule names as a condition of the rule. */
export function requirePolicy(
  name: string,
  policies: Policies,
  where: string,
  problems: string[],
): RequiredCondition[] {
  const condition = policies.get(name)
  if (condition) return [{ condition, policy: name }]
  const near = nearName(name, [...policies.keys()])
  problems.push(
    `${where}: policies has no such name${near === undefined ? ': write it there' : `: is ${near} meant?`}`,
  )
  return []
}

/** Returns the conditions of all rules and policies, each with its place in the file. */
export function conditionsIn(
  rules: readonly AccessRule[],
  policies: Policies,
): readonly (readonly [string, Condition])[] {
  return [
    ...[...policies].map(([name, condition]) => [`policy ${name}`, condition] as const),
    ...rules.flatMap((rule) =>
      rule.access === 'signed-in'
        ? ownConditions(rule.conditions).map(
            (condition) => [`rule ${rule.name}`, condition] as const,
          )
        : [],
    ),
  ]
}

function ownConditions(conditions: readonly RequiredCondition[] = []): readonly Condition[] {
  return conditions.filter(({ policy }) => policy === undefined).map(({ condition }) => condition)
}

/** Returns a condition with all its parts. */
export function partsOf(condition: Condition): readonly Condition[] {
  return 'of' in condition ? [condition, ...condition.of.flatMap(partsOf)] : [condition]
}
