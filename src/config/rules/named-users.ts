import { type AllowedUsers, parseEmail } from '../../core/access/allowed-users.ts'
import { attempt } from '../attempt.ts'
import { refuseCutEntries } from '../settings/distinguished-name.ts'

/** Kinds of entries by which users are named; `users` are compared with `sub`. */
export type NamedBy = keyof AllowedUsers | 'users'

/** Lists of which any one is enough. */
type Lists = Readonly<Record<keyof AllowedUsers, readonly string[] | undefined>>

/** Compiles the lists; `undefined` where none names anybody. `where` returns the place of a list for problems. */
export function namedUsers(
  lists: Lists,
  where: (list: keyof AllowedUsers) => string,
  problems: string[],
): AllowedUsers | undefined {
  if (Object.values(lists).every((entries) => entries === undefined || entries.length === 0)) {
    return undefined
  }
  const compile = (list: keyof AllowedUsers) =>
    compileEntries(list, lists[list] ?? [], where(list), problems)
  return {
    emails: compile('emails'),
    emailDomains: compile('emailDomains'),
    groups: compile('groups'),
  }
}

/**
 * Returns entries as they are compared: addresses and domains in lower case, everything else as it is written. Every fault
 * adds a problem that names the place and quotes no value.
 */
export function compileEntries(
  kind: NamedBy,
  entries: readonly string[],
  where: string,
  problems: string[],
): ReadonlySet<string> {
  if (kind === 'groups') refuseCutNames(entries, where, problems)
  if (kind === 'groups' || kind === 'users') return new Set(entries)
  for (const [index, entry] of entries.entries()) {
    const address = kind === 'emails' ? entry : `a@${entry}`
    if (!parseEmail(address)) problems.push(`${where}.${index}: ${NO_ADDRESS[kind]}`)
  }
  return new Set(entries.map((entry) => entry.toLowerCase()))
}

const NO_ADDRESS = {
  emails: 'is not an e-mail address: write ada@example.com, in ASCII',
  emailDomains: 'is not a domain: write example.com, without @',
} as const

/** Refuses entries that were cut out of a distinguished name at its commas. */
export function refuseCutNames(
  entries: readonly string[],
  where: string,
  problems: string[],
): void {
  attempt(where, 'see configuration.md', problems, () => refuseCutEntries(entries))
}
