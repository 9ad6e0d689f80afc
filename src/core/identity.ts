import type { HeaderClaim } from './claim-shapes.ts'

/** User as named by the provider, reduced to the claims that headers and rules use. */
export interface Identity {
  readonly issuer: string
  readonly subject: string
  /** E-mail address, if it is verified or the provider's addresses are trusted. */
  readonly email?: string
  readonly preferredUsername?: string
  readonly name?: string
  readonly groups: readonly string[]
  /** Whether `groups` are all of them; absent means that they are where there are any. */
  readonly areGroupsKnown?: boolean
  /** Additional claims that identity headers and conditions name; `''` for one that is absent. */
  readonly claims: Readonly<Record<string, HeaderClaim>>
  /** Names of `claims` whose value was no scalar or list of scalars, so that it can be sent but not compared. */
  readonly incomparable?: readonly string[]
}

const STANDARD = new Map<string, (identity: Identity) => HeaderClaim>([
  ['sub', (identity) => identity.subject],
  ['email', (identity) => identity.email ?? ''],
  ['preferred_username', (identity) => identity.preferredUsername ?? ''],
  ['name', (identity) => identity.name ?? ''],
  ['groups', (identity) => identity.groups],
])

/** Tells "no groups" from "groups unknown": an empty list without a word about it may be either. */
export function areGroupsKnown({
  areGroupsKnown,
  groups,
}: Pick<Identity, 'areGroupsKnown' | 'groups'>): boolean {
  return areGroupsKnown ?? groups.length > 0
}

/**
 * Returns the text or texts of a claim for a comparison; `undefined` where it is unknown, because it is absent, was not
 * asked for at the sign-in, or is neither a scalar nor a list of scalars.
 */
export function comparedClaim(identity: Identity, claim: string): HeaderClaim | undefined {
  if (claim === 'groups' && !areGroupsKnown(identity)) return undefined
  if (identity.incomparable?.includes(claim)) return undefined
  const value = headerClaim(identity, claim)
  return value === '' ? undefined : value
}

/** Returns whether a claim was read at the sign-in, so that its absence is the provider's. */
export function isKept(identity: Identity, claim: string): boolean {
  return isStandard(claim) || Object.hasOwn(identity.claims, claim)
}

/** Returns whether every identity has a member of its own for a claim. */
export function isStandard(claim: string): boolean {
  return STANDARD.has(claim)
}

/** Returns the value for a header; `''` for a claim that was configured after the sign-in. */
export function headerClaim(identity: Identity, claim: string): HeaderClaim {
  const standard = STANDARD.get(claim)
  if (standard) return standard(identity)
  return Object.hasOwn(identity.claims, claim) ? (identity.claims[claim] as HeaderClaim) : ''
}

/** Bounds the page, because Traefik answers an empty 401 for one above its `maxResponseBodySize`. */
const MAX_NAME_CHARS = 200

/** Returns the name by which a page addresses its user. */
export function displayName({ email, preferredUsername, name, subject }: Identity): string {
  return (email ?? preferredUsername ?? name ?? subject).slice(0, MAX_NAME_CHARS)
}
