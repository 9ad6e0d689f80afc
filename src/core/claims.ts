import { isRecord } from './json.ts'

/** Claims as received from a provider, of any type. */
export type Claims = Readonly<Record<string, unknown>>

/** Depth to which empty members are left out; keys of a key set are the deepest that matter. */
const MAX_DEPTH = 8

/** Returns whether a value says nothing: providers send `null` or `""` for what they do not know (C21). */
export function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/**
 * Returns JSON without the members that are `null` or `""`, at any depth that matters; lists keep their length. Returns
 * the same object where there are none.
 */
export function withoutEmptyMembers(json: unknown, depth = MAX_DEPTH): unknown {
  if (typeof json !== 'object' || json === null || depth === 0) return json
  if (Array.isArray(json)) {
    const members = json.map((member) => withoutEmptyMembers(member, depth - 1))
    return members.every((member, at) => member === json[at]) ? json : members
  }
  const entries = Object.entries(json)
  const left = entries
    .filter(([, value]) => !isAbsent(value))
    .map(([name, value]) => [name, withoutEmptyMembers(value, depth - 1)])
  const isSame =
    left.length === entries.length && left.every(([, value], at) => value === entries[at]?.[1])
  return isSame ? json : Object.fromEntries(left)
}

/**
 * Returns a claim by its literal name, else by a path (`realm_access.roles`) in which `\.` is a dot in a name. Never
 * returns inherited properties such as `constructor` (threat A35).
 */
export function claimValue(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  let value: unknown = claims
  for (const key of stepsOf(name)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Claims)[key]
  }
  return value
}

function stepsOf(path: string): readonly string[] {
  return path.split(/(?<!\\)\./).map((step) => step.replaceAll('\\.', '.'))
}

/** Returns why a claim that was asked for is absent, with Entra's "overage" of groups and other distributed claims. */
export function absenceOf(claims: Claims, name: string): string {
  const elsewhere = claims['_claim_names']
  const isElsewhere = isRecord(elsewhere) && Object.hasOwn(elsewhere, name)
  if (name === 'groups' && (isElsewhere || claims['hasgroups'] === true)) {
    return 'overage, the provider left them out (_claim_names); let it send app roles or fewer groups, see provider.md'
  }
  return isElsewhere ? 'distributed, which is not fetched (_claim_names)' : 'no such claim'
}
