import {
  isComparable,
  type Reading,
  readGroups,
  readHeaderClaim,
  readText,
} from './claim-shapes.ts'
import { absenceOf, type Claims, claimValue, isAbsent } from './claims.ts'
import { areGroupsKnown, type Identity } from './identity.ts'

/** Settings for deriving an identity from claims. */
export interface IdentityOptions {
  readonly groupsClaim: string
  /** Separator of groups in one string, or the word `space`; absent where a string is one group. */
  readonly groupsSeparator?: string
  readonly emailClaim: string
  readonly trustEmail: boolean
  /** Claims that headers and conditions need beside those that every identity has. */
  readonly claims: readonly string[]
}

/** Reduces claims to an identity; `iss` and `sub` must have been verified before. */
export function toIdentity(claims: Claims, options: IdentityOptions): Identity {
  const email = readEmail(claims, options).value
  const preferredUsername = readText(claims['preferred_username']).value
  const name = readText(claims['name']).value
  const incomparable = options.claims.filter((claim) => isIncomparable(claimValue(claims, claim)))
  return {
    issuer: readText(claims['iss']).value,
    subject: readText(claims['sub']).value,
    ...(email && { email }),
    ...(preferredUsername && { preferredUsername }),
    ...(name && { name }),
    ...readAllGroups(claims, options),
    claims: Object.fromEntries(
      options.claims.map((claim) => [claim, readHeaderClaim(claimValue(claims, claim)).value]),
    ),
    ...(incomparable.length > 0 && { incomparable }),
  }
}

type AllGroups = Pick<Identity, 'groups' | 'areGroupsKnown'>

/** Says whether the groups are known only where that is not the default, so that most sessions stay as small as they are. */
function readAllGroups(
  claims: Claims,
  { groupsClaim, groupsSeparator }: IdentityOptions,
): AllGroups {
  const claim = claimValue(claims, groupsClaim)
  const { value: groups, ignored } = readGroups(claim, groupsSeparator)
  const isKnown = !isAbsent(claim) && ignored === undefined
  return areGroupsKnown({ groups }) === isKnown ? { groups } : { groups, areGroupsKnown: isKnown }
}

function isIncomparable(claim: unknown): boolean {
  return !isAbsent(claim) && !isComparable(claim)
}

/**
 * Returns the identity after a refresh whose UserInfo could not be had: what the new ID token says, completed from
 * the identity before, so that a group that was taken away is gone and one from UserInfo is not.
 */
export function renewIdentity(
  before: Identity,
  claims: Claims,
  options: IdentityOptions,
): Identity {
  const now = toIdentity(claims, options)
  const isSaid = (claim: string) => !isAbsent(claimValue(claims, claim))
  const { email, areGroupsKnown: _, incomparable: __, ...others } = before
  const isSame = !isSaid(options.emailClaim) || claimValue(claims, options.emailClaim) === email
  const isDenied = isSaid('email_verified') && !isVouchedFor(claims)
  return {
    ...others,
    ...(email && isSame && !isDenied && { email }),
    ...now,
    ...groupsOf(isSaid(options.groupsClaim) ? now : before),
    ...claimsOf(now, before, isSaid),
  }
}

function groupsOf({ groups, areGroupsKnown }: Identity): AllGroups {
  return areGroupsKnown === undefined ? { groups } : { groups, areGroupsKnown }
}

function claimsOf(
  now: Identity,
  before: Identity,
  isSaid: (claim: string) => boolean,
): Pick<Identity, 'claims' | 'incomparable'> {
  const said = Object.entries(now.claims).filter(([claim]) => isSaid(claim))
  const unsaid = Object.entries(before.claims).filter(([claim]) => !isSaid(claim))
  const incomparable = [
    ...(now.incomparable ?? []),
    ...(before.incomparable ?? []).filter((claim) => !isSaid(claim)),
  ]
  return {
    claims: Object.fromEntries([...said, ...unsaid]),
    ...(incomparable.length > 0 && { incomparable }),
  }
}

/**
 * Returns what headers and rules ask for and could not be used, each with its reason and without its value, because the
 * result is logged. The absence of a display name is nothing to mend and not among it.
 */
export function ignoredClaims(claims: Claims, options: IdentityOptions): readonly string[] {
  const groups = readGroups(claimValue(claims, options.groupsClaim), options.groupsSeparator)
  const readings: readonly (readonly [string, string | undefined])[] = [
    ['email', readEmail(claims, options).ignored ?? lack(claims, options.emailClaim)],
    ['groups', groups.ignored ?? lack(claims, options.groupsClaim)],
    ...['preferred_username', 'name'].map(
      (claim) => [claim, readText(claims[claim]).ignored] as const,
    ),
    ...options.claims.map((claim): [string, string | undefined] => [
      claim,
      readHeaderClaim(claimValue(claims, claim)).ignored ?? lack(claims, claim),
    ]),
  ]
  return readings.flatMap(([claim, reason]) => (reason === undefined ? [] : `${claim}: ${reason}`))
}

function lack(claims: Claims, name: string): string | undefined {
  return isAbsent(claimValue(claims, name)) ? absenceOf(claims, name) : undefined
}

/**
 * Reads the address. `email_verified` vouches for `email` alone: an address in another claim counts if it equals that
 * one, or where addresses are trusted (C26).
 */
function readEmail(claims: Claims, { emailClaim, trustEmail }: IdentityOptions): Reading<string> {
  const read = readText(claimValue(claims, emailClaim))
  const isVerified = isVouchedFor(claims) && read.value === claims['email']
  return read.value === '' || trustEmail || isVerified
    ? read
    : { value: '', ignored: 'not verified' }
}

/** Accepts text too, because some providers send the boolean as a string (C23). */
function isVouchedFor({ email_verified: verified }: Claims): boolean {
  return verified === true || verified === 'true'
}

/** Returns whether claims that headers or rules may need are missing, and UserInfo should be asked. */
export function lacksClaims(
  claims: Claims,
  { groupsClaim, emailClaim, trustEmail, claims: further }: IdentityOptions,
): boolean {
  const wanted = ['preferred_username', 'name', groupsClaim, emailClaim, ...further]
  if (!trustEmail) wanted.push('email', 'email_verified')
  return wanted.some((claim) => isAbsent(claimValue(claims, claim)))
}
