import { cleanOwnText } from '../clean-text.ts'
import { comparedClaim, type Identity, isKept } from '../identity.ts'
import { type Condition, evaluate, type Requester, type Truth } from './condition.ts'
import { listed } from './listed-values.ts'

/** Condition with its truth for one requester and that of its parts. */
export interface ConditionTrace {
  /** Key with the configured values, bounded: `groups: admins, ops`; only the key of `all`, `any` and `none`. */
  readonly text: string
  readonly truth: Truth
  /** Value that the requester has. It may be personal, so that it is never logged. */
  readonly saw?: string
  readonly of?: readonly ConditionTrace[]
}

/** Evaluates a condition with all its parts, for an operator who asks why. */
export function traceCondition(condition: Condition, requester: Requester): ConditionTrace {
  const truth = evaluate(condition, requester)
  return 'of' in condition
    ? {
        text: condition.kind,
        truth,
        of: condition.of.map((each) => traceCondition(each, requester)),
      }
    : { text: describeCondition(condition), truth, saw: seen(condition, truth, requester) }
}

/** Returns a condition in one line with its values, bounded: `all (groups: admins; none (users: 7))`. */
export function describeCondition(condition: Condition): string {
  return 'of' in condition
    ? `${condition.kind} (${condition.of.map(describeCondition).join('; ')})`
    : `${labelOf(condition)}: ${listed(valuesOf(condition))}`
}

const MAX_REASON_CHARS = 300

/**
 * Returns for a log line why a condition does not permit, without any value of the requester's and without e-mail
 * addresses; `undefined` where it permits.
 */
export function reasonFor(condition: Condition, requester: Requester): string | undefined {
  const truth = evaluate(condition, requester)
  return truth === true
    ? undefined
    : cleanOwnText(reasonOf(condition, truth, requester), MAX_REASON_CHARS)
}

type Evaluated = readonly [Condition, Truth]
type Leaf = Exclude<Condition, { readonly of: readonly Condition[] }>

function reasonOf(condition: Condition, truth: Truth, requester: Requester): string {
  if (!('of' in condition)) {
    const reason = truth === false ? MISSED[condition.kind] : whyUnknown(condition, requester)
    return `${labelOf(condition)}: ${reason}`
  }
  const members = condition.of.map((each): Evaluated => [each, evaluate(each, requester)])
  const having = (wanted: Truth) => members.filter(([, its]) => its === wanted)
  const reasons = (of: readonly Evaluated[]) =>
    of.map(([each, its]) => reasonOf(each, its, requester)).join('; ')
  switch (condition.kind) {
    case 'all':
      return reasons(having(truth).slice(0, 1))
    case 'any':
      return `any: ${reasons(members)}`
    case 'none':
      return truth === false
        ? `none: ${having(true)
            .map(([each]) => labelOf(each))
            .join(', ')} matched`
        : `none: ${reasons(having('unknown'))}`
  }
}

function labelOf(condition: Condition): string {
  return condition.kind === 'claim' ? `claim ${listed([condition.name])}` : condition.kind
}

function valuesOf(condition: Leaf): Iterable<string> {
  return condition.kind === 'networks' ? condition.networks.sources : condition.values
}

const MISSED = {
  groups: 'none of the wanted ones',
  emails: 'the address is none of the wanted ones',
  emailDomains: 'the domain is none of the wanted ones',
  users: 'the user is none of the wanted ones',
  claim: 'none of the wanted values',
  networks: "the client's address is in none of them",
} as const satisfies Record<Leaf['kind'], string>

function whyUnknown(condition: Leaf, { identity }: Requester): string {
  switch (condition.kind) {
    case 'groups':
      return 'unknown, because there is no groups claim, or one that cannot be read as a whole'
    case 'emails':
    case 'emailDomains':
      return 'unknown, because there is no e-mail address that counts'
    case 'users':
      return 'unknown, because there is no sub'
    case 'claim':
      return whyClaimUnknown(identity, condition.name)
    case 'networks':
      return "unknown, because no trusted proxy names the client's address"
  }
}

function whyClaimUnknown(identity: Identity, name: string): string {
  if (identity.incomparable?.includes(name)) {
    return 'unknown, because it is neither text, an exact number, true or false, nor a list of these'
  }
  return isKept(identity, name)
    ? 'unknown, because there is no such claim'
    : 'unknown, because the session is older than the rule that names it; sign in again'
}

/** Returns what of the requester a condition looks at, and why that does not tell. */
function seen(condition: Leaf, truth: Truth, requester: Requester): string {
  const values = valuesSeen(condition, requester)
  return [
    ...(values.length > 0 || truth !== 'unknown' ? [listed(values)] : []),
    ...(truth === 'unknown' ? [whyUnknown(condition, requester)] : []),
  ].join('; ')
}

function valuesSeen(condition: Leaf, { identity, address }: Requester): readonly string[] {
  switch (condition.kind) {
    case 'groups':
      return identity.groups
    case 'emails':
    case 'emailDomains':
      return identity.email === undefined ? [] : [identity.email]
    case 'users':
      return [identity.subject]
    case 'claim':
      return [comparedClaim(identity, condition.name) ?? []].flat()
    case 'networks':
      return address === undefined ? [] : [address]
  }
}
