import type { ConditionSource } from '../../../config/rules/condition-source.ts'
import { type Expression, parseExpression } from '../../traefik/expression.ts'
import { idClaimOf, keptClaimsOf, type OldProvider } from './provider.ts'

/** Condition here, and how it differs; `undefined` where it has no counterpart. */
export interface CarriedCondition {
  readonly condition: ConditionSource | undefined
  readonly remarks: readonly string[]
}

/** Carries a condition of `?if=` over. */
export function carryCondition(text: string, provider: OldProvider): CarriedCondition {
  const remarks = new Set<string>()
  const expression = parseExpression(text)
  const condition = expression && conditionOf(expression, { provider, remarks, isNegated: false })
  return { condition, remarks: [...remarks] }
}

interface Context {
  readonly provider: OldProvider
  readonly remarks: Set<string>
  /** Below an odd number of `!`, where a condition that is true less often would let more people in. */
  readonly isNegated: boolean
}

function conditionOf(expression: Expression, context: Context): ConditionSource | undefined {
  if ('not' in expression) {
    context.remarks.add(
      'Under ! a person of whom the claim is not known is refused here; there such a person passes.',
    )
    const inner = conditionOf(expression.not, { ...context, isNegated: !context.isNegated })
    return inner && { none: [inner] }
  }
  if ('name' in expression) return callOf(expression.name, expression.args, context)
  const kind = 'all' in expression ? 'all' : 'any'
  const members = chain(expression, kind).map((each) => conditionOf(each, context))
  const known = members.filter((member) => member !== undefined)
  return known.length === members.length ? { [kind]: known } : undefined
}

/** Returns the members of a chain of one operator, which a list holds without nesting. */
function chain(expression: Expression, kind: 'all' | 'any'): readonly Expression[] {
  const members = (expression as Readonly<Record<string, readonly Expression[] | undefined>>)[kind]
  return members ? members.flatMap((each) => chain(each, kind)) : [expression]
}

function callOf(
  name: string,
  args: readonly string[],
  context: Context,
): ConditionSource | undefined {
  const [first = '', second = ''] = args
  // The rules have no blanks around a value.
  if (args.some((arg) => arg !== arg.trim())) return undefined
  if (args.length === 0) {
    return name === 'EmailVerified' ? { claims: { email_verified: [true] } } : undefined
  }
  if (args.length === 1) return first === '' ? undefined : memberOfOne(name, first, context)
  return args.length === 2 && second !== '' ? compared(name, [first, second], context) : undefined
}

function compared(
  name: string,
  [claim, value]: readonly [string, string],
  context: Context,
): ConditionSource | undefined {
  if (name === 'Eq' || name === 'ClaimEqual') return equal(claim, value, context)
  return name === 'Cont' || name === 'ClaimContains' ? contains(claim, value, context) : undefined
}

function memberOfOne(name: string, value: string, context: Context): ConditionSource | undefined {
  if (name === 'Group') return { groups: [value] }
  return name === 'Role' ? contains('roles', value, context) : undefined
}

/** Claims that are lists there, with which a text never is equal. */
const LISTS: ReadonlySet<string> = new Set(['groups', 'roles', 'wids'])

function equal(claim: string, value: string, { provider, remarks }: Context) {
  if (claim === 'id' || claim === 'sub') return userOf(value, provider)
  if (claim === 'email') {
    remarks.add(
      'An address counts only with email_verified: true, and upper and lower case do not.',
    )
    return { emails: [value] }
  }
  if (LISTS.has(claim)) return undefined
  return isKept(claim, provider, remarks) ? { claims: { [claim]: [value] } } : undefined
}

function contains(claim: string, value: string, { provider, remarks, isNegated }: Context) {
  if (claim === 'groups') return { groups: [value] }
  if (!isKept(claim, provider, remarks)) return undefined
  if (!LISTS.has(claim)) {
    remarks.add(`A claim ${claim} that is one text is compared as a whole; there its words were.`)
  }
  // Below !, somebody whose text has the word among others would get in.
  if (isNegated) return undefined
  return claim === 'id' || claim === 'sub'
    ? userOf(value, provider)
    : { claims: { [claim]: [value] } }
}

function userOf(value: string, provider: OldProvider): ConditionSource {
  const id = idClaimOf(provider)
  return id === 'sub' ? { users: [value] } : { claims: { [id]: [value] } }
}

function isKept(claim: string, provider: OldProvider, remarks: Set<string>): boolean {
  if (keptClaimsOf(provider).includes(claim)) return true
  remarks.add(`The old service keeps no claim ${claim}, so that this was true for nobody there.`)
  return false
}
