import { serverModels } from './models.ts'
import { isPermitted, type Person, type PolicyRule } from './policy.ts'

/** The check under trial: whether it lets each person pass, `false` for a refused request. */
export type Check = (rules: readonly PolicyRule[], path: string) => (person: Person) => boolean

const PEOPLE: readonly Person[] = ['nobody', 'bob', 'alice']

/** Each server and person where the check opens what the rules close. */
export function findWrongAllows(
  check: Check,
  rules: readonly PolicyRule[],
  path: string,
): readonly string[] {
  const lets = check(rules, path)
  const admitted = PEOPLE.filter(lets)
  if (admitted.length === 0) return []
  return Object.entries(serverModels).flatMap(([name, model]) => {
    const served = model.serve(path)
    if (served === undefined) return []
    return admitted
      .filter((person) => !isPermitted(rules, served, model, person))
      .map((person) => `${name} serves ${JSON.stringify(served)} to ${person}`)
  })
}
