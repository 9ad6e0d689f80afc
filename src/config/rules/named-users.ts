import { type AllowedUsers, parseEmail } from '../../core/access/allowed-users.ts'

/** Lists of which any one is enough. */
interface NamedUsers {
  readonly emails: readonly string[] | undefined
  readonly emailDomains: readonly string[] | undefined
  readonly groups: readonly string[] | undefined
}

/** Compiles the lists; `undefined` where none names anybody. */
export function namedUsers(
  { emails, emailDomains, groups }: NamedUsers,
  where: string,
  problems: string[],
): AllowedUsers | undefined {
  const lists = [emails, emailDomains, groups]
  if (lists.every((entries) => entries === undefined || entries.length === 0)) return undefined
  for (const entry of [...(emails ?? []), ...(emailDomains ?? []).map((domain) => `a@${domain}`)]) {
    if (!parseEmail(entry))
      problems.push(`${where}: ${entry.replace(/^a@/, '')} is not an e-mail address or domain`)
  }
  return {
    emails: new Set(emails?.map((email) => email.toLowerCase())),
    emailDomains: new Set(emailDomains?.map((domain) => domain.toLowerCase())),
    groups: new Set(groups),
  }
}
