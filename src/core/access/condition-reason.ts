import { cleanOwnText } from '../clean-text.ts'
import { type Identity, isKept } from '../identity.ts'
import {
  type Condition,
  evaluate,
  type LeafCondition,
  type Requester,
  type Truth,
} from './condition.ts'
import { labelOf } from './describe-condition.ts'

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

/** Returns why a condition that is unknown cannot be told. */
export function whyUnknown(condition: LeafCondition, { identity }: Requester): string {
  switch (condition.kind) {
    case 'groups':
      return 'there is no groups claim, or one that cannot be read as a whole'
    case 'emails':
    case 'emailDomains':
      return 'there is no e-mail address that counts'
    case 'users':
      return 'there is no sub'
    case 'claim':
      return whyClaimUnknown(identity, condition.name)
    case 'networks':
      return "no trusted proxy names the client's address"
  }
}

type Evaluated = readonly [Condition, Truth]

function reasonOf(condition: Condition, truth: Truth, requester: Requester): string {
  if (!('of' in condition))
    return `${labelOf(condition)}: ${leafReason(condition, truth, requester)}`
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

function leafReason(condition: LeafCondition, truth: Truth, requester: Requester): string {
  return truth === 'unknown'
    ? `unknown, because ${whyUnknown(condition, requester)}`
    : MISSED[condition.kind]
}

const MISSED = {
  groups: 'none of the wanted ones',
  emails: 'the address is none of the wanted ones',
  emailDomains: 'the domain is none of the wanted ones',
  users: 'the user is none of the wanted ones',
  claim: 'none of the wanted values',
  networks: "the client's address is in none of them",
} as const satisfies Record<LeafCondition['kind'], string>

function whyClaimUnknown(identity: Identity, name: string): string {
  if (identity.incomparable?.includes(name)) {
    return 'it is neither text, an exact number, true or false, nor a list of these'
  }
  return isKept(identity, name)
    ? 'there is no such claim'
    : 'the session is older than the rule that names it; sign in again'
}
