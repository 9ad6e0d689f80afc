import type { Identity } from '../identity.ts'

/** Permitted users; a user that any of the lists names is permitted. */
export interface AllowedUsers {
  readonly emails: ReadonlySet<string>
  readonly emailDomains: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
}

const LISTS = [
  'groups',
  'emails',
  'emailDomains',
] as const satisfies readonly (keyof AllowedUsers)[]

/** Returns the names of the lists that have any entry. */
export function filledLists(allowed: AllowedUsers): readonly (keyof AllowedUsers)[] {
  return LISTS.filter((list) => allowed[list].size > 0)
}

/** Compares by set membership, never by prefix or substring (threats A35, A36). */
export function isAllowed(allowed: AllowedUsers | undefined, identity: Identity): boolean {
  if (!allowed) return true
  if (identity.groups.some((group) => allowed.groups.has(group))) return true
  const address = identity.email === undefined ? undefined : parseEmail(identity.email)
  if (!address) return false
  return allowed.emails.has(address.email) || allowed.emailDomains.has(address.domain)
}

const EMAIL = /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}$/i

/** Returns address and domain in lower case; `undefined` unless plain ASCII with exactly one `@` (threat A36). */
export function parseEmail(value: string): { email: string; domain: string } | undefined {
  // Precedes the folding, because some letters beyond ASCII fold into ASCII.
  if (!EMAIL.test(value)) return undefined
  const email = value.toLowerCase()
  return { email, domain: email.slice(email.indexOf('@') + 1) }
}
