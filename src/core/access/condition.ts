import type { HeaderClaim } from '../claim-shapes.ts'
import { areGroupsKnown, comparedClaim, type Identity } from '../identity.ts'
import { parseEmail } from './allowed-users.ts'

/** Truth of a condition; `unknown` where what it looks at is absent or cannot be compared. Only `true` permits. */
export type Truth = boolean | 'unknown'

/** Condition on the person or program that asks. */
export type Condition =
  | { readonly kind: 'all' | 'any' | 'none'; readonly of: readonly Condition[] }
  | LeafCondition

/** Condition without others in it. Several values are alternatives. */
export type LeafCondition =
  | {
      readonly kind: 'groups' | 'emails' | 'emailDomains' | 'users'
      readonly values: ReadonlySet<string>
    }
  /** Claim that is none of the kinds above: `sub`, `email` and `groups` are. */
  | { readonly kind: 'claim'; readonly name: string; readonly values: ReadonlySet<string> }
  | { readonly kind: 'networks'; readonly networks: Networks }

/** Networks in which a client's address may lie. */
export interface Networks {
  /** Networks as configured: `192.0.2.0/24`, or a single address. */
  readonly sources: readonly string[]
  /** Throws `TypeError` for what is no address, because an answer either way might permit. */
  contains(address: string): boolean
}

/** Condition that must hold, with the name of the policy that it comes from; absent for one without a name. */
export interface RequiredCondition {
  readonly condition: Condition
  readonly policy?: string
}

/** Person or program whose request is decided. */
export interface Requester {
  readonly identity: Identity
  /** Address of the client; absent where no trusted proxy names it. */
  readonly address?: string | undefined
}

/** Evaluates a condition by Kleene's three-valued logic, so that `none` of something unknown is unknown too. */
export function evaluate(condition: Condition, requester: Requester): Truth {
  switch (condition.kind) {
    case 'all':
      return combine(condition.of, false, requester)
    case 'any':
      return combine(condition.of, true, requester)
    case 'none':
      return not(combine(condition.of, true, requester))
    case 'groups':
      return inGroups(condition.values, requester.identity)
    case 'emails':
    case 'emailDomains':
      return hasAddress(condition.kind, condition.values, requester.identity)
    case 'users': {
      const { subject } = requester.identity
      return subject === '' ? 'unknown' : condition.values.has(subject)
    }
    case 'claim':
      return hasValue(comparedClaim(requester.identity, condition.name), condition.values)
    case 'networks': {
      const { address } = requester
      return address === undefined ? 'unknown' : condition.networks.contains(address)
    }
  }
}

/** Returns whether a condition looks at the client's address. */
export function usesNetworks(condition: Condition): boolean {
  return 'of' in condition ? condition.of.some(usesNetworks) : condition.kind === 'networks'
}

/** Returns the decisive truth where one condition has it; else unknown where one is unknown, else the opposite. */
function combine(conditions: readonly Condition[], decisive: boolean, requester: Requester): Truth {
  let truth: Truth = !decisive
  for (const condition of conditions) {
    const each = evaluate(condition, requester)
    if (each === decisive) return each
    if (each === 'unknown') truth = 'unknown'
  }
  return truth
}

function not(truth: Truth): Truth {
  return truth === 'unknown' ? 'unknown' : !truth
}

function inGroups(wanted: ReadonlySet<string>, identity: Identity): Truth {
  if (identity.groups.some((group) => wanted.has(group))) return true
  return areGroupsKnown(identity) ? false : 'unknown'
}

function hasValue(value: HeaderClaim | undefined, wanted: ReadonlySet<string>): Truth {
  if (value === undefined) return 'unknown'
  return typeof value === 'string' ? wanted.has(value) : value.some((text) => wanted.has(text))
}

function hasAddress(
  kind: 'emails' | 'emailDomains',
  wanted: ReadonlySet<string>,
  { email }: Identity,
): Truth {
  const address = email === undefined ? undefined : parseEmail(email)
  if (!address) return 'unknown'
  return wanted.has(kind === 'emails' ? address.email : address.domain)
}
