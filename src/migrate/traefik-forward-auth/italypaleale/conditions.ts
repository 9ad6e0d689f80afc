import type { ConditionSource } from '../../../config/rules/condition-source.ts'
import { type Expression, parseExpression } from '../../traefik/expression.ts'

/** Condition here, and how it differs; `undefined` where it has no counterpart. */
export interface CarriedCondition {
  readonly condition: ConditionSource | undefined
  readonly remarks: readonly string[]
}

/** Carries a condition of `?if=` over. `idClaim` is what the old service calls the id of a user. */
export function carryCondition(text: string, idClaim: string): CarriedCondition {
  const remarks = new Set<string>()
  const expression = parseExpression(text)
  const condition = expression && conditionOf(expression, { idClaim, remarks })
  return { condition, remarks: [...remarks] }
}

interface Context {
  readonly idClaim: string
  readonly remarks: Set<string>
}

function conditionOf(expression: Expression, context: Context): ConditionSource | undefined {
  if ('not' in expression) {
    context.remarks.add(
      'Under ! a person of whom the claim is not known is refused here; there such a person passes.',
    )
    const inner = conditionOf(expression.not, context)
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
  if (args.length === 0) {
    return name === 'EmailVerified' ? { claims: { email_verified: [true] } } : undefined
  }
  if (args.length === 1) return first === '' ? undefined : memberOfOne(name, first)
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

function memberOfOne(name: string, value: string): ConditionSource | undefined {
  if (name === 'Group') return { groups: [value] }
  return name === 'Role' ? { claims: { roles: [value] } } : undefined
}

/** Claims whose value the old service keeps. */
const KEPT = new Set([
  'name',
  'given_name',
  'middle_name',
  'family_name',
  'nickname',
  'preferred_username',
  'picture',
  'locale',
  'zoneinfo',
  'email_verified',
  'hd',
  'tid',
])

function equal(claim: string, value: string, { idClaim, remarks }: Context) {
  if (claim === 'id' || claim === 'sub') {
    return idClaim === 'sub' ? { users: [value] } : { claims: { [idClaim]: [value] } }
  }
  if (claim === 'email') {
    remarks.add('An address counts only with email_verified: true, and in upper and lower case.')
    return { emails: [value] }
  }
  // A list never equals a text there, and the name of the provider is no claim.
  if (['groups', 'roles', 'wids', 'provider'].includes(claim)) return undefined
  if (!KEPT.has(claim)) {
    remarks.add(
      `The old service keeps no claim ${claim}, so that the condition was never true; here it is compared.`,
    )
  }
  return { claims: { [literal(claim)]: [value] } }
}

function contains(claim: string, value: string, { remarks }: Context) {
  if (claim === 'groups') return { groups: [value] }
  if (claim !== 'roles' && claim !== 'wids') {
    remarks.add(`A claim ${claim} that is one text is compared as a whole; there its words were.`)
  }
  return { claims: { [literal(claim)]: [value] } }
}

/** A dot in the name of a claim is no step of a path. */
function literal(claim: string): string {
  return claim.replaceAll('.', '\\.')
}
