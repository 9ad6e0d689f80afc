import { comparedClaim } from '../../identity.ts'
import {
  type Condition,
  evaluate,
  type LeafCondition,
  type Requester,
  type Truth,
} from '../condition.ts'
import { whyUnknown } from '../condition-reason.ts'
import { describeCondition } from '../describe-condition.ts'
import { listed } from '../listed-values.ts'

/** Condition with its truth for one requester and that of its parts. */
export interface ConditionTrace {
  /** Key with the configured values, bounded: `groups: admins, ops`; only the key of `all`, `any` and `none`. */
  readonly text: string
  readonly truth: Truth
  /** Values that the requester has. They may be personal, so that they are never logged. */
  readonly saw?: string
  /** Reason for which these do not tell; present where the truth of a condition without parts is unknown. */
  readonly because?: string
  readonly of?: readonly ConditionTrace[]
}

/** Evaluates a condition with all its parts, for an operator who asks why. */
export function traceCondition(condition: Condition, requester: Requester): ConditionTrace {
  const truth = evaluate(condition, requester)
  if ('of' in condition) {
    const of = condition.of.map((each) => traceCondition(each, requester))
    return { text: condition.kind, truth, of }
  }
  const text = describeCondition(condition)
  const values = valuesSeen(condition, requester)
  const isKnown = truth !== 'unknown'
  return {
    text,
    truth,
    ...((isKnown || values.length > 0) && { saw: listed(values) }),
    ...(!isKnown && { because: whyUnknown(condition, requester) }),
  }
}

/** Returns what of the requester a condition looks at. */
function valuesSeen(condition: LeafCondition, { identity, address }: Requester): readonly string[] {
  switch (condition.kind) {
    case 'groups':
      return identity.groups
    case 'emails':
    case 'emailDomains':
      return identity.email === undefined ? [] : [identity.email]
    case 'users':
      return identity.subject === '' ? [] : [identity.subject]
    case 'claim':
      return [comparedClaim(identity, condition.name) ?? []].flat()
    case 'networks':
      return address === undefined ? [] : [address]
  }
}
