import type { ServerModel } from './models.ts'

export type Person = 'nobody' | 'bob' | 'alice'

/** `admins` is for alice alone. */
export interface PolicyRule {
  readonly pattern: string
  readonly access: 'public' | 'signed-in' | 'admins' | 'deny'
}

const MAY_ENTER: Readonly<Record<PolicyRule['access'], readonly Person[]>> = {
  public: ['nobody', 'bob', 'alice'],
  'signed-in': ['bob', 'alice'],
  admins: ['alice'],
  deny: [],
}

/** Whether the rules let a person have what the server serves; what no rule names is denied. */
export function isPermitted(
  rules: readonly PolicyRule[],
  served: string,
  model: ServerModel,
  person: Person,
): boolean {
  const asked = segmentsOf(served, model)
  const rule = rules.find(({ pattern }) => matches(segmentsOf(pattern, model), asked))
  return rule !== undefined && MAY_ENTER[rule.access].includes(person)
}

function segmentsOf(path: string, model: ServerModel): readonly string[] {
  const letters = path.normalize(model.isCompatible ? 'NFKC' : 'NFC')
  const folded = model.isCaseless ? letters.toLowerCase() : letters
  const ended = model.ignoresFinalSlash ? folded.replace(/(?<=.)\/$/, '') : folded
  return ended.split('/').slice(1)
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  const [first, ...others] = pattern
  if (first === '**') {
    return path.some((_, index) => matches(others, path.slice(index))) || others.length === 0
      ? true
      : matches(others, [])
  }
  if (first === undefined || path.length === 0) return pattern.length === path.length
  return (first === '*' ? path[0] !== '' : first === path[0]) && matches(others, path.slice(1))
}
